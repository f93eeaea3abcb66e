# SPDX-License-Identifier: MIT
"""A function of the dialect as an application-specific handler: compiled to an eBPF object by LLVM.

Everything it calls is made part of it (except what is @noinline, which has five registers for its arguments). A handler
has neither module variables nor tables in memory: inspection refuses them. Must never change a meaning.
"""

import re
import types
from pathlib import Path

from exokernel.metal import kinds
from exokernel.metal.backend import compile_ir
from exokernel.metal.errors import CompileError, Diagnostic
from exokernel.metal.program import HANDLER, Program
from exokernel.metal.types import u32

PLACE = re.compile(r"([^\s:]+\.py):(\d+):(\d+): in function ")
LIMITS = (
    ("stack limit", "a function of a handler has 512 bytes of stack", "make its objects smaller"),
    ("signed division", "a handler has no signed division", "divide unsigned integers, and mind the signs yourself"),
    ("too many arguments", "a @noinline function of a handler has five arguments at most", "pass a struct of them"),
    ("built-in function 'mem", "a handler copies a constant number of bytes", "copy the others in a loop"),
    ("Inline asm", "a handler has no assembly", "it runs on any machine that has eBPF"),
)
"""What LLVM finds out at the end, by a part of what it says: our words, and a hint."""


def compile_handler(function: types.FunctionType) -> bytes:
    """The object, whose section `xdp` is the program. Errors: `CompileError`, LLVM's own among them."""
    program = Program(HANDLER)
    handler = program.instance(function)
    kinds_given = [kind for _, kind in handler.parameters]
    if len(kinds_given) != 1 or not kinds.is_struct(kinds_given[0]) or handler.result is not u32:
        node = handler.node
        hint = "a handler begins at `def handler(context: Context) -> u32:`"
        message = "a handler takes its context and returns a u32, an Action"
        end = len(program.source_line(handler.file, node.lineno))
        raise CompileError(Diagnostic(message, handler.file, node.lineno, node.col_offset, end, hint=hint))
    ir = program.compile([function])
    try:
        return compile_ir(ir, False, "handler")
    except CompileError as error:
        raise CompileError(_in_our_words(error.diagnostic, program, handler.file)) from None


def _in_our_words(found: Diagnostic, program: Program, file: str) -> Diagnostic:
    """LLVM's complaint with the place that it names, and without what is only true elsewhere."""
    said = f"{found.message}\n{found.hint}"
    line, column = 1, 0
    if place := PLACE.search(said):
        file = next((source for source in program.sources if Path(source).name == place[1]), file)
        line, column = int(place[2]), max(int(place[3]) - 1, 0)
    for part, message, hint in LIMITS:
        if part in said:
            return Diagnostic(message, file, line, column, column + 1, hint=hint)
    return found
