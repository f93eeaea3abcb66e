# SPDX-License-Identifier: MIT
"""Decorators and intrinsics of the dialect: what the compiler recognises by the identity of these function objects.

Decorators only record; intrinsics do under CPython what the compiled code does, as far as it means anything there, and
raise `HardwareOnly` otherwise. This module must never pretend to have touched hardware.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from exokernel.metal import memory
from exokernel.metal.errors import Trap
from exokernel.metal.types import (
    Array,
    Integer,
    Ptr,
    Span,
    address_of,
    coerce,
    is_reference,
    is_struct,
    pointer_to,
    realign,
    reference,
    size_of,
    type_name,
    u8,
    u64,
)

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class HardwareOnly(Exception):
    """The function needs the machine: it runs in an image only."""


# ---- code that is written while the image is built


def from_text(text: str, qualified_name: str, names: dict[str, Any]) -> Any:
    """The function that a `def` in `text` makes among a module's `names`. A debugger and an error message find its text."""
    file = f"<{names['__name__']}.{qualified_name}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    found: dict[str, Any] = {}
    exec(compile(text, file, "exec"), names, found)
    made = found[qualified_name.rsplit(".", maxsplit=1)[-1]]
    made.__qualname__ = qualified_name
    return made


# ---- decorators: the compiler reads `function.__metal__`


def _mark(function: F, key: str, value: Any) -> F:
    if not hasattr(function, "__metal__"):
        function.__metal__ = {}  # type: ignore[attr-defined]
    function.__metal__[key] = value  # type: ignore[attr-defined]
    return function


def inline(function: F) -> F:
    """Inline every call."""
    return _mark(function, "inline", True)


def noinline(function: F) -> F:
    """Inline no call."""
    return _mark(function, "noinline", True)


def cold(function: F) -> F:
    """Inline no call, and take it that there is rarely one: the ways through a caller that lead to none are kept short."""
    return _mark(noinline(function), "cold", True)


def noreturn(function: F) -> F:
    """Control never comes back."""
    return _mark(function, "noreturn", True)


def export(function: F) -> F:
    """Keep the function, under its own name."""
    return _mark(function, "export", True)


def naked(function: F) -> F:
    """The body is one `asm` and nothing is added to it."""
    return _mark(function, "naked", True)


def section(name: str) -> Callable[[F], F]:
    """Place the function's code in a section of the object file."""
    return lambda function: _mark(function, "section", name)


def align(boundary: int) -> Callable[[F], F]:
    """Align the function's code to `boundary` bytes, a power of two."""
    return lambda function: _mark(function, "align", _power_of_two(boundary))


def calling_convention(name: str) -> Callable[[F], F]:
    """Use another of LLVM's calling conventions; flag `convention`."""
    return lambda function: _mark(function, "convention", name)


def helper(number: int) -> Callable[[F], F]:
    """In a packet handler, a call is one of the kernel's helper of this number, which takes and gives `u64`; elsewhere of
    the function; flag `helper`.
    """
    return lambda function: _mark(function, "helper", int(number))


# ---- initial values of module variables


class Placement(NamedTuple):
    """Where a module variable wants to be: alignment in bytes (0: its type's) and section ("": the usual one)."""

    align: int = 0
    section: str = ""


class PlacedConstant(int):
    """An initial value that is a constant; an object of its own, so that it can have a placement of its own."""


_placements: dict[int, tuple[Any, Placement]] = {}


def _place(value: Any, **change: Any) -> Any:
    if isinstance(value, bool):
        raise TypeError("a bool variable cannot be placed; put it into a struct")
    if isinstance(value, int) and id(value) not in _placements:
        value = int.__new__(type(value) if isinstance(value, Integer) else PlacedConstant, value)
    elif not (isinstance(value, int) or is_reference(type(value))):
        raise TypeError(f"a {type_name(type(value))} cannot be placed")
    _placements[id(value)] = (value, placement(value)._replace(**change))
    return value


def _power_of_two(boundary: int) -> int:
    if boundary < 1 or boundary & (boundary - 1):
        raise ValueError(f"an alignment is a power of two, not {boundary}")
    return int(boundary)


