# SPDX-License-Identifier: MIT
"""A line that was not finished when a process forked is printed once."""

from exokernel.exos import process
from exokernel.metal import u64


def main() -> None:
    print("before", end=" ")
    number = process.fork()
    if number == 0:
        print("child", end=" ")
        process.exit(-7)
    _, status = process.wait(u64(number))
    print("parent", status)
