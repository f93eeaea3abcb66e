# SPDX-License-Identifier: MIT
"""The dialect's types as CPython classes: integers that wrap, arrays, spans, pointers, structs and bit fields.

Each class knows its `size`, `align` and `name`, and works under CPython on the byte-exact memory of `memory.py`, so
module level builds real objects and `simulate.py` runs real functions. Type checkers see `types.pyi` instead. This
module must never accept a conversion that the compiler refuses: a loss is always written out.
"""

from __future__ import annotations

import builtins
import collections.abc
import sys
import typing
import weakref
from collections.abc import Iterable, Iterator
from types import FunctionType, GenericAlias, NoneType
from typing import Any, ClassVar, Final, TypeVar

from exokernel.metal import memory
from exokernel.metal.errors import Trap

ADDRESS_MASK = (1 << 64) - 1
ADDRESSES = 1 << 47  # bytes of address space that a program can have


# ---- integers


class Integer(int):
    """An integer of fixed width. Construction wraps, operations follow the table in docs/dialect.md."""

    __slots__ = ()
    bits: ClassVar[int]
    signed: ClassVar[bool]
    minimum: ClassVar[int]
    maximum: ClassVar[int]
    name: ClassVar[str]

    def __repr__(self) -> str:
        return f"{type(self).name}({int(self)})"

    __str__ = int.__repr__
    __hash__ = int.__hash__

    def __init_subclass__(cls) -> None:
        cls.name = cls.__name__
        cls.bits = int(cls.name[1:])
        cls.signed = cls.name[0] == "i"
        cls.size = cls.align = cls.bits // 8
        cls.minimum = -(1 << cls.bits - 1) if cls.signed else 0
        cls.maximum = (1 << cls.bits - cls.signed) - 1
        _give_operators(cls)


def holds(wide: type[Integer], narrow: type[Integer]) -> bool:
    """Whether every value of `narrow` is one of `wide`."""
    return wide.minimum <= narrow.minimum and narrow.maximum <= wide.maximum


def common_type(a: type[Integer], b: type[Integer]) -> type[Integer] | None:
    """The type of an operation on an `a` and a `b`, or None if they do not mix."""
    if holds(a, b):
        return a
    return b if holds(b, a) else None


def fitting(kind: type[Integer], constant: int) -> int:
    """`constant` if it is a value of `kind`, else OverflowError."""
    if kind.minimum <= constant <= kind.maximum:
        return constant
    raise OverflowError(f"the constant {constant} does not fit {kind.name}")


def _integer_of(kind: type[Integer], value: Any) -> int:
    """What an explicit conversion to `kind` makes of something that is no integer."""
    address = None
    if isinstance(value, Ptr):
        address = value._address
        if value._region is not None:
            memory.pin(value._region)
    elif isinstance(value, FunctionType):
        address = memory.function_address(value)
    if address is None:
        raise TypeError(f"a {type_name(type(value))} does not convert to {kind.name}")
    if kind.name != "u64":
        raise TypeError("an address is a u64")
    return address


def _give_operators(kind: Any) -> None:
    """Define the operators of one integer class; closures over plain integers keep them quick."""
    minimum, maximum, mask, signed = kind.minimum, kind.maximum, (1 << kind.bits) - 1, kind.signed
    top = 1 << kind.bits
    width = kind.bits
    make = int.__new__

    def wrapped(value: int) -> Any:
        if value < minimum or value > maximum:
            value &= mask
            if value > maximum:
                value -= top
        return make(kind, value)

    def new(cls: Any, value: Any = 0) -> Any:
        return wrapped(int(value) if isinstance(value, int) else _integer_of(kind, value))

    def mixed(other: Any, symbol: str) -> Any:
        """The class that makes the result of an operation with `other`."""
        if isinstance(other, Integer):
            result = common_type(kind, type(other))
            if result is None:
                raise TypeError(f"`{symbol}`: {kind.name} and {type(other).name} do not mix; convert one explicitly")
            return result
        if not isinstance(other, int) or isinstance(other, bool):
            raise TypeError(f"`{symbol}`: {kind.name} and {type_name(type(other))} do not mix")
        if not (symbol == "&" and not signed and other < 0):  # `x & ~0xFFF` is exact whatever the width
            fitting(kind, int(other))
        return kind

    def binary(symbol: str, compute: Any) -> tuple[Any, Any]:
        def forward(self: Any, other: Any) -> Any:
            if type(other) is kind:
                return wrapped(compute(self, other))
            return mixed(other, symbol)(compute(self, int(other)))

        def backward(self: Any, other: Any) -> Any:
            return mixed(other, symbol)(compute(int(other), self))

        return forward, backward

    def floor_divide(a: int, b: int) -> int:
        if not b:
            raise Trap("zero divisor")
        return int.__floordiv__(a, b)

    def remainder(a: int, b: int) -> int:
        if not b:
            raise Trap("zero divisor")
        return int.__mod__(a, b)

    for name, symbol, compute in (
        ("add", "+", int.__add__), ("sub", "-", int.__sub__), ("mul", "*", int.__mul__), ("and", "&", int.__and__),
        ("or", "|", int.__or__), ("xor", "^", int.__xor__), ("floordiv", "//", floor_divide), ("mod", "%", remainder),
    ):  # fmt: skip
        forward, backward = binary(symbol, compute)
        setattr(kind, f"__{name}__", forward)
        setattr(kind, f"__r{name}__", backward)

    def amount_of(other: Any) -> int | None:
        if isinstance(other, bool) or not isinstance(other, int):
            return None
        if (amount := int(other)) < 0:
            raise Trap("negative shift")
        return amount

    def left_shift(self: Any, other: Any) -> Any:
        amount = amount_of(other)
        if amount is None:
            return NotImplemented
        return make(kind, 0) if amount >= width else wrapped(int.__lshift__(self, amount))

    def right_shift(self: Any, other: Any) -> Any:
        amount = amount_of(other)
        return NotImplemented if amount is None else make(kind, int.__rshift__(self, min(amount, width)))

    def compared(symbol: str, compute: Any) -> Any:
        def compare(self: Any, other: Any) -> Any:
            if type(other) is kind or type(other) is int:
                return compute(self, other)
            if isinstance(other, Integer):
                if common_type(kind, type(other)) is None:
                    raise TypeError(
                        f"`{symbol}`: {kind.name} and {type(other).name} do not mix; convert one explicitly"
                    )
            elif isinstance(other, bool):
                raise TypeError(f"`{symbol}` does not compare {kind.name} with bool")
            return compute(self, other)

        return compare

    for name, symbol, compare in (
        ("eq", "==", int.__eq__), ("ne", "!=", int.__ne__), ("lt", "<", int.__lt__), ("le", "<=", int.__le__),
        ("gt", ">", int.__gt__), ("ge", ">=", int.__ge__),
    ):  # fmt: skip
        setattr(kind, f"__{name}__", compared(symbol, compare))

    def negative(self: Any) -> Any:
        if not signed:
            raise TypeError(f"`-` of the unsigned type {kind.name}; write `0 - x` to wrap")
        return wrapped(int.__neg__(self))

    def refuse(what: str) -> Any:
        def refused(self: Any, *_: Any) -> Any:
            raise TypeError(f"{what} does not work on {kind.name}")

        return refused

    for name, function in {
        "__new__": new, "__lshift__": left_shift, "__rshift__": right_shift, "__neg__": negative,
        "__rlshift__": refuse("shifting a constant without a width by an amount that"),
        "__rrshift__": refuse("shifting a constant without a width by an amount that"),
        "__pos__": lambda self: self, "__invert__": lambda self: wrapped(int.__invert__(self)),
        "__abs__": lambda self: wrapped(int.__abs__(self)),
        "__truediv__": refuse("`/`"), "__rtruediv__": refuse("`/`"), "__pow__": refuse("`**`"),
        "__rpow__": refuse("`**`"), "__divmod__": refuse("divmod"), "__rdivmod__": refuse("divmod"),
    }.items():  # fmt: skip
        setattr(kind, name, function)


