# SPDX-License-Identifier: MIT
"""Returns far, to the kernel's code segment."""

from exokernel.metal import asm

ENDS = (11, 13, 14)  # QEMU reads the stack as the kernel would, and meets access prevention


def main() -> None:
    asm("push 8; lea rax, [rip]; push rax; retfq", "~{memory},~{flags},~{rax},~{rcx},~{rdx}")
