# SPDX-License-Identifier: MIT
"""The dialect's types as CPython classes, against what C's types (ctypes) and plain Python arithmetic say."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import exokernel.metal
from exokernel.metal import *
from exokernel.metal import memory
from exokernel.metal.errors import Trap
from exokernel.metal.language import HardwareOnly, module_assembly, placement
from exokernel.metal.types import (
    INTEGERS,
    address_of,
    callable_signature,
    canonical,
    common_type,
    content_of,
    holds,
    is_callable_type,
    is_untouched,
    resolve_annotation,
)

C = {name: getattr(ctypes, f"c_{'u' if name[0] == 'u' else ''}int{name[1:]}") for name in INTEGERS}
integer_types = st.sampled_from(list(INTEGERS.values()))
anything = st.integers(-(1 << 70), 1 << 70)
edges = st.sampled_from(
    [s * (1 << b) + d for s in (1, -1) for b in (0, 7, 8, 15, 16, 31, 32, 63, 64) for d in (-1, 0, 1)]
)
numbers = st.one_of(anything, edges)


def stopped(reason: str) -> Any:
    return pytest.raises(Trap, match=f"^{reason}")


# ---- integers


@given(integer_types, numbers)
def test_construction_wraps_as_c_does(kind: Any, value: int) -> None:
    assert int(kind(value)) == C[kind.name](value).value
    assert type(kind(value)) is kind


@given(integer_types, numbers, numbers, st.sampled_from(["+", "-", "*", "&", "|", "^"]))
def test_arithmetic_is_exact_then_wrapped(kind: Any, a: int, b: int, symbol: str) -> None:
    x, y = kind(a), kind(b)
    result = eval(f"x {symbol} y")
    exact = eval(f"p {symbol} q", {"p": int(x), "q": int(y)})
    assert type(result) is kind
    assert int(result) == C[kind.name](exact).value


@given(integer_types, numbers, numbers)
def test_division_rounds_down(kind: Any, a: int, b: int) -> None:
    x, y = kind(a), kind(b)
    if not y:
        with stopped("zero divisor"):
            x // y
        with stopped("zero divisor"):
            x % y
        return
    assert int(x // y) == C[kind.name](int(x) // int(y)).value
    assert int(x % y) == int(x) % int(y)
    assert x // y * y + x % y == x


@given(integer_types, numbers, integer_types, st.integers(-300, 300))
def test_shifts(kind: Any, a: int, amount_kind: Any, amount: int) -> None:
    x, n = kind(a), amount_kind(amount)
    if n < 0:
        with stopped("negative shift"):
            x << n
        with stopped("negative shift"):
            x >> n
        return
    assert type(x << n) is type(x >> n) is kind
    assert int(x << n) == C[kind.name](int(x) << min(int(n), 100)).value
    assert int(x >> n) == int(x) >> int(n)


@given(integer_types, numbers)
def test_unary(kind: Any, a: int) -> None:
    x = kind(a)
    assert int(~x) == C[kind.name](~int(x)).value
    assert int(abs(x)) == C[kind.name](abs(int(x))).value
    if kind.signed:
        assert int(-x) == C[kind.name](-int(x)).value
    else:
        with pytest.raises(TypeError, match="0 - x"):
            -x


@given(integer_types, numbers, integer_types, numbers)
def test_mixing_widens_or_is_refused(left: Any, a: int, right: Any, b: int) -> None:
    x, y = left(a), right(b)
    wider = [k for k in (left, right) if k.minimum <= min(left.minimum, right.minimum)
             and k.maximum >= max(left.maximum, right.maximum)]  # fmt: skip
    assert common_type(left, right) is (wider[0] if wider else None)
    assert holds(left, right) == (left in wider and (left.minimum <= right.minimum and left.maximum >= right.maximum))
    if not wider:
        for operation in ("x + y", "x < y", "x == y", "x // y", "x & y"):
            with pytest.raises(TypeError, match="do not mix"):
                eval(operation)
        return
    assert type(x + y) is wider[0]
    assert int(x - y) == C[wider[0].name](int(x) - int(y)).value
    assert (x < y, x == y, x >= y) == (int(x) < int(y), int(x) == int(y), int(x) >= int(y))


@given(integer_types, numbers, numbers)
def test_a_constant_takes_the_other_operands_type(kind: Any, a: int, constant: int) -> None:
    x = kind(a)
    if not kind.minimum <= constant <= kind.maximum:
        with pytest.raises(OverflowError, match="does not fit"):
            x + constant
        with pytest.raises(OverflowError, match="does not fit"):
            constant - x
        return
    assert type(x + constant) is type(constant + x) is kind
    assert int(constant - x) == C[kind.name](constant - int(x)).value


def test_what_integers_refuse() -> None:
    for operation in ("u8(1) + True", "u8(4) / 2", "u8(2) ** 2", "2 ** u8(2)", "1 << u8(2)", "u8(1) == True", "u8('1')",
                      "divmod(u8(1), 1)", "u8(1) + 1.0"):  # fmt: skip
        with pytest.raises(TypeError):
            eval(operation)


def test_conversions_of_bool_and_how_integers_print() -> None:
    assert u32(True) == 1
    assert (repr(u8(200)), str(u8(200)), f"{u8(200):x}") == ("u8(200)", "200", "c8")
    assert [type(x) for x in range(u8(2))] == [int, int]  # at build time a range is Python's


# ---- memory


def test_memory_is_only_where_objects_are() -> None:
    array = Array[u32, 3]([1, 2, 3])
    p = addr(array)
    first = Ptr[u32](u64(p))
    assert [first[i] for i in range(3)] == [1, 2, 3]
    for index in (3, -1):
        with pytest.raises(MemoryError):
            first[index]
    with pytest.raises(MemoryError):
        Ptr[u32](0)[0]


def test_memory_ends_with_its_object_unless_its_address_is_written_down() -> None:
    gone = address_of(Array[u8, 4]())
    with pytest.raises(MemoryError):
        memory.find(gone)
    kept = u64(addr(Array[u8, 4](b"abcd")))
    assert Ptr[u8](kept)[2] == ord("c")


def test_a_large_array_costs_nothing_until_touched() -> None:
    array = Array[u64, 1 << 40]()
    assert len(array) == 1 << 40
    assert is_untouched(array)


# ---- arrays and spans


def test_arrays() -> None:
    array = Array[u8, 4](b"abcd")
    assert [int(x) for x in array] == [97, 98, 99, 100]
    assert array[-1] == 100
    assert array == b"abcd"
    array[1] = 0
    assert bytes(array) == b"a\0cd"
    with stopped("index out of range"):
        array[4]
    with stopped("index out of range"):
        array[-5] = 0
    with pytest.raises(OverflowError):
        array[0] = 256
    with pytest.raises(TypeError, match="signed"):
        array[i8(0)]
    with pytest.raises(TypeError, match="3 elements"):
        Array[u8, 4]([1, 2, 3])


@given(st.binary(max_size=12), st.integers(-14, 14), st.integers(-14, 14))
def test_slices_are_checked_not_clamped(content: bytes, start: int, stop: int) -> None:
    n = len(content)
    array = Array[u8, n](content)
    low, high = (start + n if start < 0 else start), (stop + n if stop < 0 else stop)
    if 0 <= low <= high <= n:
        part = array[start:stop]
        assert type(part) is Span[u8]
        assert bytes(part) == content[low:high]
    else:
        with stopped("slice bounds"):
            array[start:stop]


def test_spans_share_storage() -> None:
    array = Array[u16be, 4]([1, 2, 3, 4])
    middle = array[1:3]
    middle[0] = 0x1234
    assert array[1] == 0x1234
    assert content_of(array) == bytes.fromhex("0001123400030004")
    middle.fill(7)
    assert [int(x) for x in array] == [1, 7, 7, 4]
    array[1:].copy_from(array[:3])
    assert [int(x) for x in array] == [1, 1, 7, 7]
    with stopped("lengths differ"):
        array[1:].copy_from(array)
    again = Span[u16be](addr_of_element(array), 2)
    assert int(again[1]) == 1


def addr_of_element(array: Any) -> Any:
    return Ptr[u16be](addr(array))


def test_one_class_for_one_type() -> None:
    assert Array[u8, 4] is Array[u8, u8(4)]
    assert Span[Ptr[u8]] is Span[Ptr[u8]]
    assert Array[Callable[[u8], None], 2] is Array[typing.Callable[[u8], None], 2]
    assert Array[Ptr[u8], 3].name == "Array[Ptr[u8], 3]"


# ---- structs


layout_types = st.lists(st.sampled_from(sorted(INTEGERS)), min_size=1, max_size=8)


@given(layout_types, st.booleans(), st.data())
def test_layout_is_that_of_c(names: list[str], packed: bool, data: Any) -> None:
    annotations = {f"f{i}": INTEGERS[name] for i, name in enumerate(names)}
    kind: Any = struct(packed=packed)(type("S", (), {"__annotations__": annotations}))
    namespace = {"_fields_": [(f"f{i}", C[name]) for i, name in enumerate(names)]} | ({"_pack_": 1} if packed else {})
    same = type("S", (ctypes.Structure,), namespace)
    assert kind.size == ctypes.sizeof(same)
    assert kind.align == ctypes.alignment(same)
    assert [f.offset for f in kind.fields.values()] == [getattr(same, name).offset for name in annotations]
    values = [data.draw(st.integers(k.minimum, k.maximum)) for k in annotations.values()]
    assert [int(getattr(kind(*values), name)) for name in annotations] == values
    if packed:
        assert content_of(kind(*values)) == bytes(same(*values))


@struct
class Node:
    value: u32
    next: Ptr[Node]
    later: Ptr[Later]


@struct(packed=True)
class Later:
    kind: u8
    number: u32be
    inner: Node
    rest: Array[i16, 3]


@struct
class Awkward:
    size: u8
    fields: u16
    name: u32
    align: u64


@struct(align=64)
class Line:
    value: u8


@struct
class Holder:
    text: str
    data: bytes
    view: Span[u8]
    call: Callable[[Later], None]
    flag: bool


def test_forward_references_resolve_to_the_one_class() -> None:
    assert Node.fields["next"].type is Ptr[Node]
    assert Node.fields["later"].type is Ptr[Later]
    assert (Node.size, Node.align) == (24, 8)
    assert (Later.size, Later.align) == (1 + 4 + 24 + 6, 1)
    assert canonical(Ptr["Later"]) is Ptr[Later]
    assert Ptr["Later"].target is Later


def test_fields_may_have_any_name() -> None:
    thing = Awkward(1, 2, 3, 4)
    assert (thing.size, thing.fields, thing.name, thing.align) == (1, 2, 3, 4)
    assert (Awkward.size, Awkward.align, Awkward.name) == (16, 8, "Awkward")
    assert list(Awkward.fields) == ["size", "fields", "name", "align"]


def test_objects_are_references() -> None:
    later = Later(3)
    later.inner.value = 9
    later.number = 0x01020304
    later.rest[1] = -2
    assert content_of(later) == bytes.fromhex("0301020304 09000000") + bytes(20 + 2) + b"\xfe\xff" + bytes(2)
    assert later.inner is later.inner
    later.inner.next = addr(later.inner)
    assert later.inner.next[0] is later.inner
    other = Later()
    other.copy_from(later)
    assert other.inner.value == 9
    assert other.inner is not later.inner
    for wrong in ("later.inner = later.inner", "later.unknown = 1", "later.number = u64(1)"):
        with pytest.raises((TypeError, AttributeError)):
            exec(wrong, {"later": later, "u64": u64})
    with pytest.raises(TypeError, match="compare"):
        later == other
    assert Line.size == 64
    assert address_of(Line()) % 64 == 0


def test_fields_that_hold_addresses() -> None:
    array = Array[u8, 3](b"abc")
    holder = Holder("text", b"data", array, print, True)
    assert (holder.text, holder.data, bytes(holder.view), holder.flag) == ("text", b"data", b"abc", True)
    assert holder.call is print
    holder.data = array
    array[0] = ord("x")
    assert holder.data == b"xbc"
    assert Holder(call=print).data == b""


def test_what_structs_refuse() -> None:
    with pytest.raises(TypeError, match="default"):
        struct(type("S", (), {"__annotations__": {"x": u8}, "x": 1}))
    with pytest.raises(TypeError, match="no width"):
        struct(type("S", (), {"__annotations__": {"x": int}}))
    with pytest.raises(TypeError, match="there is no type `Missing`"):
        struct(type("S", (), {"__annotations__": {"x": "Missing"}}))
    with pytest.raises(TypeError, match="base class"):
        struct(type("S", (Node,), {}))
    with pytest.raises(TypeError, match="no field"):
        Node(wrong=1)


def test_special_methods_are_refused_since_only_cpython_would_call_them() -> None:
    for name in ("__init__", "__post_init__", "__new__", "__eq__", "__getitem__"):
        method = {name: lambda self: None}
        with pytest.raises(TypeError, match=f"S.{name}: a struct has no special methods"):
            struct(type("S", (), {"__annotations__": {"x": u8}} | method))
        with pytest.raises(TypeError, match=f"B.{name}: a bits type has no special methods"):
            bits(u8)(type("B", (), method))


def test_no_type_is_larger_than_memory() -> None:
    with pytest.raises(TypeError, match="no memory holds an Array"):
        Array[u8, 1 << 70]
    with pytest.raises(TypeError, match="no memory holds an Array"):
        Array[Array[u64, 1 << 40], 1 << 10]
    with pytest.raises(TypeError, match="S: no memory holds"):
        struct(type("S", (), {"__annotations__": {"x": Array[u64, 1 << 44], "y": u8}}))


# ---- bit fields


@bits(u64)
class Entry:
    present: bool = field(0)
    writable: bool = field(1)
    frame: u64 = field(12, 51)
    available: u8 = field(52, 58)

    def address(self) -> u64:
        return self.frame << 12


@bits(u32)
class Sequence:
    pass


@struct
class Table:
    first: Entry
    entries: Array[Entry, 4]


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
def test_a_bit_field_changes_its_bits_only(raw: int, frame: int) -> None:
    entry = Entry(raw)
    entry.frame = frame
    mask = ((1 << 40) - 1) << 12
    assert int(entry.raw) == raw & ~mask | frame << 12 & mask
    assert int(entry.frame) == frame & (1 << 40) - 1
    assert Entry(int(entry.raw)) == entry
    assert hash(Entry(entry.raw)) == hash(entry)


def test_bits_in_memory_are_written_through() -> None:
    table = Table()
    table.first.present = True
    table.entries[2].frame = 5
    table.entries[3] = Entry(writable=True)
    pointer = Ptr[Entry](addr(table.entries))
    pointer[1].available = 0xFF
    assert [int(x) for x in Span[u64](Ptr[u64](addr(table)), 5)] == [1, 0, 0x7F << 52, 5 << 12, 2]
    assert table.entries[2].address() == 5 << 12


def test_bits_are_types_of_their_own() -> None:
    assert (Entry.size, Entry.align, Entry.storage) == (8, 8, u64)
    assert repr(Entry.bit_fields["frame"]) == "BitField('frame', u64, 12, 51)"
    for wrong in ("Entry(1) == 1", "Entry(1) == Sequence(1)", "Sequence(1) + 1", "bool(Entry(1))", "Entry(1).other",
                  "Entry(i64(1))", "Sequence(u64(1))"):  # fmt: skip
        with pytest.raises((TypeError, AttributeError)):
            eval(wrong)
    for low, high, kind in ((60, 64, u8), (5, 4, u8), (0, 8, u8), (0, 1, bool)):
        with pytest.raises(TypeError):
            bits(u64)(type("B", (), {"__annotations__": {"x": kind}, "x": field(low, high)}))
    with pytest.raises(TypeError, match="bits are kept in"):
        bits(i32)


# ---- pointers


def test_pointers() -> None:
    array = Array[u32, 4]([1, 2, 3, 4])
    p = Ptr[u32](addr(array))
    q = p + 3
    assert (q[0], q - p, p - q, (q - u8(1))[0]) == (4, 3, -3, 3)
    assert type(q - p) is i64
    assert (p < q, p == q - 3, bool(p), bool(Ptr[u32](0))) == (True, True, True, False)
    p[1] = 77
    assert array[1] == 77
    assert Ptr[u8](p)[4] == 77
    assert Ptr[u32](u64(p)) == p
    for wrong in ("p + q", "p == Ptr[u8](p)", "Ptr[u32](i64(1))", "u32(p)", "iter(p)", "p - Ptr[u8](p)"):
        with pytest.raises(TypeError):
            eval(wrong, globals(), {"p": p, "q": q})


# ---- annotations


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("u8", u8), (u8, u8), (None, type(None)), ("None", type(None)), ("Ptr[Node]", Ptr[Node]), (bool, bool),
        (typing.Final[u32], u32), ("typing.Final[u32]", u32), ("Array[u8, 2 + 2]", Array[u8, 4]),
        ("Span['Node']", Span[Node]), ("tuple[u8, bool]", tuple[u8, bool]), (bytes, bytes), ("Entry", Entry),
    ],
)  # fmt: skip
def test_annotations(annotation: Any, kind: Any) -> None:
    assert resolve_annotation(annotation, globals()) == kind


def test_callable_annotations() -> None:
    kind = resolve_annotation("typing.Callable[['Node', u8], None]", globals())
    assert is_callable_type(kind)
    assert callable_signature(kind) == ([Node, u8], type(None))


@pytest.mark.parametrize(
    ("annotation", "advice"),
    [
        (int, "no width"), ("int", "no width"), (float, "floating"), ("Nothing", "no type `Nothing`"),
        (list, "not a type"), (Array, "Array"),
        ("Span", "needs its element type"), ("1 +", "not a type"), (typing.Final, "Final"),
        ("Array[int, 3]", "no width"), (typing.Callable, "PARAMETERS"),
    ],
)  # fmt: skip
def test_wrong_annotations_get_advice(annotation: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=advice):
        resolve_annotation(annotation, globals())


# ---- language


@given(st.sampled_from([u8, u16, u32, u64]), st.integers(0, (1 << 64) - 1), st.integers(0, 200))
def test_bit_intrinsics(kind: Any, value: int, amount: int) -> None:
    x = kind(value)
    text = f"{int(x):0{kind.bits}b}"
    assert count_leading_zeros(x) == len(text) - len(text.lstrip("0"))
    assert count_trailing_zeros(x) == len(text) - len(text.rstrip("0"))
    assert count_ones(x) == text.count("1")
    turn = amount % kind.bits
    assert rotate_left(x, amount) == int(text[turn:] + text[:turn], 2)
    assert byte_swap(x) == int.from_bytes(int(x).to_bytes(kind.size, "big"), "little")
    assert type(byte_swap(x)) is type(count_ones(x)) is kind


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
def test_multiply_high(a: int, b: int) -> None:
    assert multiply_high(u64(a), u64(b)) == a * b >> 64


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
def test_add_end_around(a: int, b: int) -> None:
    assert add_end_around(u64(a), u64(b)) == (a + b if a + b < 1 << 64 else a + b - (1 << 64) + 1)


def test_atomics_give_the_old_value() -> None:
    array = Array[u8, 1]([250])
    p = Ptr[u8](addr(array))
    assert (atomic_add(p, 10), atomic_load(p)) == (250, 4)
    assert (atomic_or(p, 3), atomic_and(p, 6), atomic_xor(p, 1), atomic_sub(p, 8)) == (4, 7, 6, 7)
    assert (atomic_exchange(p, 5), array[0]) == (255, 5)
    assert (atomic_compare_exchange(p, 6, 9), atomic_compare_exchange(p, 5, 9), array[0]) == (False, True, 9)
    volatile_store(p, 3)
    assert volatile_load(p) == 3
    with pytest.raises(OverflowError):
        atomic_add(p, 256)
    with pytest.raises(TypeError):
        atomic_add(addr(array), 1)


def test_view_shares_storage() -> None:
    data = Array[u8, 40]()
    header = view(Later, data, 5)
    header.number = 0x0A0B0C0D
    assert bytes(data[5:12]) == b"\0\x0a\x0b\x0c\x0d\0\0"
    for offset in (6, 40, 41, 1 << 63):
        with stopped("view too short"):
            view(Later, data, offset)
    with pytest.raises(TypeError, match="packed"):
        view(Node, data)


def test_format_into() -> None:
    buffer = Array[u8, 4](b"....")
    assert format_into(buffer, f"{u8(7)}é") == 3
    assert bytes(buffer) == "7é.".encode()
    with stopped("format buffer too small"):
        format_into(buffer, "12345")


def test_decorators_only_record() -> None:
    @inline
    @section(".text.boot")
    @align(64)
    @calling_convention("preserve_nonecc")
    def marked() -> u8:
        return u8(1)

    assert marked.__metal__ == {"inline": True, "section": ".text.boot", "align": 64, "convention": "preserve_nonecc"}  # type: ignore[attr-defined]
    assert marked() == 1


def test_placements_belong_to_one_object() -> None:
    array: Any = placed(".shared", aligned(4096, Array[u8, 4]()))
    assert placement(array) == (4096, ".shared")
    assert address_of(array) % 4096 == 0
    assert addr(array)[0] is array
    number = aligned(64, 5)
    assert (number, placement(number).align, placement(5).align) == (5, 64, 0)
    with pytest.raises(ValueError, match="power of two"):
        aligned(3, array)


def test_hardware_stays_in_the_image() -> None:
    with pytest.raises(HardwareOnly):
        asm("hlt")
    with stopped("trap"):
        trap()
    module_asm("nop")
    assert module_assembly(__name__) == ["nop"]


def test_the_star_import_gives_the_dialect() -> None:
    document = Path(__file__).parents[2].joinpath("docs/dialect.md").read_text()
    for name in exokernel.metal.__all__:
        assert name in document or name == "align", name
    assert len(set(exokernel.metal.__all__)) == len(exokernel.metal.__all__)


def test_importing_the_dialect_does_not_load_the_compiler() -> None:
    check = (
        "import sys, exokernel.metal; print([m for m in sys.modules if m in ('llvmlite', 'exokernel.metal.lower', "
        "'exokernel.metal.simulate')])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=30, check=True,
                          env={"PYTHONPATH": ":".join(sys.path)})  # fmt: skip
    assert done.stdout.strip() == "[]"


CHECKED = """
from typing import Final
from exokernel.metal import Array, Ptr, Span, bits, field, struct, u8, u32, u64, view

