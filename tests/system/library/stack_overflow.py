# SPDX-License-Identifier: MIT
"""A stack that overflows: the handler runs, on its own stack, and then lets the kernel report."""

from exokernel.aegis import abi
from exokernel.exos import exceptions
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, noinline, u8, u64


def notice(registers: Registers) -> u8:
    inside = abi.STACK_TOP - abi.STACK_BYTES - abi.PAGE_BYTES <= registers.address < abi.STACK_TOP - abi.STACK_BYTES
    print("fault in the guard page:", inside)
    return Verdict.END


@noinline
def deeper(n: u64) -> u64:
    room = Array[u64, 32]()
    room[n % 32] = n
    return deeper(n + 1) + room[(n + 1) % 32]


def main() -> None:
    exceptions.handle(exceptions.PAGE, notice)
    print(deeper(0))
