# SPDX-License-Identifier: MIT
"""Becomes itself as often as its argument says; then its status is its number. With 255 it waits for a child that it
had before, and its status is the child's.
"""

from exokernel.exos import arguments, process
from exokernel.exos.arguments import Arguments
from exokernel.metal import Array, i64, u8


def main() -> i64:
    left = arguments.get(0)[0]
    if left == 255:
        _, status = process.wait(0)
        return status
    if left == 0:
        return process.attach() % 100000
    one = Array[u8, 1]()
    one[0] = left - 1
    given = Arguments()
    given.add(one)
    return process.exec(b"chained", given)
