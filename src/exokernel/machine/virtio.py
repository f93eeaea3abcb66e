# SPDX-License-Identifier: MIT
"""Virtio 1.x, as much as a network card needs: finding the device, its registers over memory-mapped I/O or PCI, and
split queues.

QEMU's `microvm` has memory-mapped slots, which are scanned; `pc` and `q35` have a PCI bus, whose first bus is scanned.
The device is not trusted: what it writes into a queue is checked before use. Source: OASIS, Virtual I/O Device
(VIRTIO) version 1.2; section numbers are of that.
"""

from exokernel.machine import cpu, interrupts, paging
from exokernel.metal import *

NETWORK_DEVICE = 1
FEATURE_MAC = 5  # 5.1.3: the device knows its address
FEATURE_VERSION_1 = 32  # 6: not the legacy interface
QUEUE_LENGTH = 256
FOLLOWED = 1  # descriptor flags (2.7.5): the buffer goes on in `next`
DEVICE_WRITES = 2
NO_INTERRUPT = 1  # flag of the available ring (2.7.6)

ACKNOWLEDGE = 1  # device status (2.1)
DRIVER = 2
DRIVER_OK = 4
FEATURES_OK = 8

# Memory-mapped slots (4.2). The addresses are those of QEMU's microvm.
SLOTS = paging.DEVICES + 0xFEB00000
SLOT_BYTES = 512
SLOTS_WITHOUT_ACPI = 8
SLOTS_WITH_ACPI = 24
FIRST_PIN_WITHOUT_ACPI = 5
MAGIC = 0x74726976
DEVICE_CONFIGURATION = 0x100

# PCI (4.1) and its configuration space
CONFIGURATION_ADDRESS = 0xCF8
CONFIGURATION_DATA = 0xCFC
NETWORK_CARD = 0x10411AF4
NETWORK_CARD_TRANSITIONAL = 0x10001AF4
MEMORY_AND_MASTER = 6
VENDOR_CAPABILITY = 9
CAPABILITIES = 48  # more do not fit


@struct
class Registers:
    """Where one kind of transport keeps what all have, as addresses."""

    is_pci: bool
    common: u64
    configuration: u64  # of the kind of device
    interrupt_status: u64
    notify: u64
    notify_step: u64  # PCI: bytes per unit of a queue's notification offset


@struct
class Descriptor:
    """2.7.5"""

    address: u64
    length: u32
    flags: u16
    next: u16


@struct(volatile=True)
class Available:
    """2.7.6: buffers given to the device."""

    flags: u16
    index: u16
    ring: Array[u16, QUEUE_LENGTH]
    unused: Array[u8, 1024 - 4 - 2 * QUEUE_LENGTH]


@struct(volatile=True)
class UsedElement:
    id: u32
    length: u32


@struct(volatile=True)
class Used:
    """2.7.8: buffers that the device has finished with."""

    flags: u16
    index: u16
    ring: Array[UsedElement, QUEUE_LENGTH]
    unused: Array[u8, 3072 - 4 - 8 * QUEUE_LENGTH]


@struct
class Queue:
    """Two pages, shared with the device."""

    descriptors: Array[Descriptor, QUEUE_LENGTH]
    available: Available
    used: Used


@struct
class QueueState:
    """What the driver keeps to itself about a queue."""

    next_available: u16
    next_used: u16
    notify: u64  # the address to store the queue's number to


registers: Registers = Registers()


@inline
def physical(address: u64) -> u64:
    """Of an object in the kernel's image, which is what the device needs."""
    return address - paging.KERNEL_BASE


@inline
def read8(address: u64) -> u8:
    return volatile_load(Ptr[u8](address))


@inline
def read16(address: u64) -> u16:
    return volatile_load(Ptr[u16](address))


@inline
def read32(address: u64) -> u32:
    return volatile_load(Ptr[u32](address))


@inline
def write8(address: u64, value: u8) -> None:
    volatile_store(Ptr[u8](address), value)


