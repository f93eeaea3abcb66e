# SPDX-License-Identifier: MIT
"""Every wrong program of `errors/` is refused, with exactly the message, place and hint in the text file beside it.

To accept new renderings after reading each of them: `UPDATE_GOLDEN=1 pytest tests/metal/test_errors.py`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from exokernel.metal import native
from exokernel.metal.errors import CompileError

FOLDER = Path(__file__).parent / "errors"
PROGRAMS = sorted(FOLDER.glob("*.py"))


def load(path: Path) -> ModuleType:
    """Import a wrong program: CPython finds nothing wrong with it."""
    name = f"metal_errors_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_is_refused_with_this_message(path: Path) -> None:
    module = load(path)
    with pytest.raises(CompileError) as caught:
        native.compile_functions([module.main])
    rendered = caught.value.render().replace(f"{FOLDER}{os.sep}", "") + "\n"
    golden = path.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered)
    assert rendered == golden.read_text()


def test_an_expression_nested_too_deeply_is_an_error_at_its_statement(tmp_path: Path) -> None:
    """It was a RecursionError of the compiler."""
    path = tmp_path / "deep.py"
    path.write_text(f"from exokernel.metal import i32\n\n\ndef main(x: i32) -> i32:\n    return {'-' * 2000}x\n")
    with pytest.raises(CompileError) as caught:
        native.compile_functions([load(path).main])
    assert caught.value.render().startswith("error: this is nested too deeply\n") and ":5:5" in caught.value.render()


def test_there_are_enough() -> None:
    assert len(PROGRAMS) >= 80
