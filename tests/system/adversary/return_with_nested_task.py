# SPDX-License-Identifier: MIT
"""Returns as from a nested task."""

from exokernel.metal import asm

ENDS = (13,)


def main() -> None:
    asm("pushfq; or dword ptr [rsp], 0x4000; popfq; iretq", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
