# SPDX-License-Identifier: MIT
"""The only file that follows an address that an application gave.

Such an address is a type of its own, so it cannot be followed by accident. It may point anywhere and be unmapped,
read-only or in the kernel's half: a range outside the user half is refused here, and a fault on the way ends the copy
with an error: the page fault handler finds the interrupted instruction to be one of ours and continues at
`copy_failed`. The caller bounds the length.
"""

from exokernel.aegis.abi import USER_LIMIT
from exokernel.machine import cpu
from exokernel.metal import Span, addr, asm, bits, naked, u8, u64


@bits(u64)
class UserAddress:
    """An address in the current environment, not yet to be trusted."""


@naked
def copy(destination: u64, source: u64, length: u64) -> u64:
    """Copies bytes; 0 when done, 1 after a fault."""
    asm("""
        mov rcx, rdx
        shr rcx, 3
        and edx, 7
        jmp {copy_words}
    """)


@naked
def copy_words() -> None:
    """The first instruction of this and the next function are the two that may fault in the kernel."""
    asm("""
        rep movsq
        mov ecx, edx
        jmp {copy_tail}
    """)


@naked
def copy_tail() -> None:
    """The rest, less than 8 bytes."""
    asm("""
        rep movsb
        xor eax, eax
        ret
    """)


@naked
def copy_failed() -> None:
    """Where a fault in one of the two continues."""
    asm("""
        mov eax, 1
        ret
    """)


def continuation(ip: u64) -> u64:
    """Where to continue after a page fault at `ip` in the kernel; 0 if it must not happen there."""
    if ip == u64(copy_words) or ip == u64(copy_tail):
        return u64(copy_failed)
    return 0


def is_user_range(address: UserAddress, length: u64) -> bool:
    """Whether all of the range lies in the user half."""
    return length <= USER_LIMIT and address.raw <= USER_LIMIT - length


def copy_in(destination: Span[u8], source: UserAddress) -> bool:
    """Fills `destination` from the current environment's memory. False, with an unknown part of it written, if that
    cannot be read.
    """
    length = len(destination)
    if length == 0:
        return True
    if not is_user_range(source, length):
        return False
    cpu.allow_user_access()
    failed = copy(u64(addr(destination[0])), source.raw, length)
    cpu.forbid_user_access()
    return failed == 0
