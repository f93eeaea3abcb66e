# SPDX-License-Identifier: MIT
"""What the documents show is true: every example is run, every error shown is the one that comes.

Blocks of code in README.md and docs/ are compiled and run as they stand. The examples inside the sentences of
docs/dialect.md are found, letter for letter, in cases/document.py, which `test_cases.py` runs three ways, or in a golden
error case if the sentence says that they are refused. A new example without a test fails here.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from exokernel.metal import native, simulate
from exokernel.metal.errors import CompileError

ROOT = Path(__file__).parents[2]
# Programs that need a machine, and handlers: tests/docs and tests/host/test_ash.py run them.
ELSEWHERE = {ROOT / f"docs/{name}.md" for name in ("exos", "tracing", "handlers")}
DOCUMENTS = [ROOT / "README.md", *sorted({*(ROOT / "docs").glob("**/*.md")} - ELSEWHERE)]
DIALECT = (ROOT / "docs/dialect.md").read_text()
DESIGN = ROOT / "docs/decisions"  # decisions sketch interfaces; what holds today is in the other documents

REFUSED = {
    "/": "true_division", "**": "power_operator", "-x": "negate_unsigned", "x = 5": "untyped_literal",
    "a.inner = b": "embedded_struct_assigned", "*args": "variable_arguments", "with": "with_statement",
    "del": "delete_statement", "from counters import count": "variable_imported_by_value", "==": "equality_of_structs",
}  # fmt: skip
"""Examples of what is an error, and the golden case that shows it."""

SHAPES = {
    "u16be u32be u64be i16be i32be i64be", "u8 u16 u32 u64 i8 i16 i32 i64", "i <= j <= len", "Array[T, N]", "Span[T]",
    "Ptr[T]", "Ptr[Array[T, N]]", "Span[u8]", "Array[u8, N]", "Callable[[u32], u32]", "tuple[u32, bool]", "(p, v)",
    "[[fill]align][0][width][x|X|b|o|d|c]", "if/elif/else", "while/else", "for/else", "range(...)", "enumerate(...)",
    "|", "#", "//", "%", "!=", "asm(template, constraints, *inputs, returns=T)", "~{memory}", "{NAME}",
    '{offsetof(S, "f")}', "{sizeof(S)}", 'asm("""...""")', "module_asm(text)", "native.compile_functions([f])",
    "simulate.simulated(f)", "@naked", "@helper(NUMBER)", "module.count = 1", "import counters; counters.count", "sep=", "{x:c}",
    "sizeof(T)", "Ptr[T](0)", "Ptr[U](p)", "Ptr[T](address)", "Ptr[T](u64(p))", 'offsetof(T, "field")', "u8 + u8",
    "Span[T](pointer, length)", "aligned(4096, value)", 'placed(".section", value)', 'format_into(buffer, f"...")',
    "addr(x)", "CRC: Final[Array[u32, 256]] = Array[u32, 256](make_table())",
}  # fmt: skip
"""Names, forms with placeholders, and what only an image can run; the case files use each of them with real types."""


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), flags=re.DOTALL)


PROGRAMS = [(d, text) for d in DOCUMENTS if DESIGN not in d.parents for text in blocks(d, "python")]


def load(text: str, folder: Path, name: str = "example") -> ModuleType:
    """Import a block; the blocks of docs/dialect.md stand below its first line, the import."""
    if "import" not in text:
        text = "from exokernel.metal import *\n\n\n" + text
    path = folder / f"{name}.py"
    path.write_text(text)
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def use_point(module: ModuleType, folder: Path) -> None:
    user = load(
        f"{DIALECT_IMPORT}from example import Point\n\n\ndef use() -> u32:\n    return Point(1, 2).sum()\n",
        folder,
        "user",
    )
    assert native.compile_functions([user.use]).use() == simulate.simulated(user.use)() == 3


def use_entry(module: ModuleType, folder: Path) -> None:
    body = "    e = PageTableEntry(raw)\n    e.frame = 9\n    return e.raw\n"
    user = load(
        f"{DIALECT_IMPORT}from example import PageTableEntry\n\n\ndef use(raw: u64) -> u64:\n{body}", folder, "user"
    )
    assert native.compile_functions([user.use]).use(0x5003) == simulate.simulated(user.use)(0x5003) == 0x9003


def use_timestamp(module: ModuleType, folder: Path) -> None:
    compiled = native.compile_functions([module.read_timestamp])
    assert 0 < compiled.read_timestamp() < compiled.read_timestamp()


def use_main(module: ModuleType, folder: Path) -> None:
    compiled, simulated = native.compile_functions([module.main]), simulate.simulated(module.main)
    compiled.main()
    simulated()
    assert compiled.output and bytes(compiled.output) == bytes(simulated.output)


DIALECT_IMPORT = "from exokernel.metal import *\n"
USES: dict[str, Callable[[ModuleType, Path], None]] = {
    "Point": use_point, "PageTableEntry": use_entry, "read_timestamp": use_timestamp, "main": use_main,
}  # fmt: skip


@pytest.mark.parametrize(("document", "text"), PROGRAMS, ids=[d.name + ":" + t[:24] for d, t in PROGRAMS])
def test_block_runs(document: Path, text: str, tmp_path: Path) -> None:
    module: Any = load(text, tmp_path)
    used = [use for name, use in USES.items() if name in vars(module)]
    assert used, "no test uses this example: add one to USES"
    for use in used:
        use(module, tmp_path)


def test_error_in_readme_is_the_one_that_comes(tmp_path: Path) -> None:
    readme = ROOT / "README.md"
    shown = [text for text in blocks(readme, "console") if text.startswith("error:")]
    program = next(text for text in blocks(readme, "python") if "mine.py" in text)
    assert len(shown) == 1
    line = shown[0].splitlines()[3].split("|", 1)[1][1:]
    right = program.splitlines()[int(shown[0].splitlines()[3].split("|")[0]) - 1]
    module: Any = load(program.replace(right, line), tmp_path, "mine")
    with pytest.raises(CompileError) as caught:
        native.compile_functions([module.main])
    assert caught.value.render().replace(f"{tmp_path}/", "") == shown[0].rstrip("\n")


def test_every_example_in_the_text_is_a_case() -> None:
    cases = (Path(__file__).parent / "cases/document.py").read_text()
    golden = Path(__file__).parent / "errors"
    prose = re.sub(r"```.*?```", "", DIALECT, flags=re.DOTALL)
    missing = []
    for example in dict.fromkeys(re.findall(r"`([^`\n]+)`", prose)):
        if example in REFUSED:
            assert (golden / f"{REFUSED[example]}.txt").exists()
        elif not (re.fullmatch(r"[\w.]+", example) or example in SHAPES or example in cases):
            missing.append(example)
    assert not missing, f"add a case to cases/document.py for {missing}"
