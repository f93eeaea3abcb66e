# SPDX-License-Identifier: MIT
"""A fault inside a handler ends the environment, even when the handler has just named a handler for it."""

from exokernel.exos import exceptions
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Ptr, asm, u8, u64, volatile_load


def clumsy(registers: Registers) -> u8:
    print("in the handler")
    exceptions.handle(exceptions.PAGE, clumsy)
    volatile_load(Ptr[u64](0))
    return Verdict.SKIP


def main() -> None:
    exceptions.handle(exceptions.UNDEFINED, clumsy)
    asm("ud2", "~{memory}")
    print("not reached")
