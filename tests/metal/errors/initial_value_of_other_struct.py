# SPDX-License-Identifier: MIT
from exokernel.metal import struct, u32


@struct
class One:
    x: u32


@struct
class Other:
    x: u32


shared: One = Other(4)  # type: ignore[assignment]


def main() -> u32:
    return shared.x
