# SPDX-License-Identifier: MIT
"""From the boot loader's jump to Python: the PVH note, the way from 32-bit to 64-bit mode, and the map of memory.

Everything the processor needs on this way (page tables, descriptors) is a link-time constant in the sections .boot and
.boot.tables, at physical address 0x100000; it shows the first GiB and `paging` replaces it. Source: the Xen "x86/HVM
direct boot ABI" (PVH), versions 0 and 1.
"""

from exokernel.machine import cpu, paging
from exokernel.metal import Array, Ptr, asm, inline, module_asm, struct, u32, u64

STACK_BYTES = 16384  # of the kernel, below it one page that stays unmapped
START_MAGIC = 0x336EC578
RAM = 1
LOWEST = 0x100000  # what lies below belongs to firmware and boot loader
SECTIONS_END = 0x110000  # of .boot and .boot.tables

module_asm(f"""
.section .note.Xen, "a", @note
.balign 4
.long 4, 8, 18
.asciz "Xen"
.quad _start

.section .boot, "ax"
.code32
.globl _start
_start:
    cld
    mov $boot_root, %eax
    mov %eax, %cr3
    mov ${cpu.CR4_PAE | cpu.CR4_PGE:#x}, %eax
    mov %eax, %cr4
    mov ${cpu.EFER:#x}, %ecx
    mov ${cpu.EFER_BITS:#x}, %eax
    xor %edx, %edx
    wrmsr
    mov ${cpu.CR0:#x}, %eax
    mov %eax, %cr0
    lgdt boot_descriptors_pointer
    ljmp ${cpu.KERNEL_CODE}, $boot_long_mode
.code64
boot_long_mode:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov ${cpu.KERNEL_DATA}, %eax
    mov %eax, %ss
    mov $kernel_stack + {paging.PAGE + STACK_BYTES}, %rsp
    mov %ebx, %edi
    mov $kernel_start, %rax
    call *%rax
boot_end:
    hlt
    jmp boot_end
.balign 8
boot_descriptors_pointer:
    .word 23
    .quad boot_descriptors
.balign 8
boot_descriptors:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff

.section .boot.tables, "aw"
.balign 4096
boot_root:
    .quad boot_low + 3
    .fill 255, 8, 0
    .quad boot_low + 3
    .fill 254, 8, 0
    .quad boot_high + 3
boot_low:
    .quad boot_gigabyte + 3
    .fill 511, 8, 0
boot_high:
    .fill 510, 8, 0
    .quad boot_gigabyte + 3, 0
boot_gigabyte:
    {".quad " + ", ".join(f"{n << 21 | 0x83:#x}" for n in range(512))}

.bss
.balign 4096
.globl kernel_stack
kernel_stack:
    .skip {paging.PAGE + STACK_BYTES}
.text
""")


@struct
class StartInformation:
    """What the boot loader hands over, by physical address."""

    magic: u32
    version: u32
    flags: u32
    modules: u32
    module_list: u64
    command_line: u64
    rsdp: u64
    memory_map: u64  # from version 1 on
    memory_map_entries: u32
    reserved: u32


@struct
class MemoryMapEntry:
    start: u64
    size: u64
    kind: u32
    reserved: u32


@struct
class Range:
    """Frames [first, end)."""

    first: u64
    end: u64


memory: Array[Range, 16] = Array[Range, 16]()
memory_ranges: u64 = 0
memory_end: u64 = 0  # the frame after the last
memory_frames: u64 = LOWEST // paging.PAGE  # how many there are


def read_memory_map(information: u64) -> bool:
    """Notes the ranges of usable frames, without the first MiB and the fourth GiB. False if there are none."""
    start = Ptr[StartInformation](paging.direct(information))[0]
    if start.magic != START_MAGIC or start.version < 1:
        return False
    entries = Ptr[MemoryMapEntry](paging.direct(start.memory_map))
    for i in range(min(start.memory_map_entries, 128)):
        entry = entries[i]
        if entry.kind == RAM:
            note_memory(entry.start, entry.start + entry.size)
    return memory_ranges > 0


def note_memory(start: u64, end: u64) -> None:
    """Adds the whole frames of [start, end), in bytes, as far as the direct map can show them."""
    global memory_ranges, memory_end, memory_frames
    first = (max(start, LOWEST) + paging.PAGE - 1) // paging.PAGE
    last = min(end, paging.MEMORY_LIMIT) // paging.PAGE
    if start < 1 << 32:
        last = min(last, paging.DEVICES_PHYSICAL // paging.PAGE)
    if first < last and memory_ranges < len(memory):
        memory[memory_ranges].first = first
        memory[memory_ranges].end = last
        memory_ranges += 1
        memory_end = max(memory_end, last)
        memory_frames += last - first


@inline
def frame_of(address: u64) -> u64:
    """The frame of an address in the kernel's image."""
    return (address - paging.KERNEL_BASE) // paging.PAGE


def describe_image(layout: paging.ImageLayout) -> None:
    """Fills in where the linker put the parts of the image. The bundle follows at `layout.end`."""
    layout.code = frame_of(asm("mov rax, offset __text_start", "={rax}", returns=u64))
    layout.constants = frame_of(asm("mov rax, offset __rodata_start", "={rax}", returns=u64))
    layout.data = frame_of(asm("mov rax, offset __data_start", "={rax}", returns=u64))
    layout.end = frame_of(asm("mov rax, offset __image_end", "={rax}", returns=u64))
    layout.guard = frame_of(asm("mov rax, offset kernel_stack", "={rax}", returns=u64))
