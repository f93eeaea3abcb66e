# SPDX-License-Identifier: MIT
"""The dialect's types as the compiler sees them: which kind a type is, how LLVM spells it, how large it is.

The types themselves are the CPython classes of `types.py`; here are only questions about them, and the two kinds
that Python writes as generic aliases (`Callable`, `tuple`). This module must never emit code.
"""

from __future__ import annotations

import collections.abc
import typing
from dataclasses import dataclass
from typing import Any

from exokernel.metal.types import Array, BigEndian, Integer, Ptr, Span, canonical, u8
from exokernel.metal.types import is_bits as is_bits  # noqa: PLC0414
from exokernel.metal.types import is_struct as is_struct  # noqa: PLC0414

Type = Any
"""A dialect type: a class of `types.py`, `bool`, `bytes`, `str`, `NONE`, or one of the classes below."""

NONE = type(None)


class Literal:
    """The type of a constant integer that no typed operand has met yet."""

    name = "constant"


@dataclass(frozen=True)
class CallableType:
    """A reference to a function."""

    parameters: tuple[Type, ...]
    result: Type
    size = align = 8

    @property
    def name(self) -> str:
        return f"Callable[[{', '.join(map(type_name, self.parameters))}], {type_name(self.result)}]"


@dataclass(frozen=True)
class TupleType:
    """Several values returned together."""

    items: tuple[Type, ...]

    @property
    def name(self) -> str:
        return f"tuple[{', '.join(map(type_name, self.items))}]"


def normal(kind: Type) -> Type:
    """A type as an annotation gives it, generic aliases replaced by the classes above."""
    if kind is None:
        return NONE
    origin: Any = typing.get_origin(kind)
    if origin is collections.abc.Callable:
        parameters, result = typing.get_args(kind)
        return CallableType(tuple(normal(p) for p in parameters), normal(result))
    if origin is tuple:
        return TupleType(tuple(normal(a) for a in typing.get_args(kind)))
    return canonical(kind)


def is_integer(kind: Type) -> bool:
    return isinstance(kind, type) and issubclass(kind, Integer)


def is_big_endian(kind: Type) -> bool:
    return isinstance(kind, type) and issubclass(kind, BigEndian)


def is_array(kind: Type) -> bool:
    return isinstance(kind, type) and issubclass(kind, Array)


def is_span(kind: Type) -> bool:
    return isinstance(kind, type) and issubclass(kind, Span)


def is_pointer(kind: Type) -> bool:
    return isinstance(kind, type) and issubclass(kind, Ptr)


def is_reference(kind: Type) -> bool:
    """Objects that live in memory and are handled by reference."""
    return is_struct(kind) or is_array(kind)


def is_text(kind: Type) -> bool:
    return kind is bytes or kind is str


def is_view(kind: Type) -> bool:
    """Address and length."""
    return is_span(kind) or is_text(kind)


def is_borrowing(kind: Type) -> bool:
    """Whether a value of this type can refer to an object that ends."""
    if isinstance(kind, TupleType):
        return any(is_borrowing(item) for item in kind.items)
    return is_reference(kind) or is_view(kind) or is_pointer(kind)


def is_type(thing: object) -> bool:
    """Whether a Python object is a complete dialect type."""
    if isinstance(thing, TupleType):
        return all(is_type(item) for item in thing.items)
    if isinstance(thing, CallableType) or thing in (bool, bytes, str, NONE):
        return True
    if is_array(thing) or is_span(thing) or is_pointer(thing):
        return thing not in (Array, Span, Ptr)
    if is_integer(thing) or is_big_endian(thing):
        return hasattr(thing, "size") and thing not in (Integer, BigEndian)
    return is_struct(thing) or is_bits(thing)


def element_of(kind: Type) -> Type:
    """The element type of an array, span or text."""
    return u8 if is_text(kind) else normal(kind.element)


def type_name(kind: Type) -> str:
    if kind is NONE:
        return "None"
    if kind is ...:
        return "..."
    if kind in (bool, bytes, str):
        return str(kind.__name__)
    return str(getattr(kind, "name", None) or getattr(kind, "__name__", kind))


def size_of(kind: Type) -> int:
    """Bytes in memory."""
    if kind is bool:
        return 1
    if is_view(kind):
        return 16
    return int(kind.size)


def align_of(kind: Type) -> int:
    if kind is bool:
        return 1
    if is_view(kind):
        return 8
    return int(kind.align)


def contains_callable(kind: Type) -> bool:
    """Whether zeroed storage of this type would hold a callable that is none."""
    kind = normal(kind)
    if isinstance(kind, CallableType):
        return True
    if is_array(kind):
        return contains_callable(kind.element)
    return is_struct(kind) and any(contains_callable(f.type) for f in kind.fields.values())


def llvm(kind: Type) -> str:
    """How LLVM spells a value of this type."""
    if is_integer(kind):
        return f"i{kind.bits}"
    if kind is bool:
        return "i1"
    if kind is NONE:
        return "void"
    if is_bits(kind):
        return f"i{kind.storage.bits}"
    if is_view(kind):
        return "{ ptr, i64 }"
    if isinstance(kind, TupleType):
        return "{ " + ", ".join(llvm(item) for item in kind.items) + " }"
    if is_reference(kind) or is_pointer(kind) or isinstance(kind, CallableType):
        return "ptr"
    raise AssertionError(f"no LLVM type for {kind}")


def memory_llvm(kind: Type) -> str:
    """How LLVM spells its storage."""
    if kind is bool:
        return "i8"
    if is_big_endian(kind):
        return f"i{kind.size * 8}"
    if is_reference(kind):
        return f"[{size_of(kind)} x i8]"
    return llvm(kind)
