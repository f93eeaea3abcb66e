# SPDX-License-Identifier: MIT
"""Device lines as events: an application owns a line, hears that it fired, and lets it fire again.

A line is masked when it fires, so no device can keep the processor busy. The kernel knows nothing of the devices
behind the lines but one: the serial port's, whose input goes to the owner of its line, or to anybody while nobody has
it. Environment 0 mints the capabilities of lines; the network's line is the kernel's own.
"""

from exokernel.aegis import capability, environment, information, processor
from exokernel.aegis.abi import LINES, Error, Event, Kind
from exokernel.aegis.environment import NOBODY
from exokernel.machine import interrupts, serial
from exokernel.metal import Array, asm, i64, module_asm, u8, u32, u64

ENTRY_BYTES = 32

owners: Array[u8, LINES] = Array[u8, LINES]([NOBODY] * LINES)
fired: u64 = 0  # written by `calls.line_entry`: the line that interrupts

module_asm(
    ".intel_syntax noprefix\n.globl line_entries\n.balign 32\nline_entries:\n"
    + "\n".join(f".balign {ENTRY_BYTES}\npush rax\nmov eax, {line}\njmp line_entry" for line in range(LINES))
    + "\n.att_syntax\n"
)


def initialize() -> None:
    """Fills in the gates of all lines."""
    entries = asm("mov rax, offset line_entries", "={rax}", returns=u64)
    for line in range(LINES):
        interrupts.set_gate(interrupts.LINES + line, entries + line * ENTRY_BYTES, 1, 0)


def line_bind(slot: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `line_bind`."""
    caller = environment.current().identifier
    line = capability.bound(slot, Kind.LINE)
    if line == capability.UNBOUND:
        return Error.NOT_PERMITTED
    if interrupts.routed >> line & 1 or (owners[line] != NOBODY and owners[line] != caller):
        return Error.BUSY
    owners[line] = u8(caller)
    if line == serial.SERIAL_LINE:
        serial.enable_interrupt()
    interrupts.set_line(u32(line), False)
    return 0


def line_unmask(line: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `line_unmask`."""
    if line >= LINES:
        return Error.BAD_ARGUMENT
    if owners[line] != environment.current().identifier:
        return Error.NOT_OWNER
    interrupts.set_line(u32(line), False)
    return 0


def interrupt(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """A line fired. Returns the root to load."""
    interrupts.set_line(u32(fired), True)
    interrupts.end()
    information.page.events.lines += 1
    owner = u64(owners[fired])
    if owner != NOBODY:
        environment.records[owner].page[0].lines |= u64(1) << fired
        processor.post(owner, Event.LINE)
    return processor.after_interrupt()


def release(identifier: u64) -> None:
    """Takes the lines of an environment that ends."""
    for line in range(LINES):
        if owners[line] == identifier:
            owners[line] = NOBODY
            interrupts.set_line(u32(line), True)


def console_read(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `console_read`."""
    owner = owners[serial.SERIAL_LINE]
    if owner != NOBODY and owner != environment.current().identifier:
        return Error.BUSY
    if not serial.input_ready():
        return Error.NO_INPUT
    return i64(serial.read_console())
