# SPDX-License-Identifier: MIT
"""As many processes as there are environments, with and without slices; one more is an error. Prints what is not as it
should be, then `done`.
"""

from cycles import expect, settle

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis, process
from exokernel.exos.arguments import Arguments
from exokernel.metal import i64, u64

PROGRAMS = ["counting.py", "idle.py"]
ROOM = abi.ENVIRONMENTS - 1

none: Arguments = Arguments()


def fork_all() -> None:
    """All end by themselves, with their places as statuses."""
    sum: i64 = 0
    for i in range(ROOM):
        number = process.fork()
        if number == 0:
            process.exit(i64(i))
        expect("fork", i64(number > 0), 1)
    for _ in range(ROOM):
        found, status = process.wait(0)
        expect("found", i64(found > 0), 1)
        sum += status
    expect("statuses", sum, ROOM * (ROOM - 1) // 2)


def spawn_all() -> None:
    """All sleep until they are killed; none more can be had, by nobody."""
    last: i64 = 0
    for _ in range(ROOM):
        last = process.spawn(b"idle", none)
        expect("spawn", i64(last > 0), 1)
    expect("one more", process.spawn(b"idle", none), Error.NO_ROOM)
    expect("one more fork", process.fork(), Error.NO_ROOM)
    expect("exec", process.exec(b"idle", none), Error.NO_ROOM)
    expect("kill", process.kill(u64(last)), 0)
    number = process.fork()
    if number == 0:
        expect("by a child", process.spawn(b"idle", none), Error.NO_ROOM)
        process.exit(5)
    found, status = process.wait(u64(number))
    expect("child", status, 5)
    for i in range(process.PROCESSES):
        if process.parent_of(process.at(i).word) == process.own_number():
            expect("kill all", process.kill(process.at(i).word >> 32), 0)
    for _ in range(ROOM):
        found, status = process.wait(0)
        expect("found", i64(found > 0), 1)
        expect("killed", status, process.KILLED)
    found, status = process.wait(0)
    expect("no more", found, process.ProcessError.NO_CHILD)


def main() -> None:
    free: u64 = 0
    for i in range(3):
        fork_all()
        spawn_all()
        settle()
        if i == 0:
            free = aegis.system_page().frames_free
            owned: u64 = 0
            while aegis.slice_claim(abi.ANY) >= 0:  # from now on children have no slices
                owned += 1
            expect("slices", i64(owned), abi.SLICES - 1)
    expect("frames", i64(aegis.system_page().frames_free), i64(free))
    print("done")
