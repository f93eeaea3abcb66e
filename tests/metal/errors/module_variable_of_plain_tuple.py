# SPDX-License-Identifier: MIT
from exokernel.metal import u64

PRIMES: tuple[int, ...] = (2, 3, 5)


def main() -> u64:
    return u64(PRIMES[0])
