# SPDX-License-Identifier: MIT
"""Releases an address inside a block."""

from exokernel.exos import heap


def main() -> None:
    heap.release(heap.allocate(100) + 8)
    print("not reached")
