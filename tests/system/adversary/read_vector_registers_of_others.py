# SPDX-License-Identifier: MIT
"""Gives its vector registers up, takes them again and looks for another's secret in them."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import asm, u64


def main() -> u64:
    found: u64 = 0
    for _ in range(1000):
        aegis.yield_to(abi.ANY_ENVIRONMENT)
        aegis.floating_point(1)
        value = asm("movq rax, xmm0", "={rax},~{memory}", returns=u64)
        value |= asm("movq rax, xmm7", "={rax},~{memory}", returns=u64)
        value |= asm("movq rax, xmm15", "={rax},~{memory}", returns=u64)
        found += u64(value != 0)
        aegis.floating_point(0)
    return found
