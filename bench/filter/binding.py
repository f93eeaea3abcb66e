# SPDX-License-Identifier: MIT
"""Packet filters in the kernel: how long binding and removing one of many keeps the processor from everybody else.

Every line printed is `row variant instructions`. `bind`, `remove`: one call, the dearest of all so far. `gap`: the longest
time afterwards in which this environment did not run, until the kernel has written the filters' code; all of it is the
kernel's, since nobody else is there.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom
from exokernel.exos import aegis
from exokernel.exos.net import packets
from exokernel.exos.net.packets import ip, tcp
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, addr, i64, u32, u64

FLOW = (ip.source == 1) & (ip.destination == "10.0.0.2") & (tcp.source == 2) & (tcp.destination == 80)
COUNT = len(packets.listed(FLOW))
ATOMS: Final[Array[Atom, packets.ATOMS]] = packets.atoms(FLOW)
SOURCE = next(i for i, a in enumerate(packets.listed(FLOW)) if a.offset == 26 and a.kind == 0)
PORT = next(i for i, a in enumerate(packets.listed(FLOW)) if a.offset == 14 and a.width == 16)
MOST = 380

ring: abi.ReceiveRing = abi.ReceiveRing()
atoms: Array[Atom, packets.ATOMS] = Array[Atom, packets.ATOMS]()
numbers: Array[u64, MOST] = Array[u64, MOST]()


def bind(number: u64) -> u64:
    atoms[SOURCE].value = u32((number + 1) * 6364136223846793005 >> 29)
    atoms[PORT].value = u32(1024 + (number * 40503 >> 3) % 60000)
    before = read_timestamp()
    result = aegis.filter_bind(u64(addr(ring)), u64(addr(atoms)), COUNT, abi.ANY)
    after = read_timestamp()
    assert result >= 0
    numbers[number] = u64(result)
    return after - before


def gap() -> u64:
    """In half a second of doing nothing but looking at the clock."""
    longest: u64 = 0
    start = read_timestamp()
    last = start
    while last - start < aegis.system_page().timestamp_frequency // 2:
        now = read_timestamp()
        longest = max(longest, now - last)
        last = now
    return longest


def main() -> None:
    for i in range(packets.ATOMS):
        atoms[i].copy_from(ATOMS[i])
    dearest: u64 = 0
    print("kernel-0", "gap", gap())
    for number in range(MOST):
        dearest = max(dearest, bind(number))
        if number + 1 == 10 or number + 1 == MOST:
            print(f"kernel-{number + 1}", "bind", dearest)
            print(f"kernel-{number + 1}", "gap", gap())
    dearest = 0
    for i in range(u64(10)):
        before = read_timestamp()
        result = aegis.filter_remove(numbers[37 * i])
        dearest = max(dearest, read_timestamp() - before)
        assert result == i64(0)
    print(f"kernel-{MOST}", "remove", dearest)
    print(f"kernel-{MOST}", "gap after remove", gap())