def aligned(boundary: int, value: T) -> T:
    """`value` as the initial value of a module variable that is aligned to `boundary` bytes."""
    if is_reference(type(value)):
        realign(value, boundary)
    return _place(value, align=_power_of_two(boundary))  # type: ignore[no-any-return]


def placed(section: str, value: T) -> T:
    """`value` as the initial value of a module variable in a section of the object file."""
    return _place(value, section=section)  # type: ignore[no-any-return]


def placement(value: Any) -> Placement:
    """What `aligned` and `placed` said of this very object."""
    found = _placements.get(id(value))
    return found[1] if found is not None else Placement()


_assembly: dict[str, list[str]] = {}


def module_asm(text: str) -> None:
    """Add assembly (AT&T syntax) to the program, on behalf of the calling module."""
    _assembly.setdefault(sys._getframe(1).f_globals["__name__"], []).append(text)


def module_assembly(module_name: str) -> list[str]:
    """What a module gave to `module_asm`, in order."""
    return list(_assembly.get(module_name, ()))


# ---- the machine


def asm(template: str, constraints: str = "", *inputs: Any, returns: Any = None) -> Any:
    """Assembly instructions (Intel syntax, LLVM's constraints); its value is a `returns`."""
    raise HardwareOnly("assembly runs in an image only")


def fence() -> None:
    """A sequentially consistent fence. CPython runs one thread and needs none."""


def compiler_barrier() -> None:
    """Keep memory accesses on their side of this point."""


def trap() -> Any:
    """Stop."""
    raise Trap("trap")


def unreachable() -> Any:
    """Promise that control does not come here."""
    raise Trap("unreachable")


# ---- memory


def sizeof(kind: Any) -> int:
    """Bytes that a value of type `kind` takes in memory."""
    return size_of(kind)


def offsetof(kind: Any, name: str) -> int:
    """Bytes from the start of a struct to its field."""
    if not is_struct(kind) or name not in kind.fields:
        raise TypeError(f"`{type_name(kind)}` has no field {name!r}")
    return int(kind.fields[name].offset)


def addr(thing: Any) -> Any:
    """The address of a struct or array. (Under `simulate`, and compiled, of any field, element or module variable.)"""
    if not is_reference(type(thing)):
        raise TypeError(f"a {type_name(type(thing))} has no address here")
    return pointer_to(type(thing))._make(address_of(thing), thing._region)


def view(kind: type[T], data: Any, offset: int = 0) -> T:
    """A packed struct laid over bytes, from `offset` on. Trap if they do not suffice."""
    if not is_struct(kind) or not kind.packed:  # type: ignore[attr-defined]
        raise TypeError(f"view needs a packed struct, not {type_name(kind)}")
    if not isinstance(data, (Array, Span)) or type(data).element is not u8:
        raise TypeError(f"view needs Span[u8] or Array[u8, N], not {type_name(type(data))}")
    start = int(coerce(u64, offset))
    if start > len(data) or len(data) - start < size_of(kind):
        raise Trap("view too short")
    region, first = data._place(start) if size_of(kind) else (memory.allocate(0), 0)
    return reference(kind, region, first)  # type: ignore[no-any-return]


def volatile_load(pointer: Any) -> Any:
    """Read what `pointer` points to, exactly once."""
    _pointee(pointer)
    return pointer[0]


def volatile_store(pointer: Any, value: Any) -> None:
    """Write what `pointer` points to, exactly once."""
    _pointee(pointer)
    pointer[0] = value


def _pointee(pointer: Any) -> Any:
    if not isinstance(pointer, Ptr):
        raise TypeError(f"this needs a Ptr, not a {type_name(type(pointer))}")
    kind = type(pointer).target
    if is_reference(kind):
        raise TypeError(f"this does not work on a {type_name(type(pointer))}")
    return kind


def _exchange(pointer: Any, value: Any, combine: Callable[[Any, Any], Any]) -> Any:
    kind = _pointee(pointer)
    if not (isinstance(kind, type) and issubclass(kind, Integer)):
        raise TypeError(f"this does not work on a {type_name(type(pointer))}")
    old = pointer[0]
    pointer[0] = combine(old, coerce(kind, value))
    return old


