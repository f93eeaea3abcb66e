# SPDX-License-Identifier: MIT
"""Crashes as a person reads them: what happened, where in the Python source, the registers.

Input is an event of the control channel and the programs of the image; output is text. Nothing here
talks to the machine.
"""

import linecache
import os
from collections.abc import Sequence

from exokernel.host.build import Compiled
from exokernel.host.machine import Event
from exokernel.host.symbolize import Frame, Symbolizer
from exokernel.host.terminal import BOLD, CYAN, DIM, RED, paint

# Intel SDM volume 3, table 6-1.
EXCEPTIONS = {
    0: "division error",
    1: "debug exception",
    2: "non-maskable interrupt",
    3: "breakpoint",
    4: "overflow",
    5: "bound range exceeded",
    6: "invalid instruction",
    7: "floating-point or vector instruction, which is not available",
    8: "double fault",
    10: "invalid task state segment",
    11: "segment not present",
    12: "stack-segment fault",
    13: "general protection fault",
    14: "page fault",
    16: "floating-point error",
    17: "misaligned access",
    18: "machine check",
    19: "vector floating-point error",
}
PAGE_FAULT = 14
REGISTERS = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "sp", "r8", "r9"),
    *("r10", "r11", "r12", "r13", "r14", "r15", "ip", "flags"),
)


def crash(event: Event, kernel: Compiled, applications: Sequence[Compiled]) -> str:
    """The report of an `ended reason=exception` or a `panic` event."""
    address = event.number("ip")
    program = _program(event, address, kernel, applications)
    symbols = Symbolizer(program.elf) if program else None
    trap = symbols.trap(address) if symbols and address is not None else None
    frames = symbols.frames(address) if symbols and address is not None else []

    if event.name == "panic":
        who = "the kernel"
    else:
        environment = event.number("environment")
        name = event.values.get("name", "?")
        who = f"{name} (environment {environment})" if environment is not None else name
    lines = [f"{paint('crash', RED, BOLD)}: {paint(f'{who}: {what(event, trap)}', BOLD)}"]
    lines += _place(frames, address)
    lines += _registers(event)
    return "\n".join(lines)


def what(event: Event, trap: str | None) -> str:
    """What happened, in words. `trap` is the reason of the dialect's own check, if it was one."""
    if trap is not None:
        return "an assertion failed" if trap == "assert" else trap
    vector = event.number("vector")
    if vector is None:
        return event.values.get("reason", "stopped")
    name = EXCEPTIONS.get(vector, "unexpected interrupt")
    if vector == PAGE_FAULT:
        # Error code: Intel SDM volume 3, section 4.7.
        error = event.number("error") or 0
        access = "executing" if error & 16 else "writing" if error & 2 else "reading"
        why = "it is protected" if error & 1 else "nothing is mapped there"
        accessed = event.number("address")
        place = f"{accessed:#x}" if accessed is not None else "an unknown address"
        return f"{name}: {access} {place}, {why}"
    code = event.number("error")
    return f"{name} (vector {vector}{f', error code {code:#x}' if code else ''})"


def _program(event: Event, address: int | None, kernel: Compiled, applications: Sequence[Compiled]) -> Compiled | None:
    """Whose code the address is: the kernel is in the upper half, an application is found by its name."""
    if event.name == "panic" or (address is not None and address >> 63):
        return kernel
    return next((a for a in applications if a.name == event.values.get("name")), None)


def _place(frames: list[Frame], address: int | None) -> list[str]:
    lines = []
    for depth, frame in enumerate(frames):
        word = "at" if depth == 0 else "inlined in"
        file = frame.file and os.path.relpath(frame.file)
        if file.startswith("../.."):
            file = frame.file
        place = f"{file}:{frame.line}" if file else f"{address:#x}"
        lines.append(f"  {word} {paint(place, CYAN)}" + (f" in {frame.function}" if frame.function else ""))
        source = linecache.getline(frame.file, frame.line).strip() if frame.file else ""
        if source:
            lines.append(f"      {source}")
    if not frames and address is not None:
        lines.append(f"  at {address:#x}, which is in no program's code")
    return lines


def _registers(event: Event) -> list[str]:
    """The registers that the event names, four to a row."""
    known = [(name, value) for name in REGISTERS if (value := event.number(name)) is not None]
    cells = [f"{name:>5} {value:016x}" for name, value in known]
    return [paint("  " + "  ".join(cells[row : row + 4]), DIM) for row in range(0, len(cells), 4)]
