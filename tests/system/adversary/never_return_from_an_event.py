# SPDX-License-Identifier: MIT
"""Asked for frames, computes in its event's upcall until it ends."""

from family import await_order, hoard

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import asm, naked, u32, u64

REVOKED = True


@naked
def spin() -> None:
    """Longer than the order waits."""
    asm("""
        mov rcx, 400000000
    2:
        dec rcx
        jnz 2b
        mov eax, {abi.Call.EXIT}
        xor edi, edi
        syscall
        ud2
    """)


def main() -> u64:
    hoard()
    aegis.environment_page().event_entry = u32(u64(spin))
    await_order()
    while True:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    return 1
