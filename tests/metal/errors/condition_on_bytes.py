# SPDX-License-Identifier: MIT
from exokernel.metal import u32


def main(data: bytes) -> u32:
    return 1 if data else 0
