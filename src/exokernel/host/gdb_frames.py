# SPDX-License-Identifier: MIT
"""Run by gdb itself: the way from a system call in the kernel back into the application that made it.

The kernel's entries change stacks and leave no unwind tables; it is the debugger that has to know their shape
(aegis/calls.py: `call_entry`, `switch_entry`, `handle_saved`). An instruction that they begin with says where the
kernel page is. Where the shape is not the expected one, the backtrace ends in the kernel, as without this file.
"""

from typing import Any

import gdb
from gdb.unwinder import Unwinder, register_unwinder

STORE_STACK = b"\x48\x89\x24\x25"  # mov [disp32], rsp
CALL_HANDLER = b"\xff\x14\xc5"  # call [disp32 + rax * 8], 7 bytes
PAGE = 4096
# What `call_entry` pushes: the caller's registers, counted from the stack pointer at its call.
PUSHED = {"r10": 0, "r9": 8, "r8": 16, "rdx": 24, "rsi": 32, "rdi": 40, "rip": 48}
# The end of the kernel page as an interrupt would leave it: rip, cs, flags, rsp, ss; the registers lie below.
SAVED = {"rip": -40, "rsp": -16, "rbx": -72, "rbp": -80}


class FrameId:
    """What tells one frame from another."""

    def __init__(self, sp: Any, pc: Any) -> None:
        self.sp, self.pc = sp, pc


class SystemCallUnwinder(Unwinder):  # type: ignore[misc]
    """Recognises the call of a handler in one of the entries."""

    def __init__(self) -> None:
        super().__init__("aegis-system-calls")

    def __call__(self, pending: Any) -> Any:
        """The unwind information of the frame, or None if it is another one."""
        pc, sp = pending.read_register("rip"), pending.read_register("rsp")
        name = function_at(int(pc))
        if not name.endswith(("call_entry", "handle_saved")) or read(int(pc) - 7, 3) != CALL_HANDLER:
            return None
        page = kernel_page()
        if page is None:
            return None
        unwound = pending.create_unwind_info(FrameId(sp, pc))
        if name.endswith("call_entry"):
            for register, offset in PUSHED.items():
                unwound.add_saved_register(register, word(int(sp) + offset))
            unwound.add_saved_register("rsp", word(page + 8))
            for register in ("rbx", "rbp", "r12", "r13", "r14", "r15"):
                unwound.add_saved_register(register, pending.read_register(register))
        else:
            for register, offset in SAVED.items():
                unwound.add_saved_register(register, word(page + PAGE + offset))
        return unwound


def function_at(address: int) -> str:
    """The symbol at an address, without its offset."""
    text = gdb.execute(f"info symbol {address:#x}", to_string=True)
    return str(text).split(" ")[0]


def kernel_page() -> "int | None":
    """The current environment's kernel page, from the instruction that stores the caller's stack there."""
    try:
        entry = int(gdb.parse_and_eval("(unsigned long) &call_entry"))
    except gdb.error:
        return None
    code = read(entry, 8)
    if code[:4] != STORE_STACK:
        return None
    return (int.from_bytes(code[4:], "little", signed=True) - 8) % (1 << 64)


def read(address: int, size: int) -> bytes:
    """Memory, or nothing where there is none."""
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except gdb.MemoryError:
        return b""


def word(address: int) -> Any:
    """A 64-bit number in memory, as gdb's value."""
    return gdb.Value(int.from_bytes(read(address, 8), "little")).cast(gdb.lookup_type("unsigned long"))


register_unwinder(None, SystemCallUnwinder(), replace=True)
