# SPDX-License-Identifier: MIT
from exokernel.metal import u64

LIMIT: int = 5


def main() -> u64:
    return u64(LIMIT)
