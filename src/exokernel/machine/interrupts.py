# SPDX-License-Identifier: MIT
"""Where the processor goes when it is interrupted: the interrupt descriptor table, the local APIC, the I/O APICs.

Vectors 0 to 31 are the processor's exceptions; TIMER, DEVICE and those from LINES on are ours; any other is a stray
that is acknowledged and forgotten. The old interrupt controller (PIC) is masked for good. Sources: SDM volume 3,
chapters 6 and 11; Intel 82093AA data sheet (I/O APIC).
"""

from exokernel.machine import cpu, paging
from exokernel.metal import Array, Ptr, addr, aligned, asm, bits, field, inline, struct, u32, u64, volatile_store

TIMER = 0x20
DEVICE = 0x21
LINES = 0x30  # plus a pin: device lines that applications own
SPURIOUS = 0xFF

LOCAL_APIC = paging.DEVICES + 0xFEE00000
END_OF_INTERRUPT = LOCAL_APIC + 0xB0
SPURIOUS_VECTOR = LOCAL_APIC + 0xF0
LINT0 = LOCAL_APIC + 0x350
MASKED = 1 << 16
ENABLED = 1 << 8

FIRST_IO_APIC = paging.DEVICES + 0xFEC00000
SECOND_IO_APIC = paging.DEVICES + 0xFEC10000  # QEMU's microvm with ACPI
PINS = 24  # of one I/O APIC
LEVEL_TRIGGERED = 1 << 15

routed: u64 = 0  # bit n: pin n of the first I/O APIC is the kernel's


@bits(u64)
class Gate:
    """The low half of an interrupt gate (SDM volume 3, 6.14.1); the high half is the address's upper 32 bits."""

    address_low: u64 = field(0, 15)
    selector: u64 = field(16, 31)
    stack: u64 = field(32, 34)  # 0: the ring's stack or the current one; 1 to 7: an interrupt stack
    kind: u64 = field(40, 43)  # 14: interrupts stay off
    ring: u64 = field(45, 46)  # the highest that may use the gate by an instruction
    present: bool = field(47)
    address_middle: u64 = field(48, 63)


@struct
class Descriptor:
    low: Gate
    high: u64


table: Array[Descriptor, 256] = aligned(64, Array[Descriptor, 256]())


def set_gate(vector: u64, address: u64, stack: u64, ring: u64) -> None:
    """Sends `vector` to `address`."""
    table[vector].low = Gate(
        address_low=address & 0xFFFF,
        selector=cpu.KERNEL_CODE,
        stack=stack,
        kind=14,
        ring=ring,
        present=True,
        address_middle=address >> 16 & 0xFFFF,
    )
    table[vector].high = address >> 32


def load_table() -> None:
    pointer = cpu.TablePointer(limit=4095, base=u64(addr(table)))
    asm("lidt [rdi]", "{rdi},~{memory}", u64(addr(pointer)))


@inline
def write_register(address: u64, value: u32) -> None:
    volatile_store(Ptr[u32](address), value)


def initialize() -> None:
    """Masks the old controller and turns the local APIC on. Interrupts stay off in the processor."""
    cpu.output_byte(0x21, 0xFF)
    cpu.output_byte(0xA1, 0xFF)
    write_register(LINT0, MASKED)
    write_register(SPURIOUS_VECTOR, ENABLED | SPURIOUS)


@inline
def end() -> None:
    """Acknowledges the interrupt being served."""
    write_register(END_OF_INTERRUPT, 0)


def route(io_apic: u64, pin: u32) -> None:
    """Sends the device line at `pin` of an I/O APIC to DEVICE, level-triggered, to the first processor."""
    global routed
    if io_apic == FIRST_IO_APIC:
        routed |= u64(1) << pin
    write_register(io_apic, 0x11 + 2 * pin)
    write_register(io_apic + 0x10, 0)
    write_register(io_apic, 0x10 + 2 * pin)
    write_register(io_apic + 0x10, LEVEL_TRIGGERED | DEVICE)


def set_line(pin: u32, masked: bool) -> None:
    """Sends a pin of the first I/O APIC to vector LINES + pin, level-triggered, or holds it back."""
    write_register(FIRST_IO_APIC, 0x11 + 2 * pin)
    write_register(FIRST_IO_APIC + 0x10, 0)
    write_register(FIRST_IO_APIC, 0x10 + 2 * pin)
    write_register(FIRST_IO_APIC + 0x10, LEVEL_TRIGGERED | LINES + pin | (u32(MASKED) if masked else u32(0)))
