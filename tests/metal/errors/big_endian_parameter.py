# SPDX-License-Identifier: MIT
from exokernel.metal import u16, u16be


def helper(a: u16be) -> u16:
    return a


def main(x: u16) -> u16:
    return helper(x)