@inline
def write16(address: u64, value: u16) -> None:
    volatile_store(Ptr[u16](address), value)


@inline
def write32(address: u64, value: u32) -> None:
    volatile_store(Ptr[u32](address), value)


# ---- finding the device


def find_network() -> bool:
    """Finds the first network card, notes its registers and routes its interrupt to vector DEVICE."""
    if read_configuration(0, 0) & 0xFFFF != 0xFFFF:
        return find_on_pci()
    return find_slot()


def find_slot() -> bool:
    """4.2.2: a slot shows a magic number, even an empty one. With ACPI there are more, on another I/O APIC."""
    slots: u32 = SLOTS_WITHOUT_ACPI
    if read32(SLOTS + SLOTS_WITHOUT_ACPI * SLOT_BYTES) == MAGIC:
        slots = SLOTS_WITH_ACPI
    for slot in range(slots):
        base = SLOTS + u64(slot) * SLOT_BYTES
        if read32(base) == MAGIC and read32(base + 4) == 2 and read32(base + 8) == NETWORK_DEVICE:
            registers.is_pci = False
            registers.common = base
            registers.configuration = base + DEVICE_CONFIGURATION
            registers.interrupt_status = base + 0x60
            registers.notify = base + 0x50
            if slots == SLOTS_WITH_ACPI:
                interrupts.route(interrupts.SECOND_IO_APIC, slot)
            else:
                interrupts.route(interrupts.FIRST_IO_APIC, FIRST_PIN_WITHOUT_ACPI + slot)
            return True
    return False


def read_configuration(device: u32, offset: u32) -> u32:
    """A word of PCI configuration space, bus 0, function 0."""
    cpu.output_word(CONFIGURATION_ADDRESS, 1 << 31 | device << 11 | offset & 0xFC)
    return cpu.input_word(CONFIGURATION_DATA)


def write_configuration(device: u32, offset: u32, value: u32) -> None:
    cpu.output_word(CONFIGURATION_ADDRESS, 1 << 31 | device << 11 | offset & 0xFC)
    cpu.output_word(CONFIGURATION_DATA, value)


def find_on_pci() -> bool:
    for device in range(u32(32)):
        identity = read_configuration(device, 0)
        if identity == NETWORK_CARD or identity == NETWORK_CARD_TRANSITIONAL:
            return set_up_pci(device)
    return False


def region(device: u32, bar: u32) -> u64:
    """The address of a memory region, which the firmware has placed; 0 if it lies where the kernel does not reach."""
    if bar > 5:
        return 0
    low = read_configuration(device, 0x10 + 4 * bar)
    if low & 1:
        return 0
    start = u64(low & 0xFFFFFFF0)
    if low & 6 == 4 and bar < 5:
        start |= u64(read_configuration(device, 0x14 + 4 * bar)) << 32
    if start < paging.DEVICES_PHYSICAL or start >= 1 << 32:
        return 0
    return paging.DEVICES + start


def set_up_pci(device: u32) -> bool:
    """4.1.4: vendor capabilities say where the registers are. The firmware's interrupt line is an I/O APIC pin on `pc`
    and `q35`.
    """
    write_configuration(device, 4, read_configuration(device, 4) & 0xFFFF | MEMORY_AND_MASTER)
    registers.is_pci = True
    offset = read_configuration(device, 0x34) & 0xFC
    for i in range(CAPABILITIES):
        if offset == 0:
            break
        head = read_configuration(device, offset)
        if head & 0xFF == VENDOR_CAPABILITY:
            start = region(device, read_configuration(device, offset + 4) & 0xFF)
            at = start + u64(read_configuration(device, offset + 8))
            if start != 0:
                match head >> 24:
                    case 1:
                        registers.common = at
                    case 2:
                        registers.notify = at
                        registers.notify_step = u64(read_configuration(device, offset + 16))
                    case 3:
                        registers.interrupt_status = at
                    case 4:
                        registers.configuration = at
        offset = head >> 8 & 0xFC
    if not (registers.common and registers.notify and registers.interrupt_status and registers.configuration):
        return False
    line = read_configuration(device, 0x3C) & 0xFF
    if line >= interrupts.PINS:
        return False
    interrupts.route(interrupts.FIRST_IO_APIC, line)
    return True


