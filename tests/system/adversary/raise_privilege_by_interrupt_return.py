# SPDX-License-Identifier: MIT
"""Raises its I/O privilege by an interrupt return, then turns interrupts off."""

from exokernel.metal import asm

ENDS = (13, 14)  # QEMU reads the frame as the kernel would, and meets access prevention


def main() -> None:
    asm(
        "mov rax, rsp; mov ecx, ss; push rcx; push rax; push 0x3202; mov ecx, cs; push rcx; "
        "lea rax, [rip + 3]; push rax; iretq; cli",
        "~{memory},~{flags},~{rax},~{rcx}",
    )
