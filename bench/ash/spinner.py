# SPDX-License-Identifier: MIT
"""A process that only computes, and never gives the processor away."""

from exokernel.metal import compiler_barrier, u64


def main() -> None:
    number: u64 = 1
    while True:
        number = number * 6364136223846793005 + 1442695040888963407
        compiler_barrier()
