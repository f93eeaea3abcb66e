# SPDX-License-Identifier: MIT
"""Loads a secret into vector registers, again and again, and yields: the counterpart of read_vector_registers_of_others."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import asm, u64

SECRET = 0x5EC2E75EC2E75EC2


def main() -> None:
    aegis.floating_point(1)
    for _ in range(1000):
        asm("movq xmm0, rax; movq xmm7, rax; movq xmm15, rax", "{rax},~{memory}", u64(SECRET))
        aegis.yield_to(abi.ANY_ENVIRONMENT)
