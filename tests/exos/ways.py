# SPDX-License-Identifier: MIT
"""One function of the dialect, run natively and by CPython with annotations enforced: the tests ask both."""

from __future__ import annotations

import types
from typing import Any

from exokernel.metal import Array, u8
from exokernel.metal.native import compile_functions
from exokernel.metal.simulate import simulated


def native(*functions: types.FunctionType) -> Any:
    """The functions compiled, as attributes."""
    return compile_functions(list(functions))


def by_python(*functions: types.FunctionType) -> Any:
    """The functions run by CPython, as attributes."""
    return types.SimpleNamespace(**{f.__name__: simulated(f) for f in functions})


WAYS = {"native": native, "python": by_python}


def memory(data: bytes) -> Any:
    """An object of the dialect with these bytes, which a function may change; bytes(...) reads them."""
    return Array[u8, len(data)](data) if data else Array[u8, 1]()[:0]
