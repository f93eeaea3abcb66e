# SPDX-License-Identifier: MIT
"""A thousand spawns and a thousand forks, and then everything is where it was. Prints what is not, then `done`."""

from exokernel.aegis import abi
from exokernel.exos import aegis, process, slots, vm
from exokernel.exos.arguments import Arguments
from exokernel.metal import i64, u64

PROGRAMS = ["counting.py"]
CYCLES = 1000

given: Arguments = Arguments()
value: u64 = 0


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


def settle() -> None:
    """Wait until all that ended is taken apart, and what was lent is back."""
    while process.is_somebody_ending():
        aegis.frame_release(u64(aegis.frame_claim(abi.ANY)))
    vm.release_lent()


def cycle() -> None:
    global value
    number = process.spawn(b"counting", given)
    found, status = process.wait(u64(number))
    expect("spawn", found, number)
    expect("status of the spawned", status, 1001 + 9)
    number = process.fork()
    if number == 0:
        value += 1
        process.exit(i64(value))
    found, status = process.wait(0)
    expect("fork", found, number)
    expect("status of the forked", status, 1)


def main() -> None:
    given.add(b"\x09")
    cycle()
    settle()
    system = aegis.system_page()
    frames, bindings = system.frames_free, slots.bindings[0]
    for _ in range(CYCLES):
        cycle()
    settle()
    expect("frames", i64(system.frames_free), i64(frames))
    expect("binding slots", i64(slots.bindings[0]), i64(bindings))
    expect("value", i64(value), 0)
    for number in range(1, abi.ENVIRONMENTS):
        expect("environment", i64(system.environments[number].state), abi.State.FREE)
    for owner in system.slice_owners:
        expect("slice", i64(owner == 0 or owner == abi.ENVIRONMENTS), 1)
    print("done")
