# SPDX-License-Identifier: MIT
"""Loads handlers until it may have no more, removes some and loads again, and ends with all of them loaded, some by half."""

from typing import Final

from exokernel.aegis.abi import ENVIRONMENTS, Error
from exokernel.aegis.handler_abi import HANDLERS, HANDLERS_EACH, HandlerRequest
from exokernel.exos import ash
from exokernel.metal import Array, Ptr, Span, i64, u8, u32, u64


def nothing(context: ash.Context) -> u32:
    return ash.Action.DROP


PROGRAM: Final[ash.Program] = ash.program(nothing)
MINE = HANDLERS - (ENVIRONMENTS - 1) * HANDLERS_EACH  # the others are reserved
handlers: Array[i64, MINE] = Array[i64, MINE]()


def load() -> i64:
    return ash.load(PROGRAM, Span[u8](Ptr[u8](0), 0))


def main() -> u64:
    got: u64 = 0
    for i in range(MINE):
        handlers[i] = load()
        got += u64(handlers[i] < 0)
    got += u64(load() != Error.NO_ROOM)
    for _ in range(20):
        for i in range(0, MINE, 3):
            got += u64(ash.handler_remove(u64(handlers[i])) != 0) + u64(ash.handler_remove(u64(handlers[i])) >= 0)
        for i in range(0, MINE, 3):
            before = handlers[i]
            handlers[i] = load()
            got += u64(handlers[i] < 0) + u64(handlers[i] == before)
    for i in range(0, MINE, 2):
        got += u64(ash.handler_remove(u64(handlers[i])) != 0)
        request = HandlerRequest()
        got += u64(ash.begin(PROGRAM, Span[u8](Ptr[u8](0), 0), request) < 0)
    return got + u64(load() != Error.NO_ROOM)
