# SPDX-License-Identifier: MIT
"""The process that compiles one program: `python -m exokernel.host.worker KIND SOURCE PLACE [--color]`.

It imports the compiler, LLVM and the user's own module, any of which may be slow, print, or end the process; that is
why it is a process. What is wrong with the program goes to its output, rendered for a person; its exit status says
whose mistake it is. It must never show a traceback of ours for a mistake of the user's.
"""

import ast
import os
import sys
import sysconfig
import time
import traceback
from pathlib import Path
from types import TracebackType

from exokernel.host.build import INTERNAL_ERROR, WRONG_PROGRAM, Declared, cache_folder, llvm_version_file, store
from exokernel.host.terminal import Failure

PACKAGE = Path(__file__).resolve().parents[1]
DIALECT = tuple(PACKAGE / name for name in ("machine", "aegis", "exos"))
INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def main(kind: str, source: str, place: str, color: bool) -> int:
    """Compile and store one program; the exit status."""
    started = time.time()
    opened: set[str] = set()
    sys.addaudithook(lambda event, arguments: _note_open(opened, event, arguments))
    try:
        from exokernel.metal.build import compile_program
        from exokernel.metal.errors import CompileError

        try:
            if kind == "application":
                import exokernel.exos.start  # noqa: F401

                # From here on nothing is written beside the user's own files, where Python would take a
                # compiled file for current that is not (it compares whole seconds).
                sys.dont_write_bytecode = True
            elf = compile_program(source if kind == "kernel" else Path(source), kind=kind)
            declared = _declarations(source) if kind == "application" else {}
            try:
                store(Path(place), elf, _sources(source, opened), declared, started)
            except Failure as failure:
                print(failure.render(color))
                return WRONG_PROGRAM
        except CompileError as error:
            print(error.render(color))
            return WRONG_PROGRAM
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            if (rendered := _render(error, source, color)) is None:
                raise
            print(rendered)
            return WRONG_PROGRAM
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        if os.environ.get("EXO_TRACEBACK"):
            traceback.print_exc()
        name = f"{type(error).__name__}: {error}"
        print(f"error: a bug in the compiler, while it compiled {source}: {name}")
        print("hint: please report it with the program; EXO_TRACEBACK=1 shows where it happened")
        return INTERNAL_ERROR
    return 0


def _note_open(opened: set[str], event: str, arguments: tuple[object, ...]) -> None:
    """Remember each file opened for reading: a table read at build time is part of the program."""
    if event == "open" and isinstance(arguments[0], str) and arguments[1] in ("r", "rb", None):
        opened.add(arguments[0])


def _sources(source: str, opened: set[str]) -> list[Path]:
    """Every file this program was made of, the installed libraries apart (for these, llvmlite's version stands)."""
    names = opened | {f for m in list(sys.modules.values()) if isinstance(f := getattr(m, "__file__", None), str)}
    paths = {Path(name).resolve() for name in names} | ({Path(source)} if source.endswith(".py") else set())
    skipped = (*INSTALLED, cache_folder(), Path("/proc"), Path("/sys"), Path("/dev"))
    found = {
        p
        for p in paths
        if p.is_file() and p.suffix != ".pyc" and not any(p.is_relative_to(folder) for folder in skipped)
    }
    version = llvm_version_file()
    return sorted(found | ({version} if version else set()))


def _declarations(source: str) -> dict[str, list[Declared]]:
    """What the application declares in FORWARD, PROGRAMS and FILES. Only FORWARD is checked: the others name files,
    which may change.
    """
    from exokernel.host.machine import Forward
    from exokernel.metal.errors import CompileError, Diagnostic

    module = next(m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == source)
    found: dict[str, list[Declared]] = {}
    for name, example in (("FORWARD", "udp:7777:7"), ("PROGRAMS", "worker.py"), ("FILES", "motd.txt")):
        value = getattr(module, name, [])
        strings = isinstance(value, (list, tuple)) and all(
            isinstance(item, str) and item.isprintable() for item in value
        )
        found[name] = [Declared(item, *_place(source, name, item)) for item in value] if strings else []
        try:
            if not strings:
                raise Failure(f"it is a list of printable strings, and not {value!r}", f'write {name} = ["{example}"]')
            if name == "FORWARD":
                found[name] = [item._replace(text=str(Forward.parse(item.text))) for item in found[name]]
        except Failure as failure:
            place = _place(source, name)
            raise CompileError(Diagnostic(f"{name}: {failure.message}", source, *place, hint=failure.hint)) from None
    return found


def _place(source: str, name: str, item: str | None = None) -> tuple[int, int, int]:
    """Line and columns of `item` in the module's assignment to `name`; of the assignment; or of the file's beginning."""
    for statement in ast.parse(Path(source).read_bytes()).body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        if any(isinstance(t, ast.Name) and t.id == name for t in targets):
            here = [
                n for n in ast.walk(statement) if isinstance(n, ast.Constant) and item is not None and n.value == item
            ]
            node: ast.stmt | ast.expr = here[0] if here else statement
            line, column, end = node.lineno, node.col_offset, node.end_col_offset or 0
            return line, column, end if node.end_lineno == line else column + 1
    return 1, 0, 1


def _render(error: BaseException, source: str, color: bool) -> str | None:
    """A mistake in the user's or the kernel's source as a diagnostic; None when the mistake is the compiler's."""
    from exokernel.metal.errors import Diagnostic

    if isinstance(error, SyntaxError) and error.filename:
        column = max((error.offset or 1) - 1, 0)
        end = max((error.end_offset or 0) - 1, column + 1) if error.end_lineno == error.lineno else column + 1
        return Diagnostic(error.msg, error.filename, error.lineno or 1, column, end).render(color)
    place = _deepest(error.__traceback__, Path(source))
    if place is None and (isinstance(error, SyntaxError) or "null bytes" in str(error)):
        place = source, 1  # CPython does not say where a null byte is, and before 3.11.4 it is a ValueError
    if place is None:
        return None
    file, line = place
    text = str(error) or "(no message)"
    return Diagnostic(
        f"{type(error).__name__} while the module was imported: {text}", file, line, *_extent(file, line)
    ).render(color)


def _deepest(trace: TracebackType | None, source: Path) -> tuple[str, int] | None:
    """The innermost line of a traceback that is in the program's own files, not in the compiler or a library."""
    found = None
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_absolute() and (
            any(file.is_relative_to(folder) for folder in DIALECT)
            or (not file.is_relative_to(PACKAGE) and not any(file.is_relative_to(folder) for folder in INSTALLED))
        ):
            found = str(file), trace.tb_lineno
        trace = trace.tb_next
    return found


def _extent(file: str, line: int) -> tuple[int, int]:
    """The columns of a source line's text."""
    import linecache

    text = linecache.getline(file, line).rstrip()
    return len(text) - len(text.lstrip()), max(len(text), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], "--color" in sys.argv[4:]))
