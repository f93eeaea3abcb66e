# SPDX-License-Identifier: MIT
"""From an entry module to an executable: import it, compile what its ENTRY reaches, assemble, link.

An application is a file with `main`; it is compiled from the library's own entry, with its `main` in place of the
library's empty one. LLVM runs in this process, so callers that must survive bad assembly text call this in a child.
Must never import an application under a name that hides a library.
"""

from __future__ import annotations

import importlib
import importlib.util
import linecache
import sys
import types
import typing
from contextlib import suppress
from pathlib import Path

from exokernel.metal.backend import compile_ir, emit_object
from exokernel.metal.errors import CompileError, Diagnostic
from exokernel.metal.kinds import is_integer
from exokernel.metal.linker import Layout, link
from exokernel.metal.program import APPLICATION, KERNEL, Program

KERNEL_OFFSET = 0xFFFFFFFF80000000
KERNEL_BASE = KERNEL_OFFSET + 0x200000
APPLICATION_BASE = 0x400000


def compile_program(entry_module: str | Path, *, kind: str, isolated: bool = False) -> bytes:
    """The ELF executable of a kernel (`entry_module` is its module) or of an application (its file).

    Errors: `CompileError`; whatever importing the module raises. `isolated` runs LLVM in a child process.
    """
    if kind == "kernel":
        module = importlib.import_module(str(entry_module))
        program = Program(KERNEL, module.OUTPUT)
        entries = [module.ENTRY, *exported(("exokernel.machine.", "exokernel.aegis."))]
        layout = Layout(KERNEL_BASE, "_start", KERNEL_OFFSET)
    else:
        application = import_application(Path(entry_module))
        module = importlib.import_module("exokernel.exos.start")
        given = result_of(application.main)
        vars(module).update(application_main=application.main, GIVES_STATUS=given is not type(None))
        program = Program(APPLICATION, module.OUTPUT)
        entries = [module.ENTRY, *exported((application.__name__,))]
        layout = Layout(APPLICATION_BASE, program.instance(module.ENTRY).symbol)
    ir = program.compile(list(dict.fromkeys(entries)))
    compiler = compile_ir if isolated else emit_object
    return link(compiler(ir, False, program.target.code_model), layout)


def import_application(path: Path) -> types.ModuleType:
    """The application's module, imported by CPython. Its folder is searched for its own modules."""
    # What the compiler still needs is imported before the application's folder can provide something of that name.
    importlib.import_module("llvmlite.binding")
    taken = path.stem in sys.stdlib_module_names or path.stem in sys.modules
    name = f"application_{path.stem}" if taken else path.stem
    sys.path.insert(0, str(path.resolve().parent))
    specification = importlib.util.spec_from_file_location(name, path.resolve())
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    if not isinstance(getattr(module, "main", None), types.FunctionType):
        raise CompileError(
            Diagnostic(
                f"`{path.name}` has no function `main`",
                str(path),
                1,
                0,
                1,
                hint="an application begins at `def main() -> None:`",
            )
        )
    return module


def result_of(main: types.FunctionType) -> object:
    """What an application's `main` is annotated to return; nothing if it has no sound annotation, which the compiler
    will say. Raises CompileError for a `main` that cannot be begun at.
    """
    given: object = type(None)
    with suppress(Exception):
        given = typing.get_type_hints(main).get("return")
    first = main.__code__.co_firstlineno
    if main.__code__.co_argcount or not (given in (None, type(None), bool) or is_integer(given)):
        what = "has no parameters" if main.__code__.co_argcount else "returns nothing, an integer or a bool"
        raise CompileError(
            Diagnostic(
                f"an application's `main` {what}",
                main.__code__.co_filename,
                first,
                0,
                len(linecache.getline(main.__code__.co_filename, first).rstrip()),
                hint="an application begins at `def main() -> None:`",
            )
        )
    return given


def exported(prefixes: tuple[str, ...]) -> list[types.FunctionType]:
    """The @export functions of all loaded modules whose names begin so."""
    found = []
    for name, module in sorted(sys.modules.items()):
        if name.startswith(prefixes):
            for thing in vars(module).values():
                flags = getattr(thing, "__metal__", {})
                if isinstance(thing, types.FunctionType) and thing.__module__ == name and flags.get("export"):
                    found.append(thing)
    return found