# ---- the registers that both transports have


def read_status() -> u32:
    if registers.is_pci:
        return u32(read8(registers.common + 0x14))
    return read32(registers.common + 0x70)


def write_status(status: u32) -> None:
    if registers.is_pci:
        write8(registers.common + 0x14, u8(status))
    else:
        write32(registers.common + 0x70, status)


def offered_features() -> u64:
    select = registers.common if registers.is_pci else registers.common + 0x14
    value = registers.common + 4 if registers.is_pci else registers.common + 0x10
    write32(select, 0)
    low = read32(value)
    write32(select, 1)
    return u64(read32(value)) << 32 | low


def accept_features(features: u64) -> None:
    select = registers.common + 8 if registers.is_pci else registers.common + 0x24
    value = registers.common + 12 if registers.is_pci else registers.common + 0x20
    write32(select, 0)
    write32(value, u32(features))
    write32(select, 1)
    write32(value, u32(features >> 32))


def start_device(wanted: u64) -> bool:
    """3.1.1, up to the features: resets the device and agrees on exactly `wanted`. False if it does not offer them."""
    write_status(0)
    write_status(ACKNOWLEDGE)
    write_status(ACKNOWLEDGE | DRIVER)
    if offered_features() & wanted != wanted:
        return False
    accept_features(wanted)
    write_status(ACKNOWLEDGE | DRIVER | FEATURES_OK)
    return read_status() & FEATURES_OK != 0


def set_up_queue(number: u16, queue: Queue, state: QueueState) -> bool:
    """3.1.1, 4.1.5.1.3, 4.2.3.2: tells the device where a queue is. False if it cannot be that long."""
    common = registers.common
    if registers.is_pci:
        write16(common + 0x16, number)
        if read16(common + 0x18) < QUEUE_LENGTH:
            return False
        write16(common + 0x18, QUEUE_LENGTH)
        state.notify = registers.notify + u64(read16(common + 0x1E)) * registers.notify_step
    else:
        write32(common + 0x30, number)
        if read32(common + 0x34) < QUEUE_LENGTH:
            return False
        write32(common + 0x38, QUEUE_LENGTH)
        state.notify = registers.notify
    places = common + (0x20 if registers.is_pci else 0x80)
    step: u64 = 8 if registers.is_pci else 0x10
    write64(places, physical(u64(addr(queue.descriptors))))
    write64(places + step, physical(u64(addr(queue.available))))
    write64(places + 2 * step, physical(u64(addr(queue.used))))
    if registers.is_pci:
        write16(common + 0x1C, 1)
    else:
        write32(common + 0x44, 1)
    return True


def write64(address: u64, value: u64) -> None:
    write32(address, u32(value))
    write32(address + 4, u32(value >> 32))


def finish_start() -> None:
    write_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)


@inline
def acknowledge_interrupt() -> None:
    """Over PCI reading the status clears it (4.1.4.5), over mmio writing it back does (4.2.2)."""
    if registers.is_pci:
        read8(registers.interrupt_status)
    else:
        write32(registers.interrupt_status + 4, read32(registers.interrupt_status))


# ---- queues


@inline
def offer(queue: Queue, state: QueueState, descriptor: u16) -> None:
    """Gives a buffer to the device (2.7.13)."""
    following = state.next_available + 1
    queue.available.ring[state.next_available % QUEUE_LENGTH] = descriptor
    state.next_available = following
    compiler_barrier()
    queue.available.index = following


@inline
def notify(number: u16, state: QueueState) -> None:
    """Tells the device that there are new buffers."""
    compiler_barrier()
    if registers.is_pci:
        write16(state.notify, number)
    else:
        write32(state.notify, number)
