# SPDX-License-Identifier: MIT
"""Interfaces that cannot be: an error with a place while the image is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from exokernel.host.build import BuildError, build

HEADING = """from exokernel.exos import rpc
from exokernel.metal import i64, u32, u64


"""
GOOD = """@rpc.interface(1)
class Good:
    def add(self, a: u64, b: u32) -> tuple[u64, i64]: ...


"""
MAIN = """

def main() -> None:
    pass
"""
WRONG = {
    "@rpc.interface(1)\nclass A:\n    def f(self) -> u64: ...\n": (
        7,
        "`f` must return an integer or a bool, and the error: `tuple[u64, i64]`",
    ),
    "@rpc.interface(1)\nclass A:\n    def f(self, a: bytes) -> tuple[u64, i64]: ...\n": (
        7,
        "`f` may have up to 6 arguments, each an integer or a bool",
    ),
    "@rpc.interface(1)\nclass A:\n    def f(self, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64)"
    " -> tuple[u64, i64]: ...\n": (7, "`f` may have up to 6 arguments, each an integer or a bool"),
    "@rpc.interface(0)\nclass A:\n    def f(self) -> tuple[u64, i64]: ...\n": (
        5,
        "the methods of `A` have numbers from 1 to 255",
    ),
    GOOD + "def add(caller: u64, a: u64) -> u64:\n    return a\n\n\nrpc.implement(Good, add)\n": (
        10,
        "for `Good.add` this must take (u64, u64, u32) and return u64",
    ),
    GOOD + "rpc.implement(Good)\n": (5, "`Good` has 1 methods"),
    GOOD
    + "def add(caller: u64, a: u64, b: u32) -> u64:\n    return a\n\n\n"
    + "rpc.implement(Good, add)\nrpc.implement(Good, add)\n": (10, "method number 1 is served already"),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_interface_is_an_error_with_a_place(text: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(HEADING + text + MAIN)
    with pytest.raises(BuildError) as caught:
        build([path])
    line, message = WRONG[text]
    assert f"error: {message}\n" in str(caught.value), str(caught.value)
    assert f"{path}:{line}:" in str(caught.value), str(caught.value)
