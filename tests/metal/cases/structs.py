# SPDX-License-Identifier: MIT
"""Structs: references, construction, nesting, packed and volatile layouts, methods, identity, big-endian fields."""

from exokernel.metal import *
from casebook import compare, compare_edges, expect


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y

    def move(self, dx: u32, dy: u32) -> None:
        self.x += dx
        self.y += dy

    def larger(self, other: "Point") -> "Point":
        return self if self.sum() >= other.sum() else other

    def double_sum(self) -> u32:
        return self.sum() * 2


@struct
class Line:
    start: Point
    end: Point
    color: u8

    def length_squared(self) -> u32:
        dx = self.end.x - self.start.x
        dy = self.end.y - self.start.y
        return dx * dx + dy * dy


@struct
class Mixed:
    a: u8
    b: u64
    c: i16
    d: bool
    e: i32


@struct(packed=True)
class Packed:
    a: u8
    b: u64
    c: i16
    d: bool
    e: i32


@struct(packed=True)
class Wire:
    kind: u8
    length: u16be
    address: u32be
    serial: u64be
    small: i16be
    medium: i32be
    large: i64be


@struct(volatile=True)
class Device:
    status: u32
    data: u32


@struct(align=64)
class Line64:
    value: u8


@struct
class Node:
    value: u32
    next: "Ptr[Node]"


@struct
class Matrix:
    cells: Array[u32, 4]
    rows: Array[Point, 2]


def construct_by_position(a: u32, b: u32) -> u32:
    p = Point(a, b)
    return p.x * 10 + p.y


compare_edges(construct_by_position)
expect(construct_by_position, (4, 2), 42)


def construct_by_name(a: u32) -> u32:
    p = Point(y=a, x=3)
    return p.x * 10 + p.y


expect(construct_by_name, 7, 37)


def fields_not_given_are_zero(a: u32) -> tuple[u32, u32]:
    p = Point(x=a)
    return p.x, p.y


expect(fields_not_given_are_zero, 9, (9, 0))


def construct_empty() -> tuple[u8, u64, i16, bool, i32]:
    m = Mixed()
    return m.a, m.b, m.c, m.d, m.e


expect(construct_empty, (), (0, 0, 0, False, 0))


def assignment_aliases(a: u32) -> u32:
    p = Point(1, 2)
    q = p
    q.x = a
    return p.x


expect(assignment_aliases, 77, 77)


def rebinding_leaves_the_object(a: u32) -> tuple[u32, u32]:
    p = Point(a, 0)
    q = p
    p = Point(a + 1, 0)
    return p.x, q.x


expect(rebinding_leaves_the_object, 5, (6, 5))


def rebinding_between_two(a: bool) -> tuple[u32, u32]:
    p = Point(1, 1)
    q = Point(2, 2)
    r = p if a else q
    r.x = 9
    return p.x, q.x


expect(rebinding_between_two, True, (9, 2))
expect(rebinding_between_two, False, (1, 9))


def change(p: Point) -> None:
    p.x += 100


def parameter_is_a_reference(a: u32) -> u32:
    p = Point(a, 0)
    change(p)
    change(p)
    return p.x


expect(parameter_is_a_reference, 1, 201)


def rebind_parameter(p: Point) -> u32:
    p = Point(50, 50)
    p.x = 60
    return p.x


def rebinding_a_parameter_does_not_reach_the_caller() -> u32:
    p = Point(1, 2)
    return rebind_parameter(p) * 100 + p.x


expect(rebinding_a_parameter_does_not_reach_the_caller, (), 6001)


def identity_of(p: Point) -> Point:
    return p


def returned_reference_aliases() -> u32:
    p = Point(1, 2)
    q = identity_of(p)
    q.y = 40
    return p.y


expect(returned_reference_aliases, (), 40)


def identity() -> tuple[bool, bool, bool, bool]:
    p = Point(1, 2)
    q = Point(1, 2)
    r = p
    return p is q, p is r, p is not q, p is not r


expect(identity, (), (False, True, True, False))


def method_call(a: u32, b: u32) -> u32:
    return Point(a, b).sum()


compare_edges(method_call)


