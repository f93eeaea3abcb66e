# SPDX-License-Identifier: MIT
"""Time: the timestamp counter, which counts at a constant rate and needs no call."""

from exokernel.aegis import abi
from exokernel.metal import asm, inline, u64


@inline
def now() -> u64:
    """Ticks since the machine started."""
    return asm("rdtsc; shl rdx, 32; or rax, rdx", "={rax},~{rdx},~{flags}", returns=u64)


@inline
def second() -> u64:
    """Ticks per second."""
    return abi.system_page().timestamp_frequency
