# SPDX-License-Identifier: MIT
"""Crashes in every way: first with a handler of its own, which looks at it and goes on behind it, then for real.

    ./exo run examples/crash.py                      (ends with status 134: 128 and exception 6)
    ./exo run examples/echo.py examples/crash.py     (the echo server goes on answering)

The handler is a Python function that gets the interrupted registers. The kernel is not asked: it brings the processor
to the application and learns nothing of how it went on. Without a handler it ends the environment and reports the line.
"""

from exokernel.exos import exceptions
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, Ptr, addr, asm, u8, u32, u64, volatile_load, volatile_store

KERNEL = 0xFFFF_FFFF_8020_0000
handled: u64 = 0
primes: Array[u32, 4] = Array[u32, 4]([2, 3, 5, 7])


def skip(registers: Registers) -> u8:
    """The handler: say what happened, go on behind the instruction."""
    global handled
    handled += 1
    print(f"    exception {registers.cause.vector} at {registers.ip:#x}", end="")
    if registers.cause.vector == exceptions.PAGE:
        print(f", address {registers.address:#x}", end="")
    print()
    return Verdict.SKIP


def run_the_stack() -> None:
    code = Array[u8, 1](b"\xc3")  # ret
    asm("call rax", "{rax},~{memory},~{flags}", u64(addr(code)))


def third(numbers: u64) -> u32:
    return primes[numbers]


def main() -> None:
    for vector in range(exceptions.VECTORS):
        exceptions.handle(vector, skip)
    print("reading the kernel's memory")
    volatile_load(Ptr[u64](KERNEL))
    print("writing to its own code")
    volatile_store(Ptr[u8](u64(main)), 0)
    print("following a null pointer")
    volatile_load(Ptr[u64](0))
    print("executing its stack")
    run_the_stack()
    print("halting the processor")
    asm("hlt", "~{memory}")
    print("replacing the page tables")
    asm("mov cr3, rax", "{rax},~{memory}", u64(0))
    print("dividing by zero")
    asm("div ecx", "{rax},{rcx},{rdx},~{rax},~{rdx},~{flags}", u64(1), u64(0), u64(0))
    print("an instruction that does not exist")
    asm("ud2", "~{memory}")
    print("a breakpoint nobody set")
    asm("int3", "~{memory}")
    print(f"{handled} exceptions handled; now one that nobody handles: an index out of range")
    exceptions.handle(exceptions.UNDEFINED, exceptions.end)
    print(third(handled))