class u8(Integer):
    __slots__ = ()


class u16(Integer):
    __slots__ = ()


class u32(Integer):
    __slots__ = ()


class u64(Integer):
    __slots__ = ()


class i8(Integer):
    __slots__ = ()


class i16(Integer):
    __slots__ = ()


class i32(Integer):
    __slots__ = ()


class i64(Integer):
    __slots__ = ()


INTEGERS: Final[dict[str, type[Integer]]] = {kind.name: kind for kind in (u8, u16, u32, u64, i8, i16, i32, i64)}


class BigEndian:
    """An integer in network byte order: for storage only, read and written as `native`."""

    native: ClassVar[type[Integer]]

    def __init_subclass__(cls) -> None:
        cls.name = cls.__name__
        cls.native = INTEGERS[cls.name[:-2]]
        cls.size = cls.align = cls.native.size

    def __init__(self) -> None:
        raise TypeError(f"{type(self).name} is for storage; use {type(self).native.name}")


class u16be(BigEndian):
    pass


class u32be(BigEndian):
    pass


class u64be(BigEndian):
    pass


class i16be(BigEndian):
    pass


class i32be(BigEndian):
    pass


class i64be(BigEndian):
    pass


# ---- questions about types


def type_name(kind: Any) -> str:
    """A type as messages show it."""
    if kind is None or kind is NoneType:
        return "None"
    if is_callable_type(kind):
        parameters, result = callable_signature(kind)
        return f"Callable[[{', '.join(map(type_name, parameters))}], {type_name(result)}]"
    if typing.get_origin(kind) is tuple:
        return f"tuple[{', '.join(map(type_name, typing.get_args(kind)))}]"
    if kind is BytesView:
        return "bytes"
    name = getattr(kind, "name", None)
    return name if isinstance(name, str) else str(getattr(kind, "__name__", kind))


def is_callable_type(annotation: Any) -> bool:
    """Whether this is `Callable[[...], ...]`."""
    return typing.get_origin(annotation) is collections.abc.Callable


def callable_signature(annotation: Any) -> tuple[list[Any], Any]:
    """Parameter types and result type of a `Callable`; the result of nothing is NoneType."""
    arguments = typing.get_args(annotation)
    if len(arguments) != 2 or not isinstance(arguments[0], list):
        raise TypeError("write Callable[[PARAMETERS], RESULT]")
    return list(arguments[0]), NoneType if arguments[1] is None else arguments[1]


def is_struct(kind: Any) -> bool:
    return isinstance(kind, StructType) and kind is not Struct


def is_bits(kind: Any) -> bool:
    return isinstance(kind, BitsType) and kind is not Bits


def is_reference(kind: Any) -> bool:
    """Whether values of this type are references to memory: structs and arrays."""
    return is_struct(kind) or isinstance(kind, ArrayType)


def is_dialect_type(kind: Any) -> bool:
    """Whether `kind` is a complete type, or a TypeVar that stands for one."""
    if kind in (bool, bytes, str) or kind is NoneType or is_struct(kind) or is_bits(kind) or isinstance(kind, TypeVar):
        return True
    if isinstance(kind, (ArrayType, SpanType, PtrType)):
        return kind not in (Array, Span, Ptr)
    if isinstance(kind, type) and not isinstance(kind, GenericAlias):
        return issubclass(kind, (Integer, BigEndian)) and kind not in (Integer, BigEndian)
    if is_callable_type(kind):
        parameters, result = callable_signature(kind)
        return all(map(is_dialect_type, [*parameters, result]))
    return typing.get_origin(kind) is tuple and all(map(is_dialect_type, typing.get_args(kind)))


def size_of(kind: Any) -> int:
    """Bytes that a value of this type takes in memory."""
    if kind is bool:
        return 1
    if kind is bytes or kind is str or isinstance(kind, SpanType):
        return 16
    if is_callable_type(kind):
        return 8
    size = getattr(kind, "size", None)
    if not isinstance(size, int):
        raise TypeError(f"a {type_name(kind)} has no size")
    return size


def align_of(kind: Any) -> int:
    """The alignment of a value of this type in memory, in bytes."""
    if kind is bool:
        return 1
    if kind is bytes or kind is str or is_callable_type(kind):
        return 8
    return int(kind.align)


class Forward:
    """A type that is named before it exists."""

    def __init__(self, text: str, outer: dict[str, Any], inner: typing.Mapping[str, Any] | None = None) -> None:
        self.name, self.outer, self.inner = text, outer, inner

    def resolve(self) -> Any:
        return resolve_annotation(self.name, self.outer, self.inner)

    def __class_getitem__(cls, item: Any) -> Any:
        raise TypeError("a type must be defined before it takes parameters")


