# SPDX-License-Identifier: MIT
"""Releases a block twice."""

from exokernel.exos import heap


def main() -> None:
    block = heap.allocate(100)
    heap.release(block)
    heap.release(block)
    print("not reached")
