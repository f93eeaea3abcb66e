# SPDX-License-Identifier: MIT
"""Started apart it knows nobody, and can have a family of its own. Its status is 1 if so."""

from exokernel.exos import arguments, process
from exokernel.exos.process import ProcessError
from exokernel.metal import i64, u64


def main() -> i64:
    if arguments.count() != 0 or process.own_number() != 0 or process.parent() != 0:
        return 2
    found, _ = process.wait(200)
    if found != ProcessError.NO_CHILD or process.kill(200) != ProcessError.NO_PROCESS:
        return 4
    number = process.fork()
    if number == 0:
        process.exit(7)
    _, status = process.wait(u64(number))
    return 1 if status == 7 and process.own_number() != 0 else i64(3)
