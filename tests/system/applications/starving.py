# SPDX-License-Identifier: MIT
"""Asks for the bundle's files while no frame is free for a table node, and again when there is one."""

from exokernel.aegis import abi
from exokernel.exos import aegis, files
from exokernel.metal import Array, u64

FILES = ["motd.txt"]
hoard: Array[u64, 4] = Array[u64, 4]()


def main() -> None:
    number: u64 = 0
    while True:
        frame = aegis.frame_claim(abi.ANY)
        if frame < 0:
            break
        hoard[number % 4] = u64(frame)
        number += 1
    print("starved", files.find(b"motd.txt"), files.find_program(b"starving"), files.map_at(0, 0x20000))
    aegis.frame_release(hoard[0])
    text, error = files.view(u64(files.find(b"motd.txt")))
    print("fed", error, text, files.map_at(0, 0x20000))
    aegis.frame_release(hoard[1])
    print("again", files.map_at(0, 0x20000))