def atomic_load(pointer: Any) -> Any:
    """Read, sequentially consistent as are all of these."""
    return _exchange(pointer, 0, lambda old, _: old)


def atomic_store(pointer: Any, value: Any) -> None:
    """Write."""
    _exchange(pointer, value, lambda _, new: new)


def atomic_add(pointer: Any, value: Any) -> Any:
    """Add; the old value."""
    return _exchange(pointer, value, lambda old, new: old + new)


def atomic_sub(pointer: Any, value: Any) -> Any:
    """Subtract; the old value."""
    return _exchange(pointer, value, lambda old, new: old - new)


def atomic_and(pointer: Any, value: Any) -> Any:
    """Bitwise and; the old value."""
    return _exchange(pointer, value, lambda old, new: old & new)


def atomic_or(pointer: Any, value: Any) -> Any:
    """Bitwise or; the old value."""
    return _exchange(pointer, value, lambda old, new: old | new)


def atomic_xor(pointer: Any, value: Any) -> Any:
    """Bitwise exclusive or; the old value."""
    return _exchange(pointer, value, lambda old, new: old ^ new)


def atomic_exchange(pointer: Any, value: Any) -> Any:
    """Write; the old value."""
    return _exchange(pointer, value, lambda _, new: new)


def atomic_compare_exchange(pointer: Any, old: Any, new: Any) -> bool:
    """Write `new` if `old` is there; whether it was."""
    kind = _pointee(pointer)
    expected, wanted = coerce(kind, old), coerce(kind, new)
    return bool(_exchange(pointer, 0, lambda now, _: wanted if now == expected else now) == expected)


# ---- bits of integers


def _typed(value: Any) -> Any:
    if not isinstance(value, Integer):
        raise TypeError(
            f"this needs a typed integer, not {'a constant' if type(value) is int else type_name(type(value))}"
        )
    return type(value)


def _unsigned(value: Any) -> int:
    bits: int = value.bits
    return int(value) & (1 << bits) - 1


def byte_swap(value: Any) -> Any:
    """The bytes of an integer in the opposite order."""
    return _typed(value)(int.from_bytes(_unsigned(value).to_bytes(value.size, "little"), "big"))


def count_leading_zeros(value: Any) -> Any:
    """Zero bits above the highest set bit; the width for 0. The result has the type of `value`."""
    return _typed(value)(value.bits - _unsigned(value).bit_length())


def count_trailing_zeros(value: Any) -> Any:
    """Zero bits below the lowest set bit; the width for 0. The result has the type of `value`."""
    kind, low = _typed(value), _unsigned(value)
    return kind((low & -low).bit_length() - 1 if low else value.bits)


def count_ones(value: Any) -> Any:
    """Set bits. The result has the type of `value`."""
    return _typed(value)(_unsigned(value).bit_count())


def rotate_left(value: Any, amount: Any) -> Any:
    """An unsigned integer rotated by `amount` modulo its width."""
    kind = _typed(value)
    if kind.signed or (isinstance(amount, Integer) and amount.signed) or isinstance(amount, bool):
        raise TypeError("rotate_left works on an unsigned integer, by an unsigned amount")
    steps = int(amount) % kind.bits
    return kind(int(value) << steps | int(value) >> kind.bits - steps)


def multiply_high(a: Any, b: Any) -> Any:
    """The upper half of the unsigned 128-bit product of two u64."""
    return u64(int(coerce(u64, a)) * int(coerce(u64, b)) >> 64)


def add_end_around(a: Any, b: Any) -> Any:
    """The one's complement sum of two u64: the carry out of their sum is added to it."""
    total = int(coerce(u64, a)) + int(coerce(u64, b))
    return u64((total & 0xFFFF_FFFF_FFFF_FFFF) + (total >> 64))


def format_into(buffer: Any, text: Any) -> Any:
    """Write text into a Span[u8]; its length in bytes. Trap if it does not fit."""
    content = text.encode() if isinstance(text, str) else bytes(text)
    target = coerce(Span[u8], buffer)
    if len(content) > len(target):
        raise Trap("format buffer too small")
    target[: len(content)].copy_from(content)
    return u64(len(content))
