# SPDX-License-Identifier: MIT
"""Spawn, fork and exec with every number of free frames from none on, until they succeed: each failure is an error value
that leaves what it found. Prints what is not as it should be, then `done`.
"""

from cycles import expect, settle

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis, process, slots, vm
from exokernel.exos.arguments import Arguments
from exokernel.metal import Array, i64, u64

PROGRAMS = ["counting.py"]
FRAMES = 16384

held: Array[u64, FRAMES] = Array[u64, FRAMES]()
count: u64 = 0
none: Arguments = Arguments()
value: u64 = 1


def leave(frames: u64) -> None:
    """Hold all frames but so many."""
    global count
    settle()
    while aegis.system_page().frames_free > frames:
        held[count] = u64(aegis.frame_claim(abi.ANY))
        count += 1
    while aegis.system_page().frames_free < frames and count != 0:
        count -= 1
        aegis.frame_release(held[count])


def attempt(kind: u64) -> i64:
    """A child, or an error."""
    if kind == 0:
        return process.spawn(b"counting", none)
    if kind == 1:
        number = process.fork()
        if number == 0:
            process.exit(0)
        return number
    return spawn_apart()


def spawn_apart() -> i64:
    environment = process.spawn_apart(b"counting", none)
    if environment >= 0:
        state = aegis.system_page().environments[u64(environment)]
        while state.state != abi.State.FREE:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
    return environment


def tried(kind: u64) -> u64:
    """How many frames it takes."""
    frames: u64 = 0
    while frames < 100:
        leave(frames)
        free, bindings = aegis.system_page().frames_free, slots.bindings[0]
        number = attempt(kind)
        if number >= 0:
            if kind < 2:
                process.wait(u64(number))
            return frames
        expect("error", number, Error.NO_FRAMES)
        settle()
        expect("frames", i64(aegis.system_page().frames_free), i64(free))
        expect("binding slots", i64(slots.bindings[0]), i64(bindings))
        frames += 1
    print("needs more than", frames)
    return frames


def main() -> None:
    attempt(0)
    process.wait(0)
    expect("fork once", i64(attempt(1) > 0), 1)
    process.wait(0)
    leave(100)
    tried(0)
    leave(100)
    tried(3)
    leave(100)
    leave(tried(1) + 8)
    number = process.fork()
    if number == 0:
        write_all()  # at some page there is no frame: an exception, of the child alone
        process.exit(0)
    _found, status = process.wait(u64(number))
    expect("writes without frames", status, 128 + 14)
    settle()
    while count != 0:
        leave(aegis.system_page().frames_free + 1)
    for i in range(u64(len(held))):
        held[i] = i
    expect("ours", vm.unmap(0x20000, 1), 0)
    print("done")


def write_all() -> None:
    for i in range(u64(len(held))):
        held[i] = 7
