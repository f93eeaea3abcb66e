# SPDX-License-Identifier: MIT
from exokernel.metal import bits, field, u8


@bits(u8)
class Mode:
    level: u8 = field(0, 3)


mode: Mode = 5  # type: ignore[assignment]


def main() -> u8:
    return mode.raw
