# SPDX-License-Identifier: MIT
"""A process that has made threads is refused by `fork`, and nothing changes; before that it forks."""

from exokernel.exos import aegis, process, thread
from exokernel.metal import i64, u64


def answer(argument: u64) -> u64:
    return argument + 1


def main() -> None:
    number = process.fork()
    if number == 0:
        process.exit(3)
    _, status = process.wait(u64(number))
    if status != 3:
        print("the first child gave", status)
    handle = u64(thread.create(answer, 41, 1))
    free = aegis.system_page().frames_free
    forked = process.fork()
    if forked != process.ProcessError.THREADS:
        print("fork gave", forked)
    if thread.join(handle) != 42 or i64(aegis.system_page().frames_free) < i64(free):
        print("something changed")
    print("done")