@struct
class Point:
    x: u32
    inner: Array[u8, 4]

@struct(packed=True)
class Header:
    kind: u8

@bits(u64)
class Entry:
    present: bool = field(0)

table: Array[Point, 4] = Array[Point, 4]()
CRC: Final[Array[u32, 3]] = Array[u32, 3]([1, 2, 3])

def check(point: Point, pointer: Ptr[Point], data: Span[u8]) -> u32:
    fresh = Point(1)
    fresh.copy_from(point)
    raw: u64 = Entry(present=True).raw
    view(Header, data, 2).kind = data[1:][0]
    return fresh.x + pointer[0].inner[0] + table[1].x + CRC[2] + len(data)

def wrong(point: Point) -> u32:
    Point(1, y=2)
    return table[0]
"""


def test_mypy_reads_the_dialect(tmp_path: Path) -> None:
    (tmp_path / "checked.py").write_text(CHECKED)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\nplugins = exokernel.metal.mypy_plugin\n")
    source = str(Path(exokernel.metal.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental", "checked.py"], cwd=tmp_path, capture_output=True, text=True,
        timeout=100, check=False, env={"PYTHONPATH": source, "MYPYPATH": source},
    )  # fmt: skip
    found = [line.partition("error: ")[2] for line in done.stdout.splitlines() if "error: " in line]
    assert found == [
        'Unexpected keyword argument "y" for "Point"  [call-arg]',
        'Incompatible return value type (got "Point", expected "int")  [return-value]',
    ], done.stdout + done.stderr
