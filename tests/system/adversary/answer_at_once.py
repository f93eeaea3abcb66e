# SPDX-License-Identifier: MIT
"""Serves every transfer with an answer: company for those whose attack is in their entry for answers."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import asm, naked, u32, u64


@naked
def serve() -> None:
    """Both entries."""
    asm("""
        mov eax, {abi.Call.TRANSFER_BACK}
        syscall
        ud2
    """)


def main() -> None:
    aegis.environment_page().transfer_entry = u32(u64(serve))
    aegis.environment_page().transfer_asynchronous_entry = u32(u64(serve))
    until = read_timestamp() + aegis.system_page().timestamp_frequency // 2
    while read_timestamp() < until:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
