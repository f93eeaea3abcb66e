# SPDX-License-Identifier: MIT
"""Floating-point and vector registers: they belong to the environment that used them last, and change hands only when
another uses them.

Whenever another environment gets the processor, CR0.TS makes the next use an exception (vector 7). It loads the user's
registers, after saving the owner's in the owner's kernel page, if the environment asked for them; one that did not gets
the exception. So nobody sees another's, and who does not use them does not pay: only while they are within reach
(`reachable`) do system calls come in through another table, where those that switch put them out of reach first.

Protection keys are kept likewise: CR4.PKE is set, and PKRU the environment's, only while one runs that asked for them.
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

FLOATING = 1  # bits of `reachable`
KEYS = 2

owner: u64 = NOBODY  # whose registers the processor holds
reachable: u64 = 0  # FLOATING: CR0.TS is clear, the current environment is the owner; KEYS: its protection keys count


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


def protection_keys(wanted: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `protection_keys`."""
    page = environment.current()
    if not cpu.has_keys:
        return Error.NO_KEYS
    if wanted > 1:
        return Error.BAD_ARGUMENT
    leave()
    page.keyed = u8(wanted << 7)
    page.key_rights = 0
    if wanted:
        reach_keys()
    return 0


def release(identifier: u64) -> None:
    """Whatever an environment has in the registers is not needed any more. The current one, which may be another, keeps
    its keys.
    """
    global owner
    if owner == identifier:
        owner = NOBODY
        leave()
        if environment.current().keyed:
            reach_keys()


def reach_keys() -> None:
    """Makes the protection keys of the current environment count, which uses them, if they do not yet."""
    if reachable & KEYS == 0:
        cpu.reach_keys(u32(environment.current().key_rights))
        reach(KEYS)


def reach(what: u64) -> None:
    """From here on calls that give the processor away come in through `calls.FLOATING_ENTRIES`."""
    global reachable
    reachable |= what
    cpu.write_msr(cpu.LSTAR, asm("mov rax, offset floating_call_entry", "={rax}", returns=u64))


def leave() -> None:
    """Puts out of reach what the current environment had, as another gets the processor."""
    global reachable
    if reachable & KEYS:
        environment.current().key_rights = u64(cpu.hide_keys())
    if reachable & FLOATING:
        cpu.hide_floating()
    reachable = 0
    cpu.write_msr(cpu.LSTAR, asm("mov rax, offset system_call_entry", "={rax}", returns=u64))


def unavailable(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The exception; the environment's context is saved. Returns the root to load."""
    global owner
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
    reach(FLOATING)
    return i64(record.root)