def method_changes(a: u32) -> u32:
    p = Point(a, a)
    p.move(1, 2)
    p.move(dy=10, dx=20)
    return p.double_sum()


compare_edges(method_changes)
expect(method_changes, 0, 66)


def method_returns_reference() -> tuple[u32, u32]:
    p = Point(1, 1)
    q = Point(2, 2)
    p.larger(q).x = 7
    q.larger(p).y = 8
    return q.x, q.y


expect(method_returns_reference, (), (7, 8))


def nested_fields(a: u32) -> u32:
    line = Line()
    line.start.x = 1
    line.start.y = 2
    line.end.x = a
    line.end.y = 6
    line.color = 200
    return line.length_squared() + line.color


expect(nested_fields, 4, 225)


def nested_reference_aliases() -> u32:
    line = Line()
    end = line.end
    end.x = 5
    line.end.y = 6
    return line.end.x * 10 + end.y


expect(nested_reference_aliases, (), 56)


def nested_identity() -> tuple[bool, bool]:
    line = Line()
    return line.start is line.end, line.end is line.end


expect(nested_identity, (), (False, True))


def nested_argument() -> u32:
    line = Line()
    change(line.end)
    return line.end.x + line.start.x


expect(nested_argument, (), 100)


def nested_copy(a: u32) -> tuple[u32, u32]:
    line = Line()
    p = Point(a, a + 1)
    line.start.copy_from(p)
    p.x = 0
    return line.start.x, line.start.y


expect(nested_copy, 3, (3, 4))


def copy_is_not_alias() -> tuple[u32, u32]:
    p = Point(1, 2)
    q = Point()
    q.copy_from(p)
    q.x = 9
    return p.x, q.x


expect(copy_is_not_alias, (), (1, 9))


def copy_from_itself() -> u32:
    p = Point(1, 2)
    p.copy_from(p)
    return p.sum()


expect(copy_from_itself, (), 3)


def layout_sizes() -> tuple[u64, u64, u64, u64, u64]:
    return sizeof(Point), sizeof(Mixed), sizeof(Packed), sizeof(Wire), sizeof(Line64)


expect(layout_sizes, (), (8, 24, 16, 29, 64))


def layout_offsets() -> tuple[u64, u64, u64, u64, u64]:
    return (
        offsetof(Mixed, "a"),
        offsetof(Mixed, "b"),
        offsetof(Mixed, "c"),
        offsetof(Mixed, "d"),
        offsetof(Mixed, "e"),
    )


expect(layout_offsets, (), (0, 8, 16, 18, 20))


def packed_offsets() -> tuple[u64, u64, u64, u64]:
    return offsetof(Packed, "b"), offsetof(Packed, "c"), offsetof(Packed, "d"), offsetof(Packed, "e")


expect(packed_offsets, (), (1, 9, 11, 12))


def nested_layout() -> tuple[u64, u64, u64, u64]:
    return sizeof(Line), offsetof(Line, "end"), offsetof(Line, "color"), sizeof(Matrix)


expect(nested_layout, (), (20, 8, 16, 32))


def every_field(a: u64) -> tuple[u8, u64, i16, bool, i32]:
    m = Mixed()
    m.a = u8(a)
    m.b = a
    m.c = i16(a)
    m.d = bool(a)
    m.e = i32(a)
    return m.a, m.b, m.c, m.d, m.e


compare_edges(every_field)


def every_packed_field(a: u64) -> tuple[u8, u64, i16, bool, i32]:
    m = Packed()
    m.a = u8(a)
    m.b = a
    m.c = i16(a)
    m.d = bool(a)
    m.e = i32(a)
    return m.a, m.b, m.c, m.d, m.e


compare_edges(every_packed_field)


def big_endian_round_trip(a: u64) -> tuple[u16, u32, u64, i16, i32, i64]:
    w = Wire()
    w.length = u16(a)
    w.address = u32(a)
    w.serial = a
    w.small = i16(a)
    w.medium = i32(a)
    w.large = i64(a)
    return w.length, w.address, w.serial, w.small, w.medium, w.large


compare_edges(big_endian_round_trip)


def big_endian_bytes(a: u32) -> u32:
    w = Wire(kind=1, address=a)
    raw = Ptr[u8](addr(w))
    return u32(raw[3]) << 24 | u32(raw[4]) << 16 | u32(raw[5]) << 8 | raw[6]


