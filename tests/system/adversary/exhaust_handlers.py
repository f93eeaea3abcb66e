# SPDX-License-Identifier: MIT
"""Loads handlers until there are no more, removes some and loads again, and ends with all of them loaded."""

from exokernel.aegis.abi import Error
from exokernel.aegis.handler_abi import HANDLERS
from exokernel.exos import ash
from exokernel.metal import Array, Ptr, Span, i64, u8, u32, u64


def nothing(context: ash.Context) -> u32:
    return ash.Action.DROP


PROGRAM: ash.Program = ash.program(nothing)
handlers: Array[i64, HANDLERS] = Array[i64, HANDLERS]()


def load() -> i64:
    return ash.load(PROGRAM, Span[u8](Ptr[u8](0), 0))


def main() -> u64:
    got: u64 = 0
    for i in range(HANDLERS):
        handlers[i] = load()
        got += u64(handlers[i] < 0)
    got += u64(load() != Error.NO_ROOM)
    for _ in range(20):
        for i in range(0, HANDLERS, 3):
            got += u64(ash.handler_remove(u64(handlers[i])) != 0) + u64(ash.handler_remove(u64(handlers[i])) >= 0)
        for i in range(0, HANDLERS, 3):
            before = handlers[i]
            handlers[i] = load()
            got += u64(handlers[i] < 0) + u64(handlers[i] == before)
    return got
