# SPDX-License-Identifier: MIT
"""Starts children at addresses of the kernel's and at such as are none, and with stack pointers of that kind."""

from typing import Final

from family import ends_otherwise, make

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis
from exokernel.metal import Array, asm, naked, u64

ADDRESSES: Final[Array[u64, 9]] = Array[u64, 9]([
    abi.USER_LIMIT, abi.FRAMES_ADDRESS, 0x7FFFFFFFFFFF, 0x800000000000, 0x7FFFFFFFFFFFFFFF, 0xFFFF800000200000,
    0xFFFFFFFF80200000, 0x3FDFD000, 0xFFFFFFFFFFFFFFFF,
])  # fmt: skip


@naked
def push() -> None:
    """Writes where the stack pointer says."""
    asm("""
        push rax
        mov eax, {abi.Call.EXIT}
        xor edi, edi
        syscall
        ud2
    """)


def main() -> u64:
    got: u64 = 0
    for address in ADDRESSES:
        number = make(0)
        for other in ADDRESSES:
            got += u64(aegis.environment_start(0, other, address) != Error.BAD_ARGUMENT)
        got += u64(aegis.environment_start(0, u64(push), address) != 0)
        got += u64(ends_otherwise(number, 128 + 14) != 0 and ends_otherwise(number, 128 + 13) != 0)
        aegis.unbind(0)
    return got
