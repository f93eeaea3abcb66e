# SPDX-License-Identifier: MIT
"""Expressions: constants, names, places, operators, conversions. A part of `lower.Lowering`.

The rules of `docs/dialect.md` for mixing integers are decided here and nowhere else. What Python can compute at build
time is computed by Python (`static`); everything else becomes instructions. Must never convert silently with a loss.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import enum
import operator
import re
import types
import typing
from typing import TYPE_CHECKING, Any

from exokernel.metal import kinds, language, runtime
from exokernel.metal.errors import Trap
from exokernel.metal.kinds import NONE, CallableType, Literal, Type, is_borrowing, llvm, memory_llvm, type_name
from exokernel.metal.types import common_type, holds, span_of, u8
from exokernel.metal.values import FOREIGN, Place, Value, join, may_be_foreign

if TYPE_CHECKING:
    from exokernel.metal.lower import Lowering


class Unknown:
    """Not known at build time."""


UNKNOWN = Unknown()

OPERATORS: dict[type, Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
    ast.LShift: operator.lshift, ast.RShift: operator.rshift, ast.Pow: operator.pow, ast.Div: operator.truediv,
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert, ast.Not: operator.not_,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
    ast.Is: operator.is_, ast.IsNot: operator.is_not,
}  # fmt: skip
SYMBOLS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%", ast.BitAnd: "&", ast.BitOr: "|",
    ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>", ast.Pow: "**", ast.Div: "/", ast.MatMult: "@",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
PLAIN = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor"}
COMPARISONS = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}
LARGEST_CONSTANT_BITS = 4096


class Expressions:
    """Mixed into `Lowering`."""

    # ---- what Python knows at build time

    def static(self: Lowering, node: ast.AST | None) -> Any:
        """The Python object that `node` denotes at build time, or UNKNOWN."""
        match node:
            case ast.Constant(value=value):
                return value if isinstance(value, (int, bytes, str)) or value is None else UNKNOWN
            case ast.Name(id=name):
                return UNKNOWN if name in self.locals else self.static_name(node)
            case ast.Attribute(value=base, attr=attribute):
                return self.static_attribute(self.static(base), attribute, node)
            case ast.BinOp(left=left, op=op, right=right):
                return self.static_operation(node, op, left, right)
            case ast.UnaryOp(op=op, operand=operand):
                return self.static_operation(node, op, operand)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                a, b = self.static(left), self.static(right)
                if a is UNKNOWN or b is UNKNOWN or type(op) not in OPERATORS:
                    return UNKNOWN
                return self.compute(node, op, a, b)
            case ast.Compare(left=left, ops=operations, comparators=rights):
                known = [self.static(n) for n in (left, *rights)]
                if any(k is UNKNOWN for k in known):
                    return UNKNOWN
                pairs = zip(operations, known[:-1], known[1:], strict=True)
                return all(self.compute(node, op, a, b) for op, a, b in pairs)
            case ast.BoolOp(op=op, values=values):
                return self.static_logic(op, values)
            case ast.IfExp(test=test, body=yes, orelse=no):
                known = self.static(test)
                return UNKNOWN if known is UNKNOWN else self.static(yes if known else no)
            case ast.Subscript(value=base, slice=index):
                return self.static_subscript(node, base, index)
            case ast.Tuple(elts=elements):
                known = [self.static(e) for e in elements]
                return UNKNOWN if any(k is UNKNOWN for k in known) else tuple(known)
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self.static_call(node, function, arguments)
        return UNKNOWN

    def static_name(self: Lowering, node: ast.Name) -> Any:
        name = node.id
        if name in self.function.bindings:
            return self.function.bindings[name]
        if self.program.variable(self.globals, name) is not None:
            return UNKNOWN
        if name in self.globals:
            self.program.reject_copied_variable(self, node)
            return self.program.typed_constant(self.globals, name)
        if hasattr(builtins, name):
            return getattr(builtins, name)
        self.unknown_name(name, node)

    def static_attribute(self: Lowering, base: Any, attribute: str, node: ast.AST) -> Any:
        if base is UNKNOWN:
            return UNKNOWN
        if isinstance(base, types.ModuleType):
            if self.program.variable(base.__dict__, attribute) is not None:
                return UNKNOWN
            if not hasattr(base, attribute):
                near = difflib.get_close_matches(attribute, dir(base), 1)
                self.error(
                    node, f"module `{base.__name__}` has no `{attribute}`", f"did you mean `{near[0]}`?" if near else ""
                )
            return self.program.typed_constant(base.__dict__, attribute)
        if isinstance(base, (type, enum.Enum)):
            if not hasattr(base, attribute):
                self.error(node, f"`{base.__name__ if isinstance(base, type) else base}` has no `{attribute}`")
            return getattr(base, attribute)
        return UNKNOWN

    def static_operation(self: Lowering, node: ast.AST, op: ast.AST, *operands: ast.expr) -> Any:
        known = [self.static(o) for o in operands]
        if any(k is UNKNOWN for k in known) or type(op) not in OPERATORS:
            return UNKNOWN
        if not all(isinstance(k, (int, str, bytes, tuple)) for k in known):
            return UNKNOWN
        return self.compute(node, op, *known)

    def compute(self: Lowering, node: ast.AST, op: ast.AST, *operands: Any) -> Any:
        """One operation of constants, by Python."""
        growing = isinstance(op, (ast.Pow, ast.LShift)) and all(isinstance(o, int) for o in operands)
        if growing and operands[1] > LARGEST_CONSTANT_BITS:
            self.error(node, "this constant is too large to compute")
        if isinstance(op, ast.Div):
            self.error(node, "`/` gives a fraction, and there are none", "use `//`")
        try:
            return OPERATORS[type(op)](*operands)
        except ZeroDivisionError:
            self.error(node, "this constant divides by zero")
        except Trap as trap:
            self.error(node, f"this constant expression traps: {trap.reason}")
        except (TypeError, ValueError, OverflowError) as problem:
            self.error(node, f"this constant cannot be computed: {problem}")

    def static_logic(self: Lowering, op: ast.AST, values: list[ast.expr]) -> Any:
        stop = isinstance(op, ast.Or)
        for value in values:
            known = self.static(value)
            if known is UNKNOWN:
                return UNKNOWN
            if bool(known) is stop:
                return stop
        return not stop

    def static_subscript(self: Lowering, node: ast.Subscript, base: ast.expr, index: ast.expr) -> Any:
        thing = self.static(base)
        if thing is UNKNOWN:
            return UNKNOWN
        if isinstance(thing, type) or thing is typing.Callable:
            return self.annotation(node)
        if isinstance(thing, (tuple, list, dict, str)):
            key = self.static(index)
            if key is UNKNOWN:
                self.error(
                    index,
                    f"a constant {type(thing).__name__} needs a constant index",
                    "to index at run time, make it a module variable: `T: Final[Array[u32, N]] = Array[u32, N](...)`",
                )
            try:
                return thing[key]
            except (LookupError, TypeError) as problem:
                self.error(index, f"no such element: {problem}")
        return UNKNOWN

    def static_call(self: Lowering, node: ast.Call, function: ast.expr, arguments: list[ast.expr]) -> Any:
        thing = self.static(function)
        if thing is language.sizeof and len(arguments) == 1:
            return kinds.size_of(self.type_of(arguments[0]))
        if thing is language.offsetof and len(arguments) == 2:
            kind, name = self.type_of(arguments[0]), self.static(arguments[1])
            if not kinds.is_struct(kind) or name not in kind.fields:
                self.error(node, f"`{type_name(kind)}` has no field {name!r}")
            return kind.fields[name].offset
        if thing in (len, min, max, abs, ord, bool) or kinds.is_integer(thing):
            known = [self.static(a) for a in arguments]
            if any(k is UNKNOWN for k in known) or not known:
                return UNKNOWN
            if kinds.is_integer(thing):
                if len(known) != 1 or not isinstance(known[0], int):
                    return UNKNOWN
                if type(known[0]) is int and not thing.minimum <= known[0] <= thing.maximum:
                    self.error(
                        node,
                        f"the constant {known[0]} does not fit {type_name(thing)}",
                        f"{type_name(thing)} holds {thing.minimum} to {thing.maximum}",
                    )
                return thing(known[0])
            try:
                return thing(*known)
            except (TypeError, ValueError) as problem:
                self.error(node, f"this constant cannot be computed: {problem}")
        return UNKNOWN

    # ---- types

    def type_of(self: Lowering, node: ast.expr) -> Type:
        """The type that an expression such as `u32` or `Array[u8, 4]` names."""
        return self.annotation(node)

    def annotation(self: Lowering, node: ast.expr | None) -> Type:
        """The type that an annotation denotes."""
        if node is None:
            self.error(self.function.node, "a type is missing")
        if isinstance(node, ast.Constant):
            if node.value is None:
                return NONE
            if isinstance(node.value, str):
                inner = ast.parse(node.value, mode="eval").body
                for child in ast.walk(inner):
                    ast.copy_location(child, node)
                return self.annotation(inner)
        if isinstance(node, ast.Subscript):
            base = self.static(node.value)
            if base is typing.Final:
                return self.annotation(node.slice)
            items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if getattr(base, "__name__", "") == "Callable":
                if len(items) != 2 or not isinstance(items[0], ast.List):
                    self.error(node, "write Callable[[PARAMETERS], RESULT]")
                parameters = tuple(self.annotation(p) for p in items[0].elts)
                return CallableType(parameters, self.annotation(items[1]))
            if base is tuple:
                return kinds.TupleType(tuple(self.annotation(i) for i in items))
            if isinstance(base, type):
                known = [self.static(i) if i is not items[0] else self.annotation(i) for i in items]
                if any(k is UNKNOWN for k in known):
                    self.error(node, "the length of an Array must be a constant")
                try:
                    return base[tuple(known) if len(known) > 1 else known[0]]  # type: ignore[index]
                except (TypeError, ValueError) as problem:
                    self.error(node, f"this is not a type: {problem}")
        known = self.static(node)
        if isinstance(known, typing.TypeVar):
            return self.function.bindings.get(known.__name__, known)
        if known is int:
            self.error(node, "`int` has no width", "use u8, u16, u32, u64, i8, i16, i32 or i64")
        if known is float:
            self.error(node, "there is no floating point")
        if isinstance(known, types.GenericAlias) or typing.get_origin(known) is not None:
            known = kinds.normal(known)
        if known is UNKNOWN or not kinds.is_type(known):
            self.error(
                node,
                f"`{ast.unparse(node)}` is not a type of the dialect",
                "the types are u8..i64, bool, bytes, str, Array, Span, Ptr, Callable and your structs and bits",
            )
        return known

    # ---- values

    def make(self: Lowering, kind: Type, ir: str, like: Value | None = None, constant: Any = None) -> Value:
        """A value; what it may refer to is taken from `like`."""
        if like is None or not is_borrowing(kind):
            return Value(kind, ir, constant)
        return Value(kind, ir, constant, like.level, like.sites, like.volatile)

    def value(self: Lowering, node: ast.expr, want: Type | None = None) -> Value:
        """Evaluate an expression. `want` is the type its user hopes for; it never changes the meaning."""
        known = self.static(node)
        if known is not UNKNOWN:
            return self.from_object(known, node)
        handler = getattr(self, "on_" + type(node).__name__, None)
        if handler is None:
            self.unsupported_expression(node)
        result = handler(node, want) if handler.__name__ in ("on_IfExp", "on_Call") else handler(node)
        if result.type is NONE:
            self.error(node, "this call returns nothing", "use it as a statement")
        return typing.cast("Value", result)

    def unsupported_expression(self: Lowering, node: ast.expr) -> typing.NoReturn:
        what, hint = {
            ast.Lambda: ("`lambda` is not supported", "write a function at module level"),
            ast.ListComp: ("comprehensions are not supported", "write a loop"),
            ast.SetComp: ("comprehensions are not supported", "write a loop"),
            ast.DictComp: ("comprehensions are not supported", "write a loop"),
            ast.GeneratorExp: ("generators are not supported", "write a loop"),
            ast.List: ("lists are not supported", "use Array[T, N]([...])"),
            ast.Dict: ("dictionaries are not supported", "use an array, or build a table at module level"),
            ast.Set: ("sets are not supported", "use bits of an integer, or an array"),
            ast.Tuple: ("a tuple is supported only in `return` and when unpacking", ""),
            ast.NamedExpr: ("`:=` is not supported", "assign on a line of its own"),
            ast.Await: ("`await` is not supported", ""),
            ast.Yield: ("generators are not supported", ""),
            ast.YieldFrom: ("generators are not supported", ""),
            ast.JoinedStr: ("an f-string is supported only in print and format_into", ""),
            ast.Starred: ("`*` in an expression is not supported", "write the items out"),
            ast.Slice: ("a slice is not supported here", ""),
        }.get(type(node), (f"`{type(node).__name__}` is not supported", ""))
        if isinstance(node, ast.Constant):
            if isinstance(node.value, (float, complex)):
                what, hint = "there is no floating point", "use integers, scaled if need be"
            else:
                what = f"`{node.value!r}` is not supported"
        self.error(node, what, hint)

    def from_object(self: Lowering, thing: Any, node: ast.AST) -> Value:
        """A build-time object as a value."""

        if isinstance(thing, bool):
            return Value(bool, "true" if thing else "false", thing)
        if isinstance(thing, int):
            kind: Type = type(thing) if kinds.is_integer(type(thing)) else Literal
            return Value(kind, str(int(thing)), int(thing))
        if isinstance(thing, (bytes, str)):
            data = thing if isinstance(thing, bytes) else thing.encode()
            return Value(type(thing), self.text_constant(data), thing)
        if isinstance(thing, types.FunctionType):
            function = self.program.instance(thing, self, node)
            kind = CallableType(tuple(t for _, t in function.parameters), function.result)
            return Value(kind, f'@"{function.symbol}"')
        if isinstance(thing, tuple) and thing and all(isinstance(t, (int, bytes, str)) for t in thing):
            parts = [self.from_object(t, node) for t in thing]
            if any(p.type is Literal for p in parts):
                return Value(Literal, "", thing)
            kind = kinds.TupleType(tuple(p.type for p in parts))
            return self.pack(kind, parts)
        if kinds.is_bits(type(thing)):
            return Value(type(thing), str(int(thing.raw)), int(thing.raw))
        if kinds.is_pointer(type(thing)) and not thing:
            return Value(type(thing), "null")
        if thing is None:
            self.error(node, "`None` is not a value here", "the null pointer of a type is Ptr[T](0)")
        if kinds.is_type(thing):
            self.error(node, f"the type {type_name(thing)} is not a value", f"make one with `{type_name(thing)}(...)`")
        if isinstance(thing, float):
            self.error(node, "there is no floating point", "use integers, scaled if need be")
        if isinstance(thing, types.ModuleType):
            self.error(node, f"the module `{thing.__name__}` is not a value")
        self.error(
            node,
            f"a {type(thing).__name__} is not a value of the dialect",
            "constants are int, bool, str, bytes, enum members and tuples of these",
        )

    def text_constant(self: Lowering, data: bytes) -> str:
        name = self.program.text(data)
        return f"{{ ptr {name}, i64 {len(data)} }}" if data else "{ ptr null, i64 0 }"

    def pack(self: Lowering, kind: kinds.TupleType, parts: list[Value]) -> Value:

        spelled, ir = llvm(kind), "undef"
        for i, part in enumerate(parts):
            ir = self.let(f"insertvalue {spelled} {ir}, {llvm(part.type)} {part.ir}, {i}")
        sites = frozenset().union(*(p.sites | may_be_foreign(p.level, p.ir) for p in parts if is_borrowing(p.type)))
        return Value(kind, ir, None, max((p.level for p in parts if is_borrowing(p.type)), default=0), sites)

    def on_Tuple(self: Lowering, node: ast.Tuple) -> Value:
        want = self.function.result
        if not (isinstance(self.statement, ast.Return) and isinstance(want, kinds.TupleType)):
            self.unsupported_expression(node)
        if len(node.elts) != len(want.items):
            self.error(node, f"{len(node.elts)} values for {type_name(want)}")
        parts = [self.convert(self.value(e, k), k, e) for e, k in zip(node.elts, want.items, strict=True)]
        return self.pack(want, parts)

    def on_Name(self: Lowering, node: ast.Name) -> Value:
        if node.id in self.locals:
            return self.read_variable(node.id, node)
        return self.load(self.place(node))

    def on_Attribute(self: Lowering, node: ast.Attribute) -> Value:
        owner = self.module_of(node.value)
        if owner is None:
            base = self.value(node.value)
            if kinds.is_bits(base.type):
                return self.bits_read(base, node)
            if node.attr in ("copy_from", "fill", "encode") or self.method_of(base.type, node.attr):
                self.error(node, f"`{node.attr}` is a method; methods can only be called", "add parentheses")
            return self.load(self.member(base, node))
        return self.load(self.place(node))

    def module_of(self: Lowering, node: ast.expr) -> types.ModuleType | None:
        known = self.static(node)
        return known if isinstance(known, types.ModuleType) else None

    def bits_read(self: Lowering, base: Value, node: ast.Attribute) -> Value:
        storage = base.type.storage
        if node.attr == "raw":
            return self.make(storage, base.ir)
        part = self.bit_field(base.type, node)
        return self.extract_bits(base.ir, storage, part)

    def bit_field(self: Lowering, kind: Type, node: ast.Attribute) -> Any:
        part = kind.bit_fields.get(node.attr)
        if part is None:
            self.no_member(kind, node, [*kind.bit_fields, "raw"])
        return part

    def extract_bits(self: Lowering, ir: str, storage: Type, part: Any) -> Value:
        t, width = llvm(storage), part.high - part.low + 1
        if part.low:
            ir = self.let(f"lshr {t} {ir}, {part.low}")
        kind = kinds.normal(part.type)
        spelled = llvm(kind)
        bits = storage.bits
        if kind is bool:
            return self.make(bool, self.let(f"trunc {t} {ir} to i1") if bits > 1 else ir)
        target = kind.storage if kinds.is_bits(kind) else kind
        if width < bits:
            ir = self.let(f"and {t} {ir}, {(1 << width) - 1}")
        if target.bits < bits:
            ir = self.let(f"trunc {t} {ir} to {spelled}")
        elif target.bits > bits:
            ir = self.let(f"zext {t} {ir} to {spelled}")
        return self.make(kind, ir)

    def no_member(self: Lowering, kind: Type, node: ast.Attribute, names: list[str]) -> typing.NoReturn:
        near = difflib.get_close_matches(node.attr, names, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(names)}" if names else ""
        self.error(node, f"{type_name(kind)} has no field or method `{node.attr}`", hint)

    def method_of(self: Lowering, kind: Type, name: str) -> Any:
        if kinds.is_struct(kind) or kinds.is_bits(kind):
            found = kind.__dict__.get(name)
            return found if isinstance(found, types.FunctionType) else None
        return None

    def member(self: Lowering, base: Value, node: ast.Attribute) -> Place:
        """The field `base.attr` of a struct."""

        kind = base.type
        if not kinds.is_struct(kind):
            if kinds.is_pointer(kind):
                self.error(
                    node, f"a {type_name(kind)} has no fields", f"write `{ast.unparse(node.value)}[0].{node.attr}`"
                )
            self.no_member(kind, node, [])
        member = kind.fields.get(node.attr)
        if member is None:
            methods = [n for n, m in kind.__dict__.items() if isinstance(m, types.FunctionType) and n[0] != "_"]
            self.no_member(kind, node, [*kind.fields, *methods])
        pointer = base.ir
        if member.offset:
            pointer = self.let(f"getelementptr inbounds nuw i8, ptr {base.ir}, i64 {member.offset}")
        field_type = kinds.normal(member.type)
        align = 1 if kind.packed else kinds.align_of(field_type)
        volatile = bool(kind.volatile) or base.volatile
        place = Place(field_type, pointer, base.level, base.sites, volatile, align)
        return self.part_of(base, place)

    def part_of(self: Lowering, base: Value, place: Place) -> Place:
        """`place` is a part of `base`, which may be a Final variable."""
        if base.ir in self.program.read_only or base.ir in self.final_parts:
            place.read_only = "a Final variable"
            self.final_parts.add(place.pointer)
        return place

    def on_Subscript(self: Lowering, node: ast.Subscript) -> Value:
        if isinstance(node.slice, ast.Slice):
            return self.slice(node, node.slice)
        return self.load(self.place(node))

    # ---- places

    def place(self: Lowering, node: ast.expr) -> Place:
        """Where an assignable expression is stored."""

        if isinstance(node, ast.Name):
            if node.id in self.locals:
                self.read_variable(node.id, node)
                variable = self.variables[node.id]
                return Place(variable.type, variable.slot, variable.level, variable.sites, variable=variable)
            found = self.program.variable(self.globals, node.id)
            if found is None:
                known = self.static(node)
                self.error(
                    node,
                    f"`{node.id}` is a {type(known).__name__} constant and cannot be assigned",
                    "declare it at module level with a type: `name: u64 = 0`",
                )
            if isinstance(node.ctx, ast.Store) and node.id not in self.globals_declared and not found.object:
                self.error(node, f"`{node.id}` is a module variable", f"declare `global {node.id}` in the function")
            return self.global_place(found)
        if isinstance(node, ast.Attribute):
            module = self.module_of(node.value)
            if module is not None:
                found = self.program.variable(module.__dict__, node.attr)
                if found is None:
                    self.error(
                        node,
                        f"`{ast.unparse(node)}` is not a variable",
                        "declare it at module level with a type: `name: u64 = 0`",
                    )
                return self.global_place(found)
            base = self.lvalue(node.value)
            if isinstance(base, Place):
                if node.attr == "raw":
                    base.type = base.type.storage
                    return base
                part = self.bit_field(base.type, node)
                base.bit = (base.type, part)
                base.type = kinds.normal(part.type)
                return base
            return self.member(base, node)
        if isinstance(node, ast.Subscript):
            if isinstance(node.slice, ast.Slice):
                self.error(node, "a slice cannot be assigned", "use `a[i:j].copy_from(b)` or `.fill(x)`")
            return self.element(node)
        self.error(node, "this cannot be assigned to", "assign to a variable, a field or an element")

    def lvalue(self: Lowering, node: ast.expr) -> Place | Value:
        """The base of a field assignment: a place if it holds a bits value, else the reference."""
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and not (
            isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice)
        ):
            if isinstance(node, ast.Name) and node.id in self.locals:
                if kinds.is_bits(self.read_variable(node.id, node).type):
                    return self.place(node)
                return self.value(node)
            if self.static(node) is UNKNOWN:
                place = self.place(node)
                return place if kinds.is_bits(place.type) and place.bit is None else self.load(place)
        return self.value(node)

    def global_place(self: Lowering, found: Any) -> Place:

        return Place(found.type, f'@"{found.symbol}"', read_only="a Final variable" if found.final else "")

    def element(self: Lowering, node: ast.Subscript) -> Place:
        """The place `base[index]`."""

        base = self.value(node.value)
        kind = base.type
        if kinds.is_pointer(kind):
            target = kinds.normal(kind.target)
            index = self.index_value(self.value(node.slice), node.slice, signed=True)
            pointer = base.ir
            if index != "0":
                pointer = self.let(f"getelementptr {memory_llvm(target)}, ptr {base.ir}, i64 {index}")
            # A pointer may lead into a packed struct.
            return Place(target, pointer, base.level, base.sites, align=1)
        if not (kinds.is_array(kind) or kinds.is_span(kind) or kind is bytes):
            hint = "use `.encode()` for its bytes" if kind is str else ""
            self.error(node.value, f"a {type_name(kind)} cannot be indexed", hint)
        address, length = self.parts(base)
        known = self.static(node.slice)
        constant_length = kind.length if kinds.is_array(kind) else None
        if isinstance(known, int) and not isinstance(known, bool):
            position = int(known)
            if constant_length is not None:
                if not -constant_length <= position < constant_length:
                    self.error(node.slice, f"index {position} is out of range for {type_name(kind)}")
                index = str(position % constant_length)
            elif position < 0:
                self.check(self.let(f"icmp uge i64 {length}, {-position}"), "index out of range")
                index = self.let(f"sub nuw i64 {length}, {-position}")
            else:
                self.check(self.let(f"icmp ugt i64 {length}, {position}"), "index out of range")
                index = str(position)
        else:
            index = self.index_value(self.value(node.slice), node.slice, signed=False)
            self.check(self.let(f"icmp ult i64 {index}, {length}"), "index out of range")
        element = kinds.element_of(kind)
        pointer = self.let(f"getelementptr inbounds nuw {memory_llvm(element)}, ptr {address}, i64 {index}")
        place = Place(element, pointer, base.level, base.sites, base.volatile, kinds.align_of(element))
        if kind is bytes:
            place.read_only = "bytes"
        return self.part_of(base, place)

    def index_value(self: Lowering, value: Value, node: ast.AST, signed: bool) -> str:
        """An index as an i64."""
        if value.type is Literal:
            return str(value.constant)
        if not kinds.is_integer(value.type):
            self.error(node, f"an index must be an integer, not {type_name(value.type)}")
        if value.type.signed and not signed:
            self.error(
                node,
                f"the index has the signed type {type_name(value.type)}",
                f"convert it: `u64({ast.unparse(node)})`, after making sure that it is not negative",
            )
        if value.type.bits == 64:
            return value.ir
        return self.let(f"{'sext' if value.type.signed else 'zext'} {llvm(value.type)} {value.ir} to i64")

    def parts(self: Lowering, value: Value) -> tuple[str, str]:
        """Address and length of an array, span or text."""
        if kinds.is_array(value.type):
            return value.ir, str(value.type.length)
        if isinstance(value.constant, (bytes, str)):
            data = value.constant if isinstance(value.constant, bytes) else value.constant.encode()
            return self.program.text(data) if data else "null", str(len(data))
        return (
            self.let(f"extractvalue {{ ptr, i64 }} {value.ir}, 0"),
            self.let(f"extractvalue {{ ptr, i64 }} {value.ir}, 1"),
        )

    def view_of(self: Lowering, kind: Type, address: str, length: str, like: Value) -> Value:
        first = self.let(f"insertvalue {{ ptr, i64 }} undef, ptr {address}, 0")
        return self.make(kind, self.let(f"insertvalue {{ ptr, i64 }} {first}, i64 {length}, 1"), like)

    def slice(self: Lowering, node: ast.Subscript, bounds: ast.Slice) -> Value:

        base = self.value(node.value)
        kind = base.type
        if bounds.step is not None:
            self.error(bounds.step, "a slice has no step here")
        if not (kinds.is_array(kind) or kinds.is_span(kind) or kind is bytes):
            self.error(node.value, f"a {type_name(kind)} cannot be sliced")
        address, length = self.parts(base)
        start = self.bound(bounds.lower, "0", length)
        stop = self.bound(bounds.upper, length, length)
        if stop != length:
            self.check(self.let(f"icmp ule i64 {stop}, {length}"), "slice bounds")
        if start != "0":
            self.check(self.let(f"icmp ule i64 {start}, {stop}"), "slice bounds")
        element = kinds.element_of(kind)
        if start != "0":
            address = self.let(f"getelementptr inbounds nuw {memory_llvm(element)}, ptr {address}, i64 {start}")
            size = self.let(f"sub nuw i64 {stop}, {start}")
        else:
            size = stop
        return self.view_of(bytes if kind is bytes else span_of(element), address, size, base)

    def bound(self: Lowering, node: ast.expr | None, default: str, length: str) -> str:
        if node is None:
            return default
        known = self.static(node)
        if isinstance(known, int) and known < 0:
            self.check(self.let(f"icmp uge i64 {length}, {-known}"), "slice bounds")
            return self.let(f"sub i64 {length}, {-known}")
        return self.index_value(self.value(node), node, signed=False)

    def load(self: Lowering, place: Place) -> Value:
        """Read a place."""

        kind = place.type
        if place.bit is not None:
            owner, part = place.bit
            whole = self.raw_load(owner, place)
            return self.extract_bits(whole, owner.storage, part)
        if kinds.is_reference(kind):
            ir = place.pointer if place.variable is None else self.let(f"load ptr, ptr {place.pointer}")
            return Value(kind, ir, None, place.level, place.sites, place.volatile)
        ir = self.raw_load(kind, place)
        if kinds.is_big_endian(kind):
            native = kind.native
            t = llvm(native)
            if native.bits > 8:
                ir = self.let(f"call {t} @llvm.bswap.{t}({t} {ir})")
            return Value(native, ir)
        if is_borrowing(kind):  # what memory refers to is not known
            return Value(kind, ir, None, place.level, place.sites | {FOREIGN})
        return Value(kind, ir)

    def raw_load(self: Lowering, kind: Type, place: Place) -> str:
        stored = llvm(kind) if place.variable is not None else memory_llvm(kind)
        align = f", align {place.align}" if place.align else ""
        ir = self.let(f"load {'volatile ' if place.volatile else ''}{stored}, ptr {place.pointer}{align}")
        if kind is bool and place.variable is None:
            ir = self.let(f"trunc i8 {ir} to i1")
        return ir

    def store(self: Lowering, place: Place, value: Value, node: ast.AST, source: ast.AST | None = None) -> None:
        """Write a place, after all checks. `source` is where the value stands, if `node` is more than that."""
        kind = place.type
        if place.read_only:
            self.error(node, f"{place.read_only} cannot be changed")
        if kinds.is_reference(kind) and place.variable is None:
            self.error(
                node,
                f"a {type_name(kind)} is embedded here and cannot be replaced",
                "copy its content: `target.copy_from(source)`",
            )
        native = kind.native if kinds.is_big_endian(kind) else kind
        value = self.convert(value, native, source or node)
        if is_borrowing(native):
            self.check_escape(place, value, source or node)
        t = llvm(native)
        align = f", align {place.align}" if place.align else ""
        volatile = "volatile " if place.volatile else ""
        if place.bit is not None:
            owner, part = place.bit
            storage = owner.storage
            s, width = llvm(storage), part.high - part.low + 1
            ir = value.ir
            source_bits = 1 if native is bool else native.storage.bits if kinds.is_bits(native) else native.bits
            if source_bits < storage.bits:
                ir = self.let(f"zext {t} {ir} to {s}")
            elif source_bits > storage.bits:
                ir = self.let(f"trunc {t} {ir} to {s}")
            mask = (1 << width) - 1
            ir = self.let(f"and {s} {ir}, {mask}")
            if part.low:
                ir = self.let(f"shl {s} {ir}, {part.low}")
            old = self.raw_load(owner, place)
            keep = ~(mask << part.low) & ((1 << storage.bits) - 1)
            ir = self.let(f"or {s} {self.let(f'and {s} {old}, {keep}')}, {ir}")
            self.emit(f"store {volatile}{s} {ir}, ptr {place.pointer}{align}")
            return
        ir = value.ir
        if kinds.is_big_endian(kind):
            ir = self.let(f"call {t} @llvm.bswap.{t}({t} {ir})")
        if kind is bool and place.variable is None:
            ir, t = self.let(f"zext i1 {ir} to i8"), "i8"
        self.emit(f"store {volatile}{t} {ir}, ptr {place.pointer}{align}")

    def check_escape(self: Lowering, place: Place, value: Value, node: ast.AST) -> None:
        """A stored reference must not outlive what it refers to."""
        if value.level == 0 or place.variable is not None:
            return
        if value.sites & self.loop_sites:
            self.error(
                node,
                "this stores a reference to an object made inside the loop",
                "its storage is reused in every turn; make the object before the loop",
            )
        if place.level == 2 and FOREIGN not in place.sites:
            return
        if value.level == 2:
            self.error(
                node,
                "this stores a reference to an object of this function, which ends here",
                "make the object a module variable, or let the caller make it",
                "outlived by the memory",
            )
        self.error(
            node,
            "this stores a reference that was only lent to this function",
            "its owner may end; copy the content, or vouch for it: `Ptr[T](u64(p))`",
        )

    # ---- conversions

    def fits(self: Lowering, constant: int, kind: Type, node: ast.AST) -> Value:
        if not kind.minimum <= constant <= kind.maximum:
            self.error(
                node,
                f"the constant {constant} does not fit {type_name(kind)}",
                f"{type_name(kind)} holds {kind.minimum} to {kind.maximum}",
            )
        return self.make(kind, str(constant), None, constant)

    def convert(self: Lowering, value: Value, kind: Type, node: ast.AST) -> Value:
        """The implicit conversion of `value` to `kind`, or an error."""

        have = value.type
        if have == kind and have is not Literal:
            return value
        if have is Literal and isinstance(value.constant, tuple) and isinstance(kind, kinds.TupleType):
            pairs = list(zip(value.constant, kind.items, strict=False))
            if len(value.constant) == len(kind.items):
                return self.pack(kind, [self.convert(self.from_object(c, node), k, node) for c, k in pairs])
        if have is Literal and isinstance(value.constant, int):
            if kinds.is_integer(kind):
                return self.fits(value.constant, kind, node)
            if kind is bool:
                self.error(node, f"the constant {value.constant} is not a bool", "write True or False")
            if kinds.is_pointer(kind):
                self.error(
                    node, f"a constant is not a {type_name(kind)}", f"write `{type_name(kind)}({value.constant})`"
                )
            if kinds.is_bits(kind):
                self.error(
                    node, f"a constant is not a {type_name(kind)}", f"write `{type_name(kind)}({value.constant})`"
                )
        if kinds.is_integer(have) and kinds.is_integer(kind):
            if holds(kind, have):
                if value.constant is not None:
                    return self.make(kind, str(value.constant), None, value.constant)
                return self.make(kind, self.resize(value.ir, have, kind))
            loss = "its sign" if kind.bits >= have.bits else "bits"
            self.error(
                node,
                f"{type_name(have)} does not convert to {type_name(kind)} without losing {loss}",
                f"write `{type_name(kind)}(...)` if that is what you mean",
            )
        if kinds.is_span(kind) and kinds.is_array(have) and kinds.element_of(have) == kinds.element_of(kind):
            return self.view_of(kind, *self.parts(value), value)
        if kind is bytes and (kinds.is_array(have) or kinds.is_span(have)) and kinds.element_of(have) is u8:
            if kinds.is_span(have):
                return self.make(bytes, value.ir, value)
            return self.view_of(bytes, *self.parts(value), value)
        hint = ""
        if have is bool and kinds.is_integer(kind):
            hint = f"write `{type_name(kind)}(...)`"
        elif kind is bool and kinds.is_integer(have):
            hint = "write `x != 0`"
        elif kind is bytes and have is str:
            hint = 'write `.encode()`, or b"..."'
        elif kinds.is_reference(kind) and kinds.is_pointer(have):
            hint = "the object behind a pointer is `p[0]`"
        elif kinds.is_pointer(kind) and kinds.is_reference(have):
            hint = "its address is `addr(x)`"
        elif kinds.is_span(kind) and have is bytes:
            hint = "bytes cannot be changed; take a `bytes` parameter, or copy into an Array"
        shown = f"the constant {value.constant!r}" if have is Literal else f"a {type_name(have)}"
        self.error(node, f"{shown} is not a {type_name(kind)}", hint)

    def resize(self: Lowering, ir: str, have: Type, kind: Type) -> str:
        """An integer of another width: truncated, or extended as its own sign says."""
        if have.bits == kind.bits:
            return ir
        how = "trunc" if kind.bits < have.bits else "sext" if have.signed else "zext"
        return self.let(f"{how} {llvm(have)} {ir} to {llvm(kind)}")

    def common(self: Lowering, a: Value, b: Value, node: ast.AST) -> Type:
        """The type of an operation on two integers."""

        if a.type is Literal:
            return b.type
        if b.type is Literal:
            return a.type
        kind = common_type(a.type, b.type)
        if kind is None:
            self.error(
                node,
                f"{type_name(a.type)} and {type_name(b.type)} do not mix",
                "neither holds every value of the other; convert one explicitly",
            )
        return kind

    # ---- operators

    def on_BinOp(self: Lowering, node: ast.BinOp) -> Value:
        left = self.value(node.left)
        right = self.value(node.right, left.type if kinds.is_integer(left.type) else None)
        return self.binary(node.op, left, right, node)

    def binary(self: Lowering, op: ast.operator, a: Value, b: Value, node: Any) -> Value:
        symbol = SYMBOLS.get(type(op), "?")
        if kinds.is_pointer(a.type) and isinstance(op, (ast.Add, ast.Sub)):
            return self.pointer_arithmetic(op, a, b, node)
        if a.type is bool and b.type is bool and isinstance(op, (ast.BitAnd, ast.BitOr, ast.BitXor)):
            return self.make(bool, self.let(f"{PLAIN[type(op)]} i1 {a.ir}, {b.ir}"))
        for side in (a, b):
            if not (kinds.is_integer(side.type) or (side.type is Literal and isinstance(side.constant, int))):
                hint = "use `and`, `or`, `not`" if side.type is bool else ""
                if kinds.is_bits(side.type):
                    hint = "take its integer: `.raw`"
                self.error(node, f"`{symbol}` does not work on {type_name(side.type)}", hint)
        if isinstance(op, ast.Div):
            self.error(node, "`/` gives a fraction, and there are none", "use `//`")
        if isinstance(op, ast.Pow):
            self.error(node, "`**` works on constants only", "multiply, or shift for powers of two")
        if isinstance(op, (ast.LShift, ast.RShift)):
            return self.shift(op, a, b, node)
        kind = self.common(a, b, node)
        if isinstance(op, ast.BitAnd) and not kind.signed:
            a, b = self.masking(a, kind), self.masking(b, kind)
        a, b = self.convert(a, kind, node), self.convert(b, kind, node)
        if isinstance(op, (ast.FloorDiv, ast.Mod)):
            return self.divide(op, kind, a, b, node)
        if type(op) not in PLAIN:
            self.error(node, f"`{symbol}` is not supported")
        return self.make(kind, self.let(f"{PLAIN[type(op)]} {llvm(kind)} {a.ir}, {b.ir}"))

    def masking(self: Lowering, value: Value, kind: Type) -> Value:
        """A negative constant beside `&` keeps the bits that it has in `kind`: `x & ~0xFFF` is exact whatever the width."""
        if value.type is Literal and isinstance(value.constant, int) and value.constant < 0:
            return self.make(Literal, "", None, value.constant & kind.maximum)
        return value

    def pointer_arithmetic(self: Lowering, op: ast.operator, a: Value, b: Value, node: ast.AST) -> Value:
        target = memory_llvm(kinds.normal(a.type.target))
        if kinds.is_pointer(b.type):
            if isinstance(op, ast.Add) or a.type != b.type:
                self.error(
                    node,
                    f"`{SYMBOLS[type(op)]}` does not work on {type_name(a.type)} and {type_name(b.type)}",
                )
            left, right = (self.let(f"ptrtoint ptr {v.ir} to i64") for v in (a, b))
            distance = self.let(f"sub i64 {left}, {right}")
            size = kinds.size_of(kinds.normal(a.type.target))
            return self.make(self.program.integers["i64"], self.let(f"sdiv i64 {distance}, {size}"))
        offset = self.index_value(b, node, signed=True)
        if isinstance(op, ast.Sub):
            offset = self.let(f"sub i64 0, {offset}")
        return self.make(a.type, self.let(f"getelementptr {target}, ptr {a.ir}, i64 {offset}"), a)

    def shift(self: Lowering, op: ast.operator, a: Value, b: Value, node: Any) -> Value:
        kind = a.type
        if kind is Literal:
            self.error(node, "the shifted constant has no width", f"write `u64({a.constant})`, or another width")
        t, bits = llvm(kind), kind.bits
        how = "shl" if isinstance(op, ast.LShift) else "ashr" if kind.signed else "lshr"
        if b.constant is not None:
            if b.constant < 0:
                self.error(node, "a negative shift", "shift the other way")
            amount = b.constant
            if amount >= bits:
                if how != "ashr":
                    return self.make(kind, "0")
                amount = bits - 1
            return self.make(kind, self.let(f"{how} {t} {a.ir}, {amount}"))
        s = llvm(b.type)
        if b.type.signed:
            self.check(self.let(f"icmp sge {s} {b.ir}, 0"), "negative shift")
        inside = self.let(f"icmp ult {s} {b.ir}, {bits}")
        amount = self.let(f"select i1 {inside}, {s} {b.ir}, {s} {bits - 1}") if how == "ashr" else b.ir
        if b.type.bits != bits:
            amount = self.let(f"{'trunc' if b.type.bits > bits else 'zext'} {s} {amount} to {t}")
        result = self.let(f"{how} {t} {a.ir}, {amount}")
        if how == "ashr":
            return self.make(kind, result)
        return self.make(kind, self.let(f"select i1 {inside}, {t} {result}, {t} 0"))

    def divide(self: Lowering, op: ast.operator, kind: Type, a: Value, b: Value, node: ast.AST) -> Value:
        """Division rounds down; the remainder has the divisor's sign (Python's language reference, 6.7)."""
        t = llvm(kind)
        division = isinstance(op, ast.FloorDiv)
        if b.constant == 0:
            self.error(node, "this divides by zero")
        if b.constant is None:
            self.check(self.let(f"icmp ne {t} {b.ir}, 0"), "zero divisor")
        if not kind.signed:
            return self.make(kind, self.let(f"{'udiv' if division else 'urem'} {t} {a.ir}, {b.ir}"))
        if b.constant == -1:
            return self.make(kind, self.let(f"sub {t} 0, {a.ir}") if division else "0")
        divisor, minus = b.ir, ""
        if b.constant is None:
            # The smallest value divided by -1 does not fit; the machine would fault, Python's result wraps to itself.
            minus = self.let(f"icmp eq {t} {b.ir}, -1")
            divisor = self.let(f"select i1 {minus}, {t} 1, {t} {b.ir}")
        quotient = self.let(f"sdiv {t} {a.ir}, {divisor}")
        remainder = self.let(f"srem {t} {a.ir}, {divisor}")
        rest = self.let(f"icmp ne {t} {remainder}, 0")
        signs = self.let(f"icmp slt {t} {self.let(f'xor {t} {remainder}, {divisor}')}, 0")
        adjust = self.let(f"and i1 {rest}, {signs}")
        if division:
            result = self.let(f"add {t} {quotient}, {self.let(f'sext i1 {adjust} to {t}')}")
            if minus:
                result = self.let(f"select i1 {minus}, {t} {self.let(f'sub {t} 0, {a.ir}')}, {t} {result}")
        else:
            result = self.let(f"add {t} {remainder}, {self.let(f'select i1 {adjust}, {t} {divisor}, {t} 0')}")
        return self.make(kind, result)

    def on_UnaryOp(self: Lowering, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return self.truth(node)
        operand = self.value(node.operand)
        kind = operand.type
        symbol = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~"}[type(node.op)]
        if not kinds.is_integer(kind):
            self.error(node, f"`{symbol}` does not work on {type_name(kind)}", "use `not`" if kind is bool else "")
        if isinstance(node.op, ast.UAdd):
            return operand
        if isinstance(node.op, ast.Invert):
            return self.make(kind, self.let(f"xor {llvm(kind)} {operand.ir}, -1"))
        if not kind.signed:
            self.error(
                node,
                f"`-` of the unsigned type {type_name(kind)}",
                f"write `0 - {ast.unparse(node.operand)}` to wrap, or convert to a signed type first",
            )
        return self.make(kind, self.let(f"sub {llvm(kind)} 0, {operand.ir}"))

    def on_BoolOp(self: Lowering, node: ast.BoolOp) -> Value:
        return self.truth(node)

    def truth(self: Lowering, node: ast.expr) -> Value:
        """A condition as a bool."""
        slot = self.alloca("i1", 1, "truth")
        yes, no, after = self.new_label(), self.new_label(), self.new_label()
        self.condition(node, yes, no)
        assigned = self.assigned
        for label, result in ((yes, "true"), (no, "false")):
            self.label(label, assigned)
            self.emit(f"store i1 {result}, ptr {slot}")
            self.jump(after)
        self.label(after, assigned)
        return self.make(bool, self.let(f"load i1, ptr {slot}"))

    def condition(self: Lowering, node: ast.expr, yes: str, no: str) -> None:
        """Branch on the truth of `node`."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.condition(node.operand, no, yes)
        elif isinstance(node, ast.BoolOp):
            for value in node.values[:-1]:
                following = self.new_label()
                if isinstance(node.op, ast.And):
                    self.condition(value, following, no)
                else:
                    self.condition(value, yes, following)
                self.lines.append(f"{following}:")
            self.condition(node.values[-1], yes, no)
        elif isinstance(node, ast.Compare) and len(node.ops) > 1 and self.static(node) is UNKNOWN:
            left = self.value(node.left)
            for i, (op, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
                right = self.comparand(op, right_node, left.type)
                result = self.compared(op, left, right, node, right_node)
                following = self.new_label() if i + 1 < len(node.ops) else yes
                self.branch(result.ir, following, no)
                if following != yes:
                    self.lines.append(f"{following}:")
                left = right
        else:
            self.branch(self.truth_of(self.value(node), node), yes, no)

    def truth_of(self: Lowering, value: Value, node: ast.AST) -> str:
        if value.type is bool:
            return value.ir
        if value.type is Literal and isinstance(value.constant, int):
            return "true" if value.constant else "false"
        if kinds.is_integer(value.type):
            return self.let(f"icmp ne {llvm(value.type)} {value.ir}, 0")
        if kinds.is_pointer(value.type):
            return self.let(f"icmp ne ptr {value.ir}, null")
        hint = "compare its length: `len(x) != 0`" if kinds.is_view(value.type) or kinds.is_array(value.type) else ""
        self.error(node, f"a {type_name(value.type)} is neither true nor false", hint)

    def on_Compare(self: Lowering, node: ast.Compare) -> Value:
        if len(node.ops) > 1:
            return self.truth(node)
        left = self.value(node.left)
        right = self.comparand(node.ops[0], node.comparators[0], left.type)
        return self.compared(node.ops[0], left, right, node, node.comparators[0])

    def comparand(self: Lowering, op: ast.cmpop, node: ast.expr, left: Type) -> Any:
        if isinstance(op, (ast.In, ast.NotIn)):
            known = self.static(node)
            if not isinstance(known, (tuple, list, range, set, frozenset)) or not all(
                isinstance(k, int) for k in known
            ):
                self.error(node, "`in` needs a constant tuple of integers here", "write `x in (1, 2, 3)`, or a loop")
            return known
        return self.value(node, left if kinds.is_integer(left) else None)

    def compared(self: Lowering, op: ast.cmpop, left: Value, right: Any, node: ast.Compare, at: ast.AST) -> Value:
        if isinstance(op, (ast.In, ast.NotIn)):
            result = "false"
            for item in right:
                same = self.compare(ast.Eq(), left, self.from_object(item, at), at)
                result = self.let(f"or i1 {result}, {same.ir}")
            if isinstance(op, ast.NotIn):
                result = self.let(f"xor i1 {result}, true")
            return self.make(bool, result)
        return self.compare(op, left, right, node)

    def compare(self: Lowering, op: ast.cmpop, a: Value, b: Value, node: ast.AST) -> Value:
        if isinstance(op, (ast.Is, ast.IsNot)):
            if not (kinds.is_reference(a.type) and a.type == b.type):
                hint = "" if kinds.is_reference(a.type) or kinds.is_reference(b.type) else "use `==`"
                self.error(node, "`is` compares the identity of two objects of one struct or array type", hint)
            return self.make(bool, self.let(f"icmp {'eq' if isinstance(op, ast.Is) else 'ne'} ptr {a.ir}, {b.ir}"))
        how = COMPARISONS[type(op)]
        equality = how in ("eq", "ne")
        integers = [v.type is Literal or kinds.is_integer(v.type) for v in (a, b)]
        if all(integers):
            kind = self.common(a, b, node)
            a, b = self.convert(a, kind, node), self.convert(b, kind, node)
            sign = "" if equality else "s" if kind.signed else "u"
            return self.make(bool, self.let(f"icmp {sign}{how} {llvm(kind)} {a.ir}, {b.ir}"))
        if a.type == b.type and kinds.is_pointer(a.type):
            return self.make(bool, self.let(f"icmp {'' if equality else 'u'}{how} ptr {a.ir}, {b.ir}"))
        if (
            a.type == b.type
            and equality
            and (a.type is bool or isinstance(a.type, CallableType) or kinds.is_bits(a.type))
        ):
            return self.make(bool, self.let(f"icmp {how} {llvm(a.type)} {a.ir}, {b.ir}"))
        if equality and self.as_bytes(a) and self.as_bytes(b) and (a.type is str) == (b.type is str):
            left, right = (v if v.type is str else self.convert(v, bytes, node) for v in (a, b))
            same = self.call_runtime(runtime.bytes_equal, [self.make(bytes, left.ir), self.make(bytes, right.ir)], node)
            return same if how == "eq" else self.make(bool, self.let(f"xor i1 {same.ir}, true"))
        if kinds.is_reference(a.type) and a.type == b.type:
            hint = "use `is` for identity, or compare the fields" if equality else "compare the fields"
            self.error(node, f"`{SYMBOLS[type(op)]}` does not compare a {type_name(a.type)}", hint)
        symbol = SYMBOLS[type(op)]
        hint = ""
        if bool in (a.type, b.type):
            hint = "a bool compares with a bool only"
        self.error(node, f"`{symbol}` does not compare {type_name(a.type)} with {type_name(b.type)}", hint)

    def as_bytes(self: Lowering, value: Value) -> bool:

        kind = value.type
        return kinds.is_text(kind) or ((kinds.is_array(kind) or kinds.is_span(kind)) and kinds.element_of(kind) is u8)

    def on_IfExp(self: Lowering, node: ast.IfExp, want: Type | None) -> Value:

        yes, no, after = self.new_label(), self.new_label(), self.new_label()
        # The two branches must agree on a type before either is stored, so each is evaluated in its own block first.
        self.condition(node.test, yes, no)
        assigned = self.copy_assigned()
        self.label(yes, self.copy_assigned())
        first = self.value(node.body, want)
        first_lines = len(self.lines)
        self.lines.append("")
        first_assigned = self.copy_assigned()
        self.label(no, assigned)
        second = self.value(node.orelse, want)
        if first.type is Literal and second.type is Literal:
            if want is None or not kinds.is_integer(want):
                self.error(
                    node,
                    "both branches are constants without a width",
                    f"write `u64({first.constant})`, or another width",
                )
            kind = want
        elif all(v.type is Literal or kinds.is_integer(v.type) for v in (first, second)):
            kind = self.common(first, second, node)
        elif first.type == second.type:
            kind = first.type
        else:
            kind = (
                bytes if self.as_bytes(first) and self.as_bytes(second) and bytes in (first.type, second.type) else None
            )
            if kind is None:
                self.error(node, f"the branches differ: {type_name(first.type)} and {type_name(second.type)}")
        slot = self.alloca(llvm(kind), 8, "choice")
        second = self.convert(second, kind, node.orelse)
        self.emit(f"store {llvm(kind)} {second.ir}, ptr {slot}")
        self.jump(after)
        rest, self.lines = self.lines[first_lines + 1 :], self.lines[:first_lines]
        first = self.convert(first, kind, node.body)
        self.emit(f"store {llvm(kind)} {first.ir}, ptr {slot}")
        self.jump(after)
        self.lines += rest
        self.label(after, join(first_assigned, assigned))
        result = self.let(f"load {llvm(kind)}, ptr {slot}")
        sites = first.sites | second.sites
        if is_borrowing(kind):
            sites |= may_be_foreign(first.level, first.ir) | may_be_foreign(second.level, second.ir)
        volatile = first.volatile or second.volatile
        return Value(kind, result, None, max(first.level, second.level), sites, volatile)

    # ---- assembly

    def substitute(self: Lowering, text: str, node: ast.AST) -> str:
        """Replace `{NAME}` in assembly: constants by value, texts by themselves, functions and variables by symbol."""

        def replace(match: re.Match[str]) -> str:
            source = match.group(1)
            try:
                inner = ast.parse(source, mode="eval").body
            except SyntaxError:
                self.error(node, f"`{{{source}}}` in the assembly text is not an expression")
            for child in ast.walk(inner):
                ast.copy_location(child, node)
            found = None
            if isinstance(inner, ast.Name):
                found = self.program.variable(self.globals, inner.id)
            elif isinstance(inner, ast.Attribute) and isinstance(self.static(inner.value), types.ModuleType):
                found = self.program.variable(self.static(inner.value).__dict__, inner.attr)
            if found is not None:
                found.external = True
                return str(found.symbol)
            known = self.static(inner)
            if isinstance(known, types.FunctionType):
                function = self.program.instance(known, self, node)
                function.external = True
                return str(function.symbol)
            if isinstance(known, str):
                return self.substitute(known, node)
            if isinstance(known, int):
                return str(int(known))
            self.error(node, f"`{{{source}}}` is neither a constant, a function nor a module variable")

        return re.sub(r"\{([^{}]+)\}", replace, text)
