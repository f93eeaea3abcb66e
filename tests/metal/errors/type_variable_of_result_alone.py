# SPDX-License-Identifier: MIT
from typing import TypeVar

from exokernel.metal import u32

T = TypeVar("T")


def made(a: u32) -> T:
    return a


def main() -> u32:
    return made(1)
