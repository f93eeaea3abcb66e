# SPDX-License-Identifier: MIT
"""As environment 0: sleeps three times and says how long. As another: computes with all registers until it is
interrupted many times, and ends with status 0 only if none of them changed.
"""

from keeping import registers_kept

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import i32, u64

ROUNDS = 20_000_000
MILLISECONDS = 20


def others() -> u64:
    """How many environments there are besides this one."""
    count: u64 = 0
    for i in range(1, abi.ENVIRONMENTS):
        count += u64(aegis.system_page().environments[i].state != abi.State.FREE)
    return count


def sleep() -> u64:
    """Sleeps MILLISECONDS; how many it really was."""
    frequency = aegis.system_page().timestamp_frequency
    start = read_timestamp()
    events = aegis.wait(start + frequency * MILLISECONDS // 1000)
    assert events == 0, "nobody sends events"
    return (read_timestamp() - start) * 1000 // frequency


def main() -> i32:
    number = aegis.environment_page().identifier
    if number != 0:
        return 0 if registers_kept(number << 32, ROUNDS) == 0 else 1
    for _ in range(3):
        print("slept", sleep())
    while others() != 0:
        sleep()
    print("done")
    return 0
