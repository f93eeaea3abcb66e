# SPDX-License-Identifier: MIT
"""Somebody else on the machine, who has nothing to do with the network: fills memory of its own, looks whether it is still as
it was, and says so once a second.
"""

from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, u64

WORDS = 4096
memory: Array[u64, WORDS] = Array[u64, WORDS]()


def main() -> bool:
    turn: u64 = 0
    while True:
        for i in range(WORDS):
            memory[i] = (turn + i) * 0x9E37_79B9_7F4A_7C15
        aegis.wait(read_timestamp() + aegis.system_page().timestamp_frequency // 10)
        for i in range(WORDS):
            if memory[i] != (turn + i) * 0x9E37_79B9_7F4A_7C15:
                print("memory was changed")
                return True
        turn += 1
        if turn % 10 == 0:
            print(f"witness {turn}")
