# SPDX-License-Identifier: MIT
"""Returns as from an interrupt, to the kernel's code segment."""

from exokernel.metal import asm

ENDS = (11, 13, 14)  # QEMU reads the frame as the kernel would, and meets access prevention


def main() -> None:
    asm(
        "mov rax, rsp; push 0x10; push rax; push 2; push 8; lea rax, [rip]; push rax; iretq",
        "~{memory},~{flags},~{rax}",
    )
