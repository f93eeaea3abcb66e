# SPDX-License-Identifier: MIT
"""A function of the dialect as an application-specific handler: compiled to an eBPF object by LLVM.

Everything it calls is made part of it (except what is @noinline, which has five registers for its arguments). A handler
has neither module variables nor tables in memory: inspection refuses them. Must never change a meaning.
"""

import types

from exokernel.metal.backend import compile_ir
from exokernel.metal.program import HANDLER, Program


def compile_handler(function: types.FunctionType) -> bytes:
    """The object, whose section `xdp` is the program. Errors: `CompileError`, LLVM's own among them."""
    return compile_ir(Program(HANDLER).compile([function]), False, "handler")