class _Names(dict[str, Any]):
    """What a string annotation is evaluated in; a name that does not exist yet becomes a `Forward`."""

    def __init__(self, outer: dict[str, Any], inner: typing.Mapping[str, Any]) -> None:
        super().__init__(inner)
        self.outer = outer

    def __missing__(self, name: str) -> Any:
        if name in self.outer:
            return self.outer[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        return Forward(name, self.outer, self)


def resolve_annotation(annotation: Any, globals: dict[str, Any], locals: typing.Mapping[str, Any] | None = None) -> Any:
    """The dialect type that an annotation denotes, or TypeError with advice.

    Strings are evaluated in the given namespaces, `Final[T]` gives `T`, `None` gives NoneType.
    """
    kind = annotation
    if isinstance(kind, typing.ForwardRef):
        kind = kind.__forward_arg__
    if isinstance(kind, str):
        try:
            kind = eval(kind, globals, _Names(globals, locals or {}))  # the author's own source text
        except SyntaxError:
            raise TypeError(f"`{annotation}` is not a type") from None
    if isinstance(kind, str):
        return resolve_annotation(kind, globals, locals)
    if kind is None:
        return NoneType
    if isinstance(kind, Forward):
        raise TypeError(f"there is no type `{kind.name}`")
    if kind is Final:
        raise TypeError("`Final` alone declares a constant, not a type; write Final[T] for a constant in memory")
    if typing.get_origin(kind) is Final:
        return resolve_annotation(typing.get_args(kind)[0], globals, locals)
    if kind is int:
        raise TypeError("`int` has no width; use u8, u16, u32, u64, i8, i16, i32 or i64")
    if kind is float:
        raise TypeError("there is no floating point")
    if kind is Array or kind is collections.abc.Callable or kind is typing.Callable or kind is tuple:
        raise TypeError(f"`{type_name(kind)}` needs its parameters: Array[T, N], Callable[[A], R], tuple[A, B]")
    if kind is Span or kind is Ptr:
        raise TypeError(f"`{kind.__name__}` needs its element type: {kind.__name__}[T]")
    if is_callable_type(kind):
        parameters, result = callable_signature(kind)
        inner = [resolve_annotation(p, globals, locals) for p in parameters]
        return collections.abc.Callable[inner, resolve_annotation(result, globals, locals)]
    if typing.get_origin(kind) is tuple:
        items = tuple(resolve_annotation(a, globals, locals) for a in typing.get_args(kind))
        return tuple[items]  # type: ignore[valid-type]
    if not is_dialect_type(kind):
        raise TypeError(f"`{getattr(kind, '__name__', kind)}` is not a type of the dialect")
    return canonical(kind)


def canonical(kind: Any) -> Any:
    """The one class for a type, once everything it names exists."""
    if isinstance(kind, PtrType) and kind is not Ptr:
        return Ptr[canonical(kind.target)]
    if isinstance(kind, SpanType) and kind is not Span:
        return Span[canonical(kind.element)]
    if isinstance(kind, ArrayType) and kind is not Array:
        return Array[canonical(kind.element), kind.length]
    return kind


# ---- implicit conversion, and how values stand in memory


def coerce(kind: Any, value: Any) -> Any:
    """The implicit conversion that assignment, argument and result allow: lossless, or TypeError or OverflowError.

    A bits value is copied. A reference stays the same reference.
    """
    have = type(value)
    if have is kind:
        return value.copy() if isinstance(kind, BitsType) else value
    if isinstance(kind, type) and not isinstance(kind, GenericAlias):
        if issubclass(kind, Integer):
            if isinstance(value, Integer):
                if holds(kind, have):
                    return kind(value)
                raise TypeError(f"{have.name} does not convert to {kind.name} without loss; write {kind.name}(...)")
            if isinstance(value, int) and not isinstance(value, bool):
                return kind(fitting(kind, int(value)))
        elif issubclass(kind, BigEndian):
            return coerce(kind.native, value)
        elif kind is bytes:
            if isinstance(value, (bytes, BytesView)):
                return value
            if isinstance(value, (Array, Span)) and type(value).element is u8:
                return BytesView(*_parts(value))
        elif isinstance(kind, SpanType):
            if isinstance(value, (Array, Span)) and canonical(have.element) is canonical(kind.element):
                return kind._make(*_parts(value))
        elif isinstance(kind, PtrType):
            if isinstance(value, Ptr) and canonical(have) is canonical(kind):
                return value
        elif kind is NoneType and value is None:
            return None
        elif isinstance(kind, ArrayType) and isinstance(value, Array) and canonical(have) is canonical(kind):
            return value
    elif is_callable_type(kind):
        if callable(value) and not isinstance(value, type):
            return value
    elif typing.get_origin(kind) is tuple:
        items = typing.get_args(kind)
        if isinstance(value, tuple) and len(value) == len(items):
            return tuple(map(coerce, items, value))
    shown = f"the constant {value}" if have is int else f"a {type_name(have)}"
    raise TypeError(f"{shown} is not a {type_name(kind)}")


def _parts(value: Any) -> tuple[int, int, memory.Region | None]:
    """Address, number of elements and region of an array or span."""
    if isinstance(value, Array):
        return value._region.base + value._offset, type(value).length, value._region
    return value._address, value._length, value._region


Loader = collections.abc.Callable[[memory.Region, int], Any]
Storer = collections.abc.Callable[[memory.Region, int, Any], None]
_accessors: dict[Any, tuple[Loader, Storer]] = {}


def accessors(kind: Any) -> tuple[Loader, Storer]:
    """Functions that read and write a `kind` at an offset of a region. Writing converts as assignment does."""
    found = _accessors.get(kind)
    if found is None:
        found = _accessors[kind] = _make_accessors(kind)
    return found


def _make_accessors(kind: Any) -> tuple[Loader, Storer]:
    if is_reference(kind):

        def refuse(region: memory.Region, offset: int, value: Any) -> None:
            raise TypeError(f"a {type_name(kind)} is embedded here and cannot be replaced; use copy_from")

        return lambda region, offset: reference(kind, region, offset), refuse
    if is_bits(kind):
        storage, size = kind.storage, kind.size

        def load_bits(region: memory.Region, offset: int) -> Any:
            return kind._bound(int.from_bytes(region.data[offset : offset + size], "little"), region, offset)

        return load_bits, lambda region, offset, value: region.write(
            offset, coerce(kind, value)._raw.to_bytes(storage.size, "little")
        )
    if kind is bool:
        return (
            lambda region, offset: bool(region.data[offset] & 1),
            lambda region, offset, value: region.write(offset, b"\1" if coerce(bool, value) else b"\0"),
        )
    if isinstance(kind, PtrType):
        return _pointer_accessors(kind)
    if isinstance(kind, SpanType) or kind in (bytes, str):
        return _view_accessors(kind)
    if is_callable_type(kind):
        return (
            lambda region, offset: memory.function_at(int.from_bytes(region.data[offset : offset + 8], "little")),
            lambda region, offset, value: region.write(
                offset, memory.function_address(coerce(kind, value)).to_bytes(8, "little")
            ),
        )
    if isinstance(kind, type) and issubclass(kind, (Integer, BigEndian)):
        native: Any = kind.native if issubclass(kind, BigEndian) else kind
        order: Any = "big" if issubclass(kind, BigEndian) else "little"
        size, signed, make = native.size, native.signed, int.__new__

        def load(region: memory.Region, offset: int) -> Any:
            return make(native, int.from_bytes(region.data[offset : offset + size], order, signed=signed))

        def store(region: memory.Region, offset: int, value: Any) -> None:
            if type(value) is not native:
                value = coerce(native, value)
            region.write(offset, value.to_bytes(size, order, signed=signed))

        return load, store
    raise TypeError(f"a {type_name(kind)} cannot stand in memory")


def _pointer_accessors(kind: Any) -> tuple[Loader, Storer]:
    def load(region: memory.Region, offset: int) -> Any:
        return kind._make(int.from_bytes(region.data[offset : offset + 8], "little"), None)

    def store(region: memory.Region, offset: int, value: Any) -> None:
        value = coerce(kind, value)
        if value._region is not None:
            memory.pin(value._region)
        region.write(offset, value._address.to_bytes(8, "little"))

    return load, store


def _view_accessors(kind: Any) -> tuple[Loader, Storer]:
    def load(region: memory.Region, offset: int) -> Any:
        raw = region.data[offset : offset + 16]
        address, length = int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")
        if isinstance(kind, SpanType):
            return kind._make(address, length, None)
        if length == 0:
            return kind()
        found, start = memory.find(address, length)
        if not found.read_only:
            return BytesView(address, length, found)
        content = bytes(found.data[start : start + length])
        return content if kind is bytes else content.decode()

    def store(region: memory.Region, offset: int, value: Any) -> None:
        value = coerce(kind, value)
        if isinstance(value, (bytes, str)):
            content = value if isinstance(value, bytes) else value.encode()
            address, length = memory.literal(content).base if content else 0, len(content)
        else:
            address, length = value._address, value._length
            if value._region is not None:
                memory.pin(value._region)
        region.write(offset, address.to_bytes(8, "little") + length.to_bytes(8, "little"))

    return load, store


_references: weakref.WeakValueDictionary[tuple[Any, int], Any] = weakref.WeakValueDictionary()


def reference(kind: Any, region: memory.Region, offset: int) -> Any:
    """The object of type `kind` at a place. One object for one place, so `is` compares places."""
    key = (kind, region.base + offset)
    found = _references.get(key)
    if found is None:
        found = object.__new__(kind)
        found._region, found._offset = region, offset
        _references[key] = found
    return found


def reference_at(kind: Any, address: int) -> Any:
    """The object of type `kind` at an address. MemoryError if there is no memory for one."""
    return reference(kind, *memory.find(address, size_of(kind)))


def address_of(value: Any) -> int:
    """The address of a struct or array."""
    return int(value._region.base + value._offset)


def content_of(value: Any) -> bytes:
    """All bytes of a struct or array."""
    return bytes(value._region.data[value._offset : value._offset + type(value).size])


def is_untouched(value: Any) -> bool:
    """Whether a struct or array is known to be all zero without looking at its bytes."""
    return not value._region.touched


def realign(value: Any, align: int) -> None:
    """Move a whole object, to which nothing points yet, to an aligned address."""
    region = value._region
    if region.base % align:
        memory.move(region, align)
        _references[type(value), region.base] = value


def _fresh(kind: Any) -> Any:
    return reference(kind, memory.allocate(kind.size, kind.align), 0)


# ---- arrays, spans, bytes


def checked_position(index: Any, length: int) -> int:
    """A checked index."""
    if isinstance(index, Integer):
        if type(index).signed:
            raise TypeError(f"the index has the signed type {type(index).name}; convert it")
        position = int(index)
    elif isinstance(index, int) and not isinstance(index, bool):
        position = int(index) + length if index < 0 else int(index)
    else:
        raise TypeError(f"an index must be an integer, not {type_name(type(index))}")
    if not 0 <= position < length:
        raise Trap("index out of range")
    return position


def _bounds(part: slice, length: int) -> tuple[int, int]:
    """The checked bounds of a slice."""
    if part.step is not None:
        raise TypeError("a slice has no step here")
    found = []
    for bound, default in ((part.start, 0), (part.stop, length)):
        if bound is None:
            found.append(default)
        elif isinstance(bound, int) and not isinstance(bound, bool):
            if isinstance(bound, Integer) and type(bound).signed:
                raise TypeError(f"the bound has the signed type {type(bound).name}; convert it")
            found.append(int(bound) + length if bound < 0 else int(bound))
        else:
            raise TypeError(f"a bound must be an integer, not {type_name(type(bound))}")
    start, stop = found
    if not 0 <= start <= stop <= length:
        raise Trap("slice bounds")
    return start, stop


class _Elements:
    """What arrays and spans can both do, given `_parts`."""

    __slots__ = ()
    __hash__ = object.__hash__

    def _place(self, index: Any) -> tuple[memory.Region, int]:
        """The region and offset of an element."""
        address, length, region = _parts(self)
        size = size_of(type(self).element)  # type: ignore[attr-defined]
        address += checked_position(index, length) * size
        if region is not None and region.base <= address and address + size <= region.base + region.size:
            return region, address - region.base
        return memory.find(address, size)

    def __len__(self) -> int:
        return _parts(self)[1]

    def __getitem__(self, index: Any) -> Any:
        element = type(self).element  # type: ignore[attr-defined]
        if isinstance(index, slice):
            address, length, region = _parts(self)
            start, stop = _bounds(index, length)
            return Span[element]._make(address + start * size_of(element), stop - start, region)
        return accessors(element)[0](*self._place(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            raise TypeError("a slice cannot be assigned; use copy_from or fill")
        place = self._place(index)
        accessors(type(self).element)[1](*place, value)  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]

    def fill(self, value: Any) -> None:
        """Set all elements."""
        element = type(self).element  # type: ignore[attr-defined]
        if is_reference(element):
            raise TypeError(f"`fill` does not work on elements of type {type_name(element)}")
        address, length, _ = _parts(self)
        if length == 0:
            coerce(element, value)
            return
        size = size_of(element)
        region, offset = memory.find(address, size * length)
        accessors(element)[1](region, offset, value)
        region.write(offset, bytes(region.data[offset : offset + size]) * length)

    def copy_from(self, source: Any) -> None:
        """Copy the elements of `source`, whose length must be equal."""
        element = type(self).element  # type: ignore[attr-defined]
        if isinstance(source, (bytes, BytesView)):
            if element is not u8:
                raise TypeError(f"bytes do not hold {type_name(element)} elements")
            content = bytes(source)
        elif isinstance(source, (Array, Span)) and canonical(type(source).element) is canonical(element):
            content = _content(source)
        else:
            raise TypeError(f"a {type_name(type(source))} does not hold {type_name(element)} elements")
        address, length, _ = _parts(self)
        if len(source) != length:
            raise Trap("lengths differ")
        if content:
            region, offset = memory.find(address, len(content))
            region.write(offset, content)

    def __bytes__(self) -> bytes:
        if type(self).element is not u8:  # type: ignore[attr-defined]
            raise TypeError(f"a {type_name(type(self))} does not hold bytes")
        return _content(self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (bytes, BytesView, _Elements)) and type(self).element is u8:  # type: ignore[attr-defined]
            return bytes(self) == bytes(other)
        raise TypeError(f"`==` does not compare a {type_name(type(self))} with a {type_name(type(other))}")

    def __bool__(self) -> bool:
        raise TypeError(f"a {type_name(type(self))} is neither true nor false; compare its length")

    def __repr__(self) -> str:
        shown = [str(self[i]) for i in range(min(len(self), 16))]
        return f"{type(self).__name__}([{', '.join(shown)}{', ...' if len(self) > 16 else ''}])"


def _content(value: Any) -> bytes:
    """The bytes of all elements."""
    address, length, _ = _parts(value)
    size = size_of(type(value).element) * length
    if size == 0:
        return b""
    region, offset = memory.find(address, size)
    return bytes(region.data[offset : offset + size])


def _argument(item: Any, what: str, frames: int = 2) -> Any:
    """The type between the brackets."""
    if isinstance(item, str):
        return Forward(item, sys._getframe(frames).f_globals)
    if isinstance(item, Forward) or (is_dialect_type(item) and item is not NoneType):
        return resolve_annotation(item, {}) if is_callable_type(item) else item
    if item is int:
        raise TypeError("`int` has no width; use u8, u16, u32, u64, i8, i16, i32 or i64")
    if is_callable_type(item):  # with names in it that do not exist yet
        return item
    if hasattr(item, "parameters") and hasattr(item, "result"):  # the compiler's form of it
        return _plain_callable(item)
    raise TypeError(f"`{getattr(item, '__name__', item)}` is not a type for {what}")


def _plain_callable(item: Any) -> Any:
    """A function type of the compiler's (`kinds.CallableType`) as Python writes it."""
    if not hasattr(item, "parameters"):
        return item
    return collections.abc.Callable[[_plain_callable(p) for p in item.parameters], _plain_callable(item.result)]


class ArrayType(type):
    """The class of array types."""

    _element: Any
    length: int

    @property
    def element(cls) -> Any:
        if isinstance(cls._element, Forward):
            cls._element = cls._element.resolve()
        return cls._element

    @property
    def size(cls) -> int:
        return size_of(cls.element) * cls.length

    @property
    def align(cls) -> int:
        return align_of(cls.element)

    @property
    def name(cls) -> str:
        return cls.__name__


class Array(_Elements, metaclass=ArrayType):
    """`Array[T, N]`: N elements in place; an instance is a reference to them."""

    __slots__ = ("__weakref__", "_offset", "_region")
    _known: ClassVar[dict[Any, Any]] = {}
    _region: memory.Region
    _offset: int

    def __class_getitem__(cls, item: Any) -> Any:
        if cls is not Array or not isinstance(item, tuple) or len(item) != 2:
            raise TypeError("write Array[T, N]")
        element, length = item
        if isinstance(length, bool) or not isinstance(length, int) or length < 0:
            raise TypeError("the length of an Array is a constant that is not negative")
        element = _argument(element, "an element")
        if length * (1 if isinstance(element, Forward) else size_of(element)) > ADDRESSES:
            raise TypeError(f"no memory holds an Array of {length} elements")
        key = (element, int(length))
        found = Array._known.get(key)
        if found is None:
            name = f"Array[{type_name(element)}, {int(length)}]"
            found = ArrayType(name, (Array,), {"__slots__": (), "_element": element, "length": int(length)})
            Array._known[key] = found
        return found

    def __new__(cls, elements: Iterable[Any] | None = None) -> Any:
        if cls is Array:
            raise TypeError("write Array[T, N](...)")
        self = _fresh(cls)
        if elements is None:
            return self
        kind = cls.element
        if isinstance(elements, (bytes, BytesView)) and kind is u8:
            items: Any = bytes(elements)
        else:
            items = list(elements)
        if len(items) != cls.length:
            raise TypeError(f"{len(items)} elements for {cls.name}")
        if isinstance(items, bytes):
            if items:
                self._region.write(0, items)
        elif is_reference(kind):
            for place, item in zip(self, items, strict=True):
                place.copy_from(item)
        else:
            store, size = accessors(kind)[1], size_of(kind)
            for index, item in enumerate(items):
                store(self._region, index * size, item)
        return self

    def __init__(self, elements: Iterable[Any] | None = None) -> None:
        pass


class SpanType(type):
    """The class of span types."""

    _element: Any
    size = 16
    align = 8

    @property
    def element(cls) -> Any:
        if isinstance(cls._element, Forward):
            cls._element = cls._element.resolve()
        return cls._element

    @property
    def name(cls) -> str:
        return cls.__name__


class Span(_Elements, metaclass=SpanType):
    """`Span[T]`: a view of elements: address and length."""

    __slots__ = ("_address", "_length", "_region")
    _known: ClassVar[dict[Any, Any]] = {}
    _address: int
    _length: int
    _region: memory.Region | None

    def __class_getitem__(cls, item: Any) -> Any:
        if cls is not Span:
            raise TypeError("write Span[T]")
        element = _argument(item, "an element")
        found = Span._known.get(element)
        if found is None:
            found = SpanType(f"Span[{type_name(element)}]", (Span,), {"__slots__": (), "_element": element})
            Span._known[element] = found
        return found

    def __new__(cls, pointer: Ptr, length: int) -> Any:
        if cls is Span:
            raise TypeError("write Span[T](pointer, length)")
        if not isinstance(pointer, Ptr) or canonical(type(pointer).target) is not canonical(cls.element):
            raise TypeError(f"a {cls.name} begins at a Ptr[{type_name(cls.element)}]")
        return cls._make(pointer._address, int(coerce(u64, length)), pointer._region)

    @classmethod
    def _make(cls, address: int, length: int, region: memory.Region | None) -> Any:
        self = object.__new__(cls)
        self._address, self._length, self._region = address, length, region
        return self

    def __init__(self, pointer: Any = None, length: int = 0) -> None:
        pass


class BytesView:
    """A `bytes` value of the dialect whose storage is an array: reads as bytes do, and sees what is written there."""

    __slots__ = ("_address", "_length", "_region")

    def __init__(self, address: int, length: int, region: memory.Region | None) -> None:
        self._address, self._length, self._region = address, length, region

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            start, stop = _bounds(index, self._length)
            return BytesView(self._address + start, stop - start, self._region)
        region, offset = memory.find(self._address + checked_position(index, self._length))
        return u8(region.data[offset])

    def __iter__(self) -> Iterator[u8]:
        for index in range(self._length):
            yield self[index]

    def __bytes__(self) -> bytes:
        if self._length == 0:
            return b""
        region, offset = memory.find(self._address, self._length)
        return bytes(region.data[offset : offset + self._length])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (bytes, BytesView, _Elements)):
            return bytes(self) == bytes(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __repr__(self) -> str:
        return repr(bytes(self))


# ---- pointers


class PtrType(type):
    """The class of pointer types."""

    _target: Any
    size = align = 8

    @property
    def target(cls) -> Any:
        if isinstance(cls._target, Forward):
            cls._target = cls._target.resolve()
        return cls._target

    @property
    def name(cls) -> str:
        return cls.__name__


class Ptr(metaclass=PtrType):
    """`Ptr[T]`: the address of a T. Nothing is checked but that some object is there."""

    __slots__ = ("_address", "_region")
    _known: ClassVar[dict[Any, Any]] = {}
    _address: int
    _region: memory.Region | None

    def __class_getitem__(cls, item: Any) -> Any:
        if cls is not Ptr:
            raise TypeError("write Ptr[T]")
        target = _argument(item, "a pointer")
        found = Ptr._known.get(target)
        if found is None:
            found = PtrType(f"Ptr[{type_name(target)}]", (Ptr,), {"__slots__": (), "_target": target})
            Ptr._known[target] = found
        return found

    def __new__(cls, value: Any) -> Any:
        if cls is Ptr:
            raise TypeError("write Ptr[T](...)")
        if isinstance(value, Ptr):
            return cls._make(value._address, value._region)
        if isinstance(value, bool) or not isinstance(value, int) or (isinstance(value, Integer) and value.signed):
            raise TypeError(f"a {type_name(type(value))} does not convert to {cls.name}; an address is a u64")
        return cls._make(int(value), None)

    def __init__(self, value: Any = None) -> None:
        pass

    @classmethod
    def _make(cls, address: int, region: memory.Region | None) -> Any:
        self = object.__new__(cls)
        self._address, self._region = address & ADDRESS_MASK, region
        return self

    def _place(self, index: Any) -> tuple[memory.Region, int]:
        size = size_of(type(self).target)
        address = self._address + self._steps(index) * size & ADDRESS_MASK
        region = self._region
        if region is not None and region.base <= address and address + size <= region.base + region.size:
            return region, address - region.base
        return memory.find(address, size)

    @staticmethod
    def _steps(index: Any) -> int:
        if isinstance(index, bool) or not isinstance(index, int):
            raise TypeError(f"an index must be an integer, not {type_name(type(index))}")
        return int(index)

    def __getitem__(self, index: Any) -> Any:
        return accessors(type(self).target)[0](*self._place(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        place = self._place(index)
        accessors(type(self).target)[1](*place, value)

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"cannot iterate over {type(self).name}")

    def __add__(self, steps: Any) -> Any:
        return self._make(self._address + self._steps(steps) * size_of(type(self).target), self._region)

    def __sub__(self, other: Any) -> Any:
        size = size_of(type(self).target)
        if not isinstance(other, Ptr):
            return self._make(self._address - self._steps(other) * size, self._region)
        if canonical(type(other)) is not canonical(type(self)):
            raise TypeError(f"{type(self).name} and {type(other).name} do not subtract")
        distance = int(i64(self._address - other._address))
        return i64(abs(distance) // size * (-1 if distance < 0 else 1))  # rounds toward zero, as the machine does

    def _other(self, other: Any, symbol: str) -> int:
        if not isinstance(other, Ptr) or canonical(type(other)) is not canonical(type(self)):
            raise TypeError(f"`{symbol}` does not compare a {type(self).name} with a {type_name(type(other))}")
        return other._address

    def __eq__(self, other: object) -> bool:
        return self._address == self._other(other, "==")

    def __lt__(self, other: Any) -> bool:
        return self._address < self._other(other, "<")

    def __le__(self, other: Any) -> bool:
        return self._address <= self._other(other, "<=")

    def __gt__(self, other: Any) -> bool:
        return self._address > self._other(other, ">")

    def __ge__(self, other: Any) -> bool:
        return self._address >= self._other(other, ">=")

    def __hash__(self) -> int:
        return hash(self._address)

    def __bool__(self) -> bool:
        return self._address != 0

    def __int__(self) -> int:
        return self._address

    def __repr__(self) -> str:
        return f"{type(self).name}({self._address:#x})"


# Types that are known only at run time are made by these: to a checker, brackets hold types that the text names.
array_of, span_of, pointer_to = Array.__class_getitem__, Span.__class_getitem__, Ptr.__class_getitem__


# ---- structs


class Field:
    """One field of a struct; `type` is resolved when first asked for, since a pointer may name a later struct."""

    __slots__ = ("_names", "_type", "name", "offset")

    def __init__(self, name: str, type: Any, offset: int, names: tuple[dict[str, Any], dict[str, Any]]) -> None:
        self.name, self.offset = name, offset
        self._type, self._names = type, names

    @property
    def type(self) -> Any:
        if self._names is not None:
            self._type = resolve_annotation(self._type, *self._names)
            self._names = None
        return self._type

    def __repr__(self) -> str:
        return f"Field({self.name!r}, {type_name(self.type)}, {self.offset})"


class _FieldAccess:
    """Reads and writes one field of an instance."""

    __slots__ = ("field", "load", "store")

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        try:
            load = self.load
        except AttributeError:
            load = self._prepare()
        return load(instance._region, instance._offset + self.field.offset)

    def __set__(self, instance: Any, value: Any) -> None:
        try:
            store = self.store
        except AttributeError:
            self._prepare()
            store = self.store
        store(instance._region, instance._offset + self.field.offset, value)

    def _prepare(self) -> Loader:
        self.load, self.store = accessors(self.field.type)
        return self.load


class StructType(type):
    """The class of structs. What a type tells about itself stands here, so that a field may have any name."""

    _fields: dict[str, Field]
    _size: int
    _align: int
    _packed: bool
    _volatile: bool

    fields = property(lambda cls: cls._fields)
    size = property(lambda cls: cls._size)
    align = property(lambda cls: cls._align)
    packed = property(lambda cls: cls._packed)
    volatile = property(lambda cls: cls._volatile)
    name = property(lambda cls: cls.__name__)
    is_struct = property(lambda cls: True)


class Struct(metaclass=StructType):
    """What all structs are; made by `@struct`, never inherited from by hand."""

    __slots__ = ("__weakref__", "_offset", "_region")
    _region: memory.Region
    _offset: int

    def __new__(cls, *values: Any, **named: Any) -> Any:
        fields = cls._fields
        if len(values) > len(fields):
            raise TypeError(f"{cls.__name__} has {len(fields)} fields, {len(values)} are given")
        given = dict(zip(fields, values, strict=False))
        for name, value in named.items():
            if name not in fields or name in given:
                raise TypeError(f"{cls.__name__}: `{name}` is {'given twice' if name in given else 'no field'}")
            given[name] = value
        self = _fresh(cls)
        for name, value in given.items():
            kind = fields[name].type
            if is_reference(kind):
                accessors(kind)[0](self._region, fields[name].offset).copy_from(value)
            else:
                accessors(kind)[1](self._region, fields[name].offset, value)
        return self

    def __init__(self, *values: Any, **named: Any) -> None:
        pass

    def copy_from(self, source: Any) -> None:
        """Copy all bytes of another object of this type."""
        if type(source) is not type(self):
            raise TypeError(f"a {type_name(type(source))} is not a {type_name(type(self))}")
        self._region.write(self._offset, content_of(source))

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise TypeError(f"`==` does not compare a {type(self).__name__}; use `is`, or compare the fields")

    def __bool__(self) -> bool:
        raise TypeError(f"a {type(self).__name__} is neither true nor false")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in type(self)._fields)})"


def struct(cls: Any = None, /, *, packed: bool = False, volatile: bool = False, align: int = 1) -> Any:
    """Make a class of annotations a struct; see docs/dialect.md."""
    frame = sys._getframe(1)
    if cls is None:
        return lambda body: _make_struct(body, packed, volatile, align, frame)
    return _make_struct(cls, packed, volatile, align, frame)


def _namespace(body: Any, what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of a class body and its annotations."""
    if body.__bases__ != (object,):
        raise TypeError(f"{body.__name__}: a {what} has no base class")
    names = {k: v for k, v in vars(body).items() if k not in ("__dict__", "__weakref__")}
    for name, member in names.items():
        if isinstance(member, (FunctionType, staticmethod)) and name.startswith("__") and name.endswith("__"):
            raise TypeError(f"{body.__name__}.{name}: a {what} has no special methods, CPython alone would call it")
    return names, names.get("__annotations__", {})


def _adopt(kind: Any) -> Any:
    """Tell the methods whose they are."""
    for member in vars(kind).values():
        if isinstance(member, FunctionType):
            member.__owner__ = kind  # type: ignore[attr-defined]
    return kind


def _make_struct(body: Any, packed: bool, volatile: bool, align: int, frame: Any) -> Any:
    names, annotations = _namespace(body, "struct")
    if align < 1 or align & (align - 1):
        raise TypeError(f"{body.__name__}: an alignment is a power of two")
    for name in annotations:
        if name in names:
            raise TypeError(f"{body.__name__}.{name}: a field has no default; fields not given are zero")
        names[name] = _FieldAccess()
    fields: dict[str, Field] = {}
    names.setdefault("fields", fields)
    names |= {"__slots__": (), "_fields": fields, "_packed": packed, "_volatile": volatile}
    kind: Any = StructType(body.__name__, (Struct,), names)
    inner = {} if frame.f_locals is frame.f_globals else frame.f_locals
    scope = (frame.f_globals, {**inner, body.__name__: kind})
    size, widest = 0, 1
    for name, annotation in annotations.items():
        try:
            declared = _evaluated(annotation, scope)
            step = 1 if packed else align_of(declared)
            size = -(-size // step) * step
            fields[name] = Field(name, declared, size, scope)
            size += size_of(declared)
        except TypeError as problem:
            raise TypeError(f"{body.__name__}.{name}: {problem}") from None
        widest = max(widest, step)
        names[name].field = fields[name]
    kind._align = max(align, widest)
    kind._size = -(-size // kind._align) * kind._align
    if kind._size > ADDRESSES:
        raise TypeError(f"{body.__name__}: no memory holds {kind._size} bytes")
    return _adopt(kind)


def _evaluated(annotation: Any, scope: tuple[dict[str, Any], dict[str, Any]]) -> Any:
    """An annotation that is a string, evaluated as far as it can be now."""
    if isinstance(annotation, str):
        annotation = eval(annotation, scope[0], _Names(*scope))  # the author's own source text
    if annotation is None or annotation is NoneType:
        raise TypeError("a field of type None")
    if isinstance(annotation, Forward):
        raise TypeError(f"there is no type `{annotation.name}` yet")
    if isinstance(annotation, TypeVar) or typing.get_origin(annotation) is tuple:
        raise TypeError(f"a {type_name(annotation)} cannot be a field")
    if is_callable_type(annotation) or (isinstance(annotation, (PtrType, SpanType)) and annotation not in (Ptr, Span)):
        return annotation
    return resolve_annotation(annotation, *scope)


# ---- bit fields


class BitField:
    """Bits `low` to `high` of the storage, both included, read and written as `type`."""

    __slots__ = ("high", "low", "name", "type")

    def __init__(self, name: str, type: Any, low: int, high: int) -> None:
        self.name, self.type, self.low, self.high = name, type, low, high

    def __repr__(self) -> str:
        return f"BitField({self.name!r}, {type_name(self.type)}, {self.low}, {self.high})"

    @property
    def mask(self) -> int:
        return (1 << self.high - self.low + 1) - 1

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        return self.type(instance._raw >> self.low & self.mask)

    def __set__(self, instance: Any, value: Any) -> None:
        instance._change(lambda raw: raw & ~(self.mask << self.low) | self.encode(value))

    def encode(self, value: Any) -> int:
        """The bits of `value` at their place; those that do not fit are dropped."""
        value = coerce(self.type, value)
        return ((value._raw if isinstance(value, Bits) else int(value)) & self.mask) << self.low


def field(low: int, high: int | None = None) -> Any:
    """Bits `low` to `high`, both included, of a bits type; one bit if `high` is not given."""
    return BitField("", None, int(low), int(low if high is None else high))


class BitsType(type):
    """The class of bits types."""

    _storage: Any
    _bit_fields: dict[str, BitField]

    storage = property(lambda cls: cls._storage)
    bit_fields = property(lambda cls: cls._bit_fields)
    size = property(lambda cls: cls._storage.size)
    align = property(lambda cls: cls._storage.align)
    name = property(lambda cls: cls.__name__)
    is_bits = property(lambda cls: True)


class Bits(metaclass=BitsType):
    """What all bits types are: a value. One read from memory writes its fields back there until it is copied."""

    __slots__ = ("_offset", "_raw", "_region")
    _raw: int
    _region: memory.Region | None
    _offset: int

    def __new__(cls, raw: Any = None, /, **named: Any) -> Any:
        value = 0
        if raw is not None:
            if named:
                raise TypeError(f"{cls.__name__} takes an integer or fields, not both")
            value = int(coerce(cls._storage, raw))
        for name, given in named.items():
            part = cls._bit_fields.get(name)
            if part is None:
                raise TypeError(f"{cls.__name__} has no field `{name}`")
            value |= part.encode(given)
        return cls._bound(value, None, 0)

    def __init__(self, raw: Any = None, /, **named: Any) -> None:
        pass

    @classmethod
    def _bound(cls, raw: int, region: memory.Region | None, offset: int) -> Any:
        self = object.__new__(cls)
        self._raw, self._region, self._offset = raw, region, offset
        return self

    def _change(self, change: Any) -> None:
        size = type(self)._storage.size
        if self._region is None:
            self._raw = change(self._raw)
        else:
            place = slice(self._offset, self._offset + size)
            self._raw = change(int.from_bytes(self._region.data[place], "little"))
            self._region.write(self._offset, self._raw.to_bytes(size, "little"))

    @property
    def raw(self) -> Any:
        """The integer."""
        return type(self)._storage(self._raw)

    @raw.setter
    def raw(self, value: Any) -> None:
        new = int(coerce(type(self)._storage, value))
        self._change(lambda _: new)

    def __int__(self) -> int:
        return self._raw

    def copy(self) -> Any:
        """The value alone, apart from where it was read."""
        return self._bound(self._raw, None, 0)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            raise TypeError(f"`==` does not compare a {type_name(type(self))} with a {type_name(type(other))}")
        return self._raw == other._raw  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), self._raw))

    def __bool__(self) -> bool:
        raise TypeError(f"a {type(self).__name__} is neither true nor false; compare `.raw`")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._raw:#x})"


def bits(storage: Any) -> Any:
    """Make a class of `field` declarations a bits type in an unsigned integer; see docs/dialect.md."""
    if storage not in (u8, u16, u32, u64):
        raise TypeError(f"bits are kept in u8, u16, u32 or u64, not {type_name(storage)}")
    frame = sys._getframe(1)
    return lambda body: _make_bits(body, storage, frame)


def _make_bits(body: Any, storage: Any, frame: Any) -> Any:
    names, annotations = _namespace(body, "bits type")
    parts: dict[str, BitField] = {}
    for name, annotation in annotations.items():
        part = names.get(name)
        where = f"{body.__name__}.{name}"
        if not isinstance(part, BitField) or name == "raw":
            raise TypeError(f"{where}: write `{name}: TYPE = field(low, high)`, with another name than raw")
        kind = resolve_annotation(annotation, frame.f_globals, frame.f_locals)
        width = part.high - part.low + 1
        if not 0 <= part.low <= part.high < storage.bits:
            raise TypeError(f"{where}: bits {part.low} to {part.high} are not in a {storage.name}")
        if kind is bool:
            room = 1
        elif is_bits(kind):
            room = kind.storage.bits
        elif isinstance(kind, type) and issubclass(kind, Integer):
            room = kind.bits
        else:
            raise TypeError(f"{where}: a bit field is a bool, an integer or a bits type, not {type_name(kind)}")
        if width > room:
            raise TypeError(f"{where}: {width} bits do not fit {type_name(kind)}")
        part.name, part.type = name, kind
        parts[name] = part
    for name, member in names.items():
        if isinstance(member, BitField) and name not in parts:
            raise TypeError(f"{body.__name__}.{name}: a bit field needs its type: `{name}: u8 = field(...)`")
    names |= {"__slots__": (), "_storage": storage, "_bit_fields": parts}
    return _adopt(BitsType(body.__name__, (Bits,), names))
