# SPDX-License-Identifier: MIT
"""Ends with status 7, and with text that has no end of line."""

from exokernel.metal import i32


def main() -> i32:
    print("no end of line", end="")
    return 7
