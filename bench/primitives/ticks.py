# SPDX-License-Identifier: MIT
"""Two environments that compute and notice when they were interrupted. Each prints, for every interruption, the
timestamp before and the one after it; who measures finds the switches by putting the two lists together.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, u64

SWITCHES = 60
LONG = 1000  # timestamps between two looks: longer than the loop, shorter than a slice

befores: Array[u64, SWITCHES] = Array[u64, SWITCHES]()
afters: Array[u64, SWITCHES] = Array[u64, SWITCHES]()


def main() -> None:
    found: u64 = 0
    turn: u64 = LONG
    before = read_timestamp()
    while found < SWITCHES:
        now = read_timestamp()
        elapsed = now - before
        if elapsed > LONG:
            befores[found] = before
            afters[found] = now
            found += 1
        else:
            turn = min(turn, elapsed)
        before = now
    number = aegis.environment_page().identifier
    for i in range(SWITCHES):
        print("switch", number, befores[i], afters[i])
    print("turn", number, turn)
    while number == 0 and aegis.system_page().environments[1].state != abi.State.FREE:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
