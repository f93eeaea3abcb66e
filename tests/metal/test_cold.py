# SPDX-License-Identifier: MIT
"""LLVM hears which functions are seldom called."""

from exokernel.metal import cold, noinline, u64
from exokernel.metal.native import NATIVE
from exokernel.metal.program import Program
from exokernel.metal.runtime import keep_output


@cold
def seldom(a: u64) -> u64:
    """Not made part of `both`."""
    return a + 1


@noinline
def apart(a: u64) -> u64:
    """The same, and called as often as it may be."""
    return a + 2


def both(a: u64) -> u64:
    """Calls them."""
    return seldom(a) if a == 0 else apart(a)


def test_a_cold_function_is_called_and_said_to_be_cold() -> None:
    lines = Program(NATIVE, keep_output).compile([both]).splitlines()
    heads = {
        name: next(line for line in lines if line.startswith("define") and f'.{name}"' in line)
        for name in ("seldom", "apart", "both")
    }
    assert {name: ("noinline" in head, " cold" in head) for name, head in heads.items()} == {
        "seldom": (True, True),
        "apart": (True, False),
        "both": (False, False),
    }