compare_edges(big_endian_bytes)
expect(big_endian_bytes, 0x12345678, 0x12345678)


def big_endian_arithmetic(a: u16) -> u16:
    w = Wire(length=a)
    w.length += 1
    w.length = w.length * 2
    return w.length


compare_edges(big_endian_arithmetic)
expect(big_endian_arithmetic, 0xFF, 0x200)


def big_endian_widens(a: u16) -> u32:
    w = Wire(length=a)
    return w.length * 1 + u32(w.length) * 0x10000


compare_edges(big_endian_widens)


def big_endian_compare(a: u16) -> bool:
    w = Wire(length=a)
    return w.length > 255


compare_edges(big_endian_compare)
expect(big_endian_compare, 256, True)


def volatile_fields(a: u32) -> u32:
    d = Device()
    d.data = a
    d.status = d.data
    d.status |= 1
    return d.status


compare_edges(volatile_fields)


def field_augmented(a: u32) -> u32:
    p = Point(a, 10)
    p.x += p.y
    p.x <<= 2
    p.y -= 11
    return p.x ^ p.y


compare_edges(field_augmented)


def linked_list(n: u32) -> u32:
    nodes = Array[Node, 8]()
    head = Ptr[Node](0)
    for i in range(8):
        nodes[i].value = u32(i) * n
        nodes[i].next = head
        head = addr(nodes[i])
    total: u32 = 0
    scale: u32 = 1
    while head:
        total += head[0].value * scale
        scale += 1
        head = head[0].next
    return total


compare(linked_list, 0, 1, 10, 1000)
expect(linked_list, 1, 84)


def object_in_a_loop_starts_anew(n: u32) -> u32:
    total: u32 = 0
    for i in range(n):
        p = Point(y=i)
        p.x += 5
        total += p.x + p.y
    return total


compare(object_in_a_loop_starts_anew, 0, 1, 10)
expect(object_in_a_loop_starts_anew, 4, 26)


def arrays_inside(a: u32) -> u32:
    m = Matrix()
    m.cells[3] = a
    m.rows[1].x = 7
    cells = m.cells
    cells[0] = 1
    total: u32 = 0
    for cell in m.cells:
        total += cell
    for row in m.rows:
        row.y = 10
        total += row.sum()
    return total


expect(arrays_inside, 5, 33)


def recursion_has_its_own_objects(n: u32) -> u32:
    p = Point(n, 0)
    if n > 0:
        p.y = recursion_has_its_own_objects(n - 1)
    return p.x + p.y


compare(recursion_has_its_own_objects, 0, 1, 10, 50)
expect(recursion_has_its_own_objects, 10, 55)


def temporary_as_argument(a: u32) -> u32:
    change(Point(a, 1))
    return Point(a, 1).larger(Point(3, 3)).x


expect(temporary_as_argument, 9, 9)
expect(temporary_as_argument, 1, 3)


def fields_wrap(a: u8) -> u8:
    line = Line(color=a)
    line.color += 200
    return line.color


compare_edges(fields_wrap)
expect(fields_wrap, 100, 44)


def swap_references() -> tuple[u32, u32]:
    p = Point(1, 0)
    q = Point(2, 0)
    p, q = q, p
    p.x *= 10
    return p.x, q.x


expect(swap_references, (), (20, 1))


def reference_chosen_by_while(n: u32) -> u32:
    a = Point(1, 0)
    b = Point(2, 0)
    current = a
    other = b
    while n:
        current, other = other, current
        current.y += n
        n -= 1
    return a.y * 100 + b.y


expect(reference_chosen_by_while, 4, 406)


def set_bool_field(a: u32) -> u32:
    m = Mixed(d=a > 3)
    m.d = not m.d
    return 1 if m.d else 0


compare(set_bool_field, 0, 4)


def neighbours_unharmed(a: u64) -> tuple[u8, i16, bool, i32]:
    m = Packed(a=1, c=-2, d=True, e=-3)
    m.b = a
    return m.a, m.c, m.d, m.e


expect(neighbours_unharmed, 0xFFFFFFFFFFFFFFFF, (1, -2, True, -3))
