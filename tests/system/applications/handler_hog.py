# SPDX-License-Identifier: MIT
"""Loads handlers until it may have no more, says how many it has, and stays until as many environments as these have said so."""

from typing import Final

from exokernel.aegis.abi import ANY_ENVIRONMENT, Error
from exokernel.exos import aegis, ash, console
from exokernel.metal import Ptr, Span, i64, u8, u32, u64


def nothing(context: ash.Context) -> u32:
    return ash.Action.DROP


PROGRAM: Final[ash.Program] = ash.program(nothing)


def main() -> None:
    got: u64 = 0
    result: i64 = 0
    while result >= 0:
        result = ash.load(PROGRAM, Span[u8](Ptr[u8](0), 0))
        got += u64(result >= 0)
    print(f"has {got}, then {result == Error.NO_ROOM}: {aegis.environment_page().identifier}")
    console.flush()
    while True:
        aegis.yield_to(ANY_ENVIRONMENT)
