# SPDX-License-Identifier: MIT
"""Sleeps until something is typed and repeats each line, until the line `end`."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Event
from exokernel.exos import aegis
from exokernel.metal import Array, addr, atomic_and, i64, u8, u64

line: Array[u8, 64] = Array[u8, 64]()


def main() -> None:
    page = aegis.environment_page()
    if page.identifier != 0:
        print("other", aegis.line_bind(abi.CONSOLE_LINE), aegis.line_unmask(abi.CONSOLE_LINE))
        return
    print("refused", aegis.line_bind(abi.LINES), aegis.line_unmask(abi.CONSOLE_LINE))
    print("bound", aegis.line_bind(abi.CONSOLE_LINE), aegis.line_bind(12))
    print("nothing", aegis.console_read())
    length: u64 = 0
    sleeps: u64 = 0
    while True:
        byte: i64 = aegis.console_read()
        if byte == Error.NO_INPUT:
            atomic_and(addr(page.lines), ~(u64(1) << abi.CONSOLE_LINE))
            atomic_and(addr(page.pending), ~u64(Event.LINE))
            aegis.line_unmask(abi.CONSOLE_LINE)
            events = aegis.wait(abi.FOREVER)
            assert events == Event.LINE and page.lines == 1 << abi.CONSOLE_LINE, "an event"
            sleeps += 1
        elif byte == 10:
            if line[:length] == b"end":
                print("slept", sleeps > 1)
                return
            print("line", line[:length])
            length = 0
        else:
            line[length] = u8(byte)
            length += 1
