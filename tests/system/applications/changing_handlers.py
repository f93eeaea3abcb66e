# SPDX-License-Identifier: MIT
"""Loads and removes handlers again and again, in changing order, so that their code becomes executable and writable again."""

from typing import Final

from exokernel.aegis.handler_abi import HandlerRequest
from exokernel.exos import ash
from exokernel.metal import Array, Ptr, Span, i64, u8, u32, u64

ROUNDS = 3000
KEPT = 3


def nothing(context: ash.Context) -> u32:
    return ash.Action.DROP


PROGRAM: Final[ash.Program] = ash.program(nothing)
handlers: Array[u64, KEPT] = Array[u64, KEPT]()
requests: Array[HandlerRequest, KEPT] = Array[HandlerRequest, KEPT]([HandlerRequest() for _ in range(KEPT)])


def load(place: u64) -> None:
    name = ash.begin(PROGRAM, Span[u8](Ptr[u8](0), 0), requests[place])
    more: i64 = 1
    while more == 1:
        more = ash.handler_continue(u64(name))
    assert name >= 0 and more == 0
    ash.release_spare(requests[place])
    handlers[place] = u64(name)


def remove(place: u64) -> None:
    assert ash.handler_remove(handlers[place]) == 0
    ash.release_spare(requests[place])


def main() -> None:
    print("changing")
    for place in range(KEPT):
        load(place)
    for turn in range(ROUNDS):
        place = turn * 7 % 5 % KEPT
        remove(place)
        load(place)
    for place in range(KEPT):
        remove(place)
    print("done")
    while True:
        pass
