# SPDX-License-Identifier: MIT
"""The ways out of the machine: the serial port for what applications print, the control channel for what the kernel
reports to the host, and the exit port. The kernel never prints on the serial port.
"""

from exokernel.machine import cpu
from exokernel.metal import noreturn, u8, u32

SERIAL = 0x3F8  # COM1; QEMU's never blocks and needs no setting up
SERIAL_INTERRUPTS = SERIAL + 1  # bit 0: when a byte has come
SERIAL_STATUS = SERIAL + 5  # bit 0: a byte is there
SERIAL_LINE = 4  # of the I/O APIC
CONTROL = 0xE9  # QEMU's isa-debugcon
EXIT = 0xF4  # QEMU's isa-debug-exit: ends QEMU with status 2 * value + 1


def write_console(text: bytes) -> None:
    """Writes to the serial port."""
    cpu.output_bytes(SERIAL, text)


def input_ready() -> bool:
    """Whether something was typed."""
    return cpu.input_byte(SERIAL_STATUS) & 1 != 0


def read_console() -> u8:
    """What was typed, if `input_ready`."""
    return cpu.input_byte(SERIAL)


def enable_interrupt() -> None:
    """From now on typing raises SERIAL_LINE until all is read."""
    cpu.output_byte(SERIAL_INTERRUPTS, 1)


def write(text: bytes) -> None:
    """Writes to the control channel: where the kernel's own `print` goes."""
    cpu.output_bytes(CONTROL, text)


@noreturn
def leave(value: u32) -> None:
    """Ends the machine: 0 after an orderly end, 1 after a panic."""
    cpu.output_word(EXIT, value)
    cpu.stop()
