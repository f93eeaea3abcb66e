# SPDX-License-Identifier: MIT
"""Floating-point and vector registers: they belong to the environment that used them last, and change hands only when
another uses them.

Whenever another environment gets the processor, CR0.TS makes the next use an exception (vector 7). It loads the user's
registers, after saving the owner's in the owner's kernel page, if the environment asked for them; one that did not gets
the exception. So nobody sees another's, and who does not use them does not pay: only while they are within reach
(`reachable`) do system calls come in through another table, where those that switch put them out of reach first.
"""

from typing import Final

from exokernel.aegis import environment, exceptions
from exokernel.aegis.abi import Cause, Error
from exokernel.aegis.environment import FLOATING_BYTES, NOBODY
from exokernel.machine import cpu
from exokernel.metal import Array, addr, asm, i64, offsetof, u8, u32, u64

UNAVAILABLE = 7  # the exception's vector

# What an environment begins with: the control words of FNINIT and of a processor's reset, all else zero.
INITIAL: Final[Array[u8, FLOATING_BYTES]] = Array[u8, FLOATING_BYTES](
    b"\x7f\x03" + bytes(22) + b"\x80\x1f" + bytes(FLOATING_BYTES - 26)
)
assert offsetof(environment.KernelPage, "floating_state") % 64 == 0

owner: u64 = NOBODY  # whose registers the processor holds
reachable: u64 = 0  # 1: CR0.TS is clear; the current environment is the owner


def floating_point(wanted: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `floating_point`."""
    page = environment.current()
    if wanted > 1:
        return Error.BAD_ARGUMENT
    if wanted == page.floating:
        return 0
    page.floating = u32(wanted)
    if wanted == 0:
        release(page.identifier)
    else:
        page.floating_state.copy_from(INITIAL)
    return 0


def release(identifier: u64) -> None:
    """Whatever an environment has in the registers is not needed any more."""
    global owner
    if owner != identifier:
        return
    owner = NOBODY
    if reachable:
        leave()


def leave() -> None:
    """Puts the registers out of reach, as another environment gets the processor."""
    global reachable
    reachable = 0
    cpu.hide_floating()
    cpu.write_msr(cpu.LSTAR, asm("mov rax, offset system_call_entry", "={rax}", returns=u64))


def unavailable(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The exception; the environment's context is saved. Returns the root to load."""
    global owner, reachable
    page = environment.current()
    record = environment.records[page.identifier]
    if page.floating == 0:
        return exceptions.reflect(Cause(vector=UNAVAILABLE))
    cpu.reach_floating()
    if owner != page.identifier:
        if owner != NOBODY:
            cpu.save_floating(u64(addr(environment.records[owner].kernel_page[0].floating_state)))
        cpu.load_floating(u64(addr(page.floating_state)))
        owner = page.identifier
    reachable = 1
    cpu.write_msr(cpu.LSTAR, asm("mov rax, offset floating_call_entry", "={rax}", returns=u64))
    return i64(record.root)
