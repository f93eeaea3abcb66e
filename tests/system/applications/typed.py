# SPDX-License-Identifier: MIT
"""Sleeps until something is typed and repeats each line, until the line `end`."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Event, Kind, Right
from exokernel.exos import aegis
from exokernel.metal import Array, addr, atomic_and, i64, u8, u64

LINE = Kind.LINE << abi.NAME_INDEX_BITS

line: Array[u8, 64] = Array[u8, 64]()


def bind(slot: u64, number: u64) -> None:
    mac = aegis.capability_mint(LINE | number, Right.WRITE)
    assert aegis.bind(slot, LINE | number, Right.WRITE, u64(mac)) == 0, "line"


def main() -> None:
    page = aegis.environment_page()
    if page.identifier != 0:
        mint = aegis.capability_mint(LINE | abi.CONSOLE_LINE, Right.WRITE)
        print("other", mint, aegis.line_bind(0), aegis.line_unmask(abi.CONSOLE_LINE))
        return
    print("refused", aegis.line_bind(0), aegis.line_unmask(abi.CONSOLE_LINE))
    bind(0, abi.CONSOLE_LINE)
    bind(1, 12)
    print("bound", aegis.line_bind(0), aegis.line_bind(1))
    print("nothing", aegis.console_read())
    length: u64 = 0
    assert aegis.wait(abi.FOREVER) == Event.LINE, "pending, if something was typed meanwhile"
    while True:
        byte: i64 = aegis.console_read()
        if byte == Error.NO_INPUT:
            atomic_and(addr(page.lines), ~(u64(1) << abi.CONSOLE_LINE))
            atomic_and(addr(page.pending), ~u64(Event.LINE))
            aegis.line_unmask(abi.CONSOLE_LINE)
            events = aegis.wait(abi.FOREVER)
            assert events == Event.LINE and page.lines == 1 << abi.CONSOLE_LINE, "an event"
        elif byte == 10:
            if line[:length] == b"end":
                return
            print("line", line[:length])
            length = 0
        else:
            line[length] = u8(byte)
            length += 1
