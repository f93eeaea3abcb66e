# SPDX-License-Identifier: MIT
"""Calls: functions, methods, constructors, conversions and the intrinsics of the machine. A part of `lower.Lowering`.

An intrinsic is recognised by the identity of the function object in `language.py`, so a program may rename it as
Python allows. Must never accept an argument it does not use.
"""

from __future__ import annotations

import ast
import builtins
import types
import typing
from typing import TYPE_CHECKING, Any

from exokernel.metal import kinds, language, runtime
from exokernel.metal.expressions import UNKNOWN
from exokernel.metal.kinds import NONE, CallableType, Literal, Type, is_borrowing, llvm, memory_llvm, type_name
from exokernel.metal.types import Array, pointer_to, u8
from exokernel.metal.values import FOREIGN, LOCAL, Place, Value, escape

if TYPE_CHECKING:
    from exokernel.metal.lower import Lowering

LARGEST_LOCAL = 1 << 20  # bytes of one object in a frame; what is larger steps over the page that guards the stack


class Calls:
    """Mixed into `Lowering`."""

    assigned: set[str] | None

    def on_Call(self: Lowering, node: ast.Call, want: Type | None) -> Value:
        return self.call(node)

    def call(self: Lowering, node: ast.Call, statement: bool = False) -> Value:
        """Any call. As a statement its result may be dropped."""
        target = self.static(node.func)
        self.at(node)
        if target is UNKNOWN:
            if isinstance(node.func, ast.Attribute) and self.module_of(node.func.value) is None:
                return self.method_call(node, node.func)
            return self.indirect_call(node)
        if any(k.arg is None for k in node.keywords) or any(isinstance(a, ast.Starred) for a in node.args):
            self.error(node, "`*` and `**` in a call are not supported", "write the arguments out")
        intrinsic = INTRINSICS.get(target) if isinstance(target, typing.Hashable) else None
        if intrinsic is not None:
            return typing.cast("Value", intrinsic(self, node))
        if isinstance(target, types.FunctionType):
            if isinstance(node.func, ast.Attribute) and isinstance(self.static(node.func.value), type):
                self.error(node, f"`{ast.unparse(node.func)}` is called on a type", "call the method on an object")
            return self.direct_call(node, target, [], node.args, node.keywords)
        if isinstance(target, type) or kinds.is_type(target):
            return self.construct(node, target)
        self.error(
            node.func,
            f"`{ast.unparse(node.func)}` cannot be called",
            "only functions with annotations, types and intrinsics can",
        )

    # ---- functions

    def direct_call(
        self: Lowering, node: ast.AST, target: types.FunctionType, first: list[Value],
        arguments: list[ast.expr], keywords: list[ast.keyword],
    ) -> Value:  # fmt: skip
        """Call a function known at build time; `first` holds the value of `self`."""
        names = self.program.parameter_names(target)
        ordered = self.ordered(node, target.__name__, names[len(first) :], arguments, keywords)
        patterns = self.program.parameter_patterns(target, self, node)
        wants = dict(zip(map(id, ordered), patterns[len(first) :], strict=True))
        found = {}
        for argument in [*arguments, *(keyword.value for keyword in keywords)]:  # in the order as written
            want = wants[id(argument)]
            found[id(argument)] = self.value(argument, want if kinds.is_type(want) else None)
        values: list[Value] = [*first, *(found[id(argument)] for argument in ordered)]
        function = self.program.instance(target, self, node, [v.type for v in values])
        nodes: list[ast.AST] = [node] * len(first) + list(ordered)
        converted = [self.convert(v, k, n) for v, (_, k), n in zip(values, function.parameters, nodes, strict=True)]
        return self.emit_call(f'@"{function.symbol}"', function.result, converted, function.flags)

    def ordered(
        self: Lowering, node: ast.AST, name: str, names: list[str],
        arguments: list[ast.expr], keywords: list[ast.keyword],
    ) -> list[ast.expr]:  # fmt: skip
        """Arguments in the order of the parameters."""
        found: dict[str, ast.expr] = {}
        if len(arguments) > len(names):
            self.error(arguments[len(names)], f"`{name}` takes {len(names)} arguments, {len(arguments)} are given")
        found.update(zip(names, arguments, strict=False))
        for keyword in keywords:
            if keyword.arg not in names:
                self.error(
                    keyword, f"`{name}` has no parameter `{keyword.arg}`", f"it takes {', '.join(names) or 'none'}"
                )
            if keyword.arg in found:
                self.error(keyword, f"`{keyword.arg}` is given twice")
            found[keyword.arg] = keyword.value
        missing = [n for n in names if n not in found]
        if missing:
            self.error(node, f"`{name}` needs `{missing[0]}`", f"it takes {', '.join(names)}")
        return [found[n] for n in names]

    def emit_call(self: Lowering, callee: str, result: Type, values: list[Value], flags: dict[str, Any]) -> Value:

        spelled = ", ".join(f"{llvm(v.type)} {'zeroext ' if v.type is bool else ''}noundef {v.ir}" for v in values)
        convention = f"{flags['convention']} " if "convention" in flags else ""
        kind = ("zeroext " if result is bool else "") + llvm(result)
        text = f"call {convention}{kind} {callee}({spelled})"
        level = max((v.level for v in values if is_borrowing(v.type)), default=0)
        sites = frozenset({FOREIGN}).union(*(v.sites for v in values if is_borrowing(v.type)))
        if result is NONE:
            self.emit(text)
            ir = ""
        else:
            ir = self.let(text)
        if flags.get("noreturn"):
            self.emit("unreachable")
            self.assigned = None
            self.lines.append(f"{self.new_label()}:")
        if not is_borrowing(result):
            level, sites = 0, frozenset()
        return Value(result, ir, None, level, sites)

    def call_runtime(self: Lowering, target: Any, values: list[Value], node: ast.AST) -> Value:
        """Call a function of `runtime.py` with values that already have its types."""
        function = self.program.instance(target, self, node)
        return self.emit_call(f'@"{function.symbol}"', function.result, values, function.flags)

    def indirect_call(self: Lowering, node: ast.Call) -> Value:
        callee = self.value(node.func)
        if not isinstance(callee.type, CallableType):
            self.error(node.func, f"a {type_name(callee.type)} cannot be called")
        if node.keywords:
            self.error(node.keywords[0], "a function reference takes no keyword arguments")
        wanted = callee.type.parameters
        if len(node.args) != len(wanted):
            self.error(node, f"this function takes {len(wanted)} arguments, {len(node.args)} are given")
        values = [self.convert(self.value(a, k), k, a) for a, k in zip(node.args, wanted, strict=True)]
        return self.emit_call(callee.ir, callee.type.result, values, {})

    # ---- methods

    def method_call(self: Lowering, node: ast.Call, function: ast.Attribute) -> Value:
        name = function.attr
        base = self.value(function.value)
        found = self.method_of(base.type, name)
        if found is not None:
            return self.direct_call(node, found, [base], node.args, node.keywords)
        if kinds.is_struct(base.type) and name in base.type.fields:
            return self.indirect_call(node)
        if node.keywords:
            self.error(node.keywords[0], f"`{name}` takes no keyword arguments")
        if name == "copy_from" and kinds.is_struct(base.type):
            return self.copy_struct(node, base)
        if name in ("copy_from", "fill") and (kinds.is_array(base.type) or kinds.is_span(base.type)):
            return self.copy_elements(node, base) if name == "copy_from" else self.fill(node, base)
        if name == "encode" and base.type is str and not node.args:
            return self.make(bytes, base.ir, base)
        methods = {
            True: [n for n, m in vars(base.type).items() if isinstance(m, types.FunctionType) and n[0] != "_"]
        }.get(kinds.is_struct(base.type) or kinds.is_bits(base.type), [])
        self.no_member(base.type, function, methods)

    def one(self: Lowering, node: ast.Call) -> ast.expr:
        return self.arguments(node, 1)[0]

    def arguments(self: Lowering, node: ast.Call, count: int, keywords: tuple[str, ...] = ()) -> list[ast.expr]:
        """The positional arguments of an intrinsic, exactly `count`."""
        for keyword in node.keywords:
            if keyword.arg not in keywords:
                self.error(keyword, f"`{ast.unparse(node.func)}` has no parameter `{keyword.arg}`")
        if len(node.args) != count:
            self.error(
                node,
                f"`{ast.unparse(node.func)}` takes {count} argument{'s' * (count != 1)}, {len(node.args)} are given",
            )
        return node.args

    def writable(self: Lowering, base: Value, node: ast.AST) -> None:
        if base.ir in self.program.read_only or base.ir in self.final_parts:
            self.error(node, "a Final variable cannot be changed")

    def copy_struct(self: Lowering, node: ast.Call, base: Value) -> Value:
        source = self.convert(self.value(self.one(node), base.type), base.type, node.args[0])
        self.writable(base, node)
        self.check_content_escape(base.type, base, source, node)
        volatile = "true" if base.type.volatile or base.volatile or source.volatile else "false"
        self.emit(
            f"call void @llvm.memmove.p0.p0.i64(ptr {base.ir}, ptr {source.ir}, i64 {base.type.size}, i1 {volatile})"
        )
        return self.make(NONE, "")

    def check_content_escape(self: Lowering, kind: Type, target: Value, source: Value, node: ast.AST) -> None:
        """Copying objects of type `kind` copies the references in them."""
        if holds_references(kind) and source.level > 0 and (target.level < 2 or FOREIGN in target.sites):
            self.error(
                node,
                "this copies references that may refer to an object of this function or its caller",
                "copy the fields one by one",
            )

    def copy_elements(self: Lowering, node: ast.Call, base: Value) -> Value:

        source = self.value(self.one(node))
        self.writable(base, node)
        element = kinds.element_of(base.type)
        if not (
            (kinds.is_array(source.type) or kinds.is_span(source.type)) and kinds.element_of(source.type) == element
        ) and not (source.type is bytes and element is u8):
            self.error(node.args[0], f"a {type_name(source.type)} does not hold {type_name(element)} elements")
        self.check_content_escape(element, base, source, node)
        address, length = self.parts(base)
        other, other_length = self.parts(source)
        if not (length == other_length and length.isdigit()):
            self.check(self.let(f"icmp eq i64 {length}, {other_length}"), "lengths differ")
        size = self.let(f"mul nuw i64 {other_length if other_length.isdigit() else length}, {kinds.size_of(element)}")
        volatile = "true" if base.volatile or source.volatile else "false"
        self.emit(f"call void @llvm.memmove.p0.p0.i64(ptr {address}, ptr {other}, i64 {size}, i1 {volatile})")
        return self.make(NONE, "")

    def fill(self: Lowering, node: ast.Call, base: Value) -> Value:

        self.writable(base, node)
        element = kinds.element_of(base.type)
        if kinds.is_reference(element) or is_borrowing(element):
            self.error(node, f"`fill` does not work on elements of type {type_name(element)}", "write a loop")
        native = element.native if kinds.is_big_endian(element) else element
        value = self.convert(self.value(self.one(node), native), native, node.args[0])
        address, length = self.parts(base)
        if kinds.size_of(element) == 1:
            ir = self.let(f"zext i1 {value.ir} to i8") if native is bool else value.ir
            volatile = "true" if base.volatile else "false"
            self.emit(f"call void @llvm.memset.p0.i64(ptr {address}, i8 {ir}, i64 {length}, i1 {volatile})")
            return self.make(NONE, "")
        ir, spelled = value.ir, llvm(native)
        if kinds.is_big_endian(element):
            ir = self.let(f"call {spelled} @llvm.bswap.{spelled}({spelled} {ir})")
        widths = {2: runtime.fill_2, 4: runtime.fill_4, 8: runtime.fill_8}
        if spelled == "ptr":
            ir, spelled = self.let(f"ptrtoint ptr {ir} to i64"), "i64"
        target = widths[kinds.size_of(element)]
        unsigned = self.program.integers[f"u{kinds.size_of(element) * 8}"]
        view = self.view_of(self.program.span(unsigned), address, length, base)
        return self.call_runtime(target, [view, self.make(unsigned, ir)], node)

    # ---- constructors and conversions

    def construct(self: Lowering, node: ast.Call, kind: Type) -> Value:

        kind = kinds.normal(kind)
        if kinds.is_integer(kind) and kinds.is_type(kind):
            return self.to_integer(node, kind)
        if kind is bool:
            value = self.value(self.one(node))
            return self.make(bool, self.truth_of(value, node))
        if kind is bytes:
            value = self.value(self.one(node))
            return self.convert(value, bytes, node)
        if kind is int or kind is float or kind is str:
            self.error(
                node.func,
                f"`{kind.__name__}(...)` is not supported",
                "use u8, u16, u32, u64, i8, i16, i32 or i64" if kind is int else "",
            )
        if kinds.is_pointer(kind):
            return self.to_pointer(node, kind)
        if kinds.is_span(kind):
            address, length = self.arguments(node, 2)
            pointer = self.value(address)
            if not kinds.is_pointer(pointer.type) or kinds.normal(pointer.type.target) != kinds.element_of(kind):
                self.error(address, f"a {type_name(kind)} begins at a Ptr[{type_name(kinds.element_of(kind))}]")
            u64 = self.program.integers["u64"]
            return self.view_of(kind, pointer.ir, self.convert(self.value(length, u64), u64, length).ir, pointer)
        if kinds.is_bits(kind):
            return self.make_bits(node, kind)
        if kinds.is_struct(kind):
            return self.make_struct(node, kind)
        if kinds.is_array(kind) and kind is not Array:
            return self.make_array(node, kind)
        if kinds.is_big_endian(kind):
            self.error(node.func, f"{type_name(kind)} is for storage", f"use {type_name(kind.native)}")
        self.error(node.func, f"`{ast.unparse(node.func)}` does not make a value")

    def to_integer(self: Lowering, node: ast.Call, kind: Type) -> Value:
        argument = self.one(node)
        value = self.value(argument)
        have = value.type
        if have is Literal:
            return self.fits(value.constant, kind, argument)
        if kinds.is_integer(have):
            return self.make(kind, self.resize(value.ir, have, kind))
        if have is bool:
            return self.make(kind, self.let(f"zext i1 {value.ir} to {llvm(kind)}"))
        if kinds.is_pointer(have) or isinstance(have, CallableType):
            if kind.bits != 64 or kind.signed:
                self.error(node, "an address is a u64", "write `u64(...)`")
            return self.make(kind, self.let(f"ptrtoint ptr {value.ir} to i64"))
        hint = "take its integer: `.raw`" if kinds.is_bits(have) else ""
        if kinds.is_reference(have):
            hint = "its address is `u64(addr(x))`"
        self.error(argument, f"a {type_name(have)} does not convert to {type_name(kind)}", hint)

    def to_pointer(self: Lowering, node: ast.Call, kind: Type) -> Value:
        argument = self.one(node)
        value = self.value(argument)
        if kinds.is_pointer(value.type):
            return self.make(kind, value.ir, value)
        if value.type is Literal:
            address = value.constant & ((1 << 64) - 1)
            return self.make(kind, f"inttoptr (i64 {address} to ptr)" if address else "null")
        if kinds.is_integer(value.type) and not value.type.signed:
            return self.make(kind, self.let(f"inttoptr i64 {self.index_value(value, argument, True)} to ptr"))
        hint = "its address is `addr(x)`" if kinds.is_reference(value.type) else "an address is a u64"
        self.error(argument, f"a {type_name(value.type)} does not convert to {type_name(kind)}", hint)

    def make_bits(self: Lowering, node: ast.Call, kind: Type) -> Value:
        storage = kind.storage
        if node.args:
            argument = self.one(node)
            value = self.value(argument, storage)
            return self.make(kind, self.convert(value, storage, argument).ir)
        t, result = llvm(storage), "0"
        for keyword in node.keywords:
            part = kind.bit_fields.get(keyword.arg)
            if part is None:
                self.error(
                    keyword, f"{type_name(kind)} has no field `{keyword.arg}`", f"it has {', '.join(kind.bit_fields)}"
                )
            want = kinds.normal(part.type)
            value = self.convert(self.value(keyword.value, want), want, keyword.value)
            ir, have = value.ir, 1 if want is bool else want.storage.bits if kinds.is_bits(want) else want.bits
            if have != storage.bits:
                ir = self.let(f"{'zext' if have < storage.bits else 'trunc'} {llvm(want)} {ir} to {t}")
            ir = self.let(f"and {t} {ir}, {(1 << (part.high - part.low + 1)) - 1}")
            if part.low:
                ir = self.let(f"shl {t} {ir}, {part.low}")
            result = self.let(f"or {t} {result}, {ir}")
        return self.make(kind, result)

    def new_object(self: Lowering, kind: Type, node: ast.AST) -> Value:
        """Zeroed storage of this frame. It is one place, however often control comes here."""

        if kinds.size_of(kind) > LARGEST_LOCAL:
            self.error(
                node,
                f"an object of {kinds.size_of(kind)} bytes fits no stack",
                "make it a module variable: `name: TYPE = TYPE()`",
            )
        self.site_counter += 1
        site = self.site_counter
        if self.loop_depth:  # elsewhere it is made once, and nothing refers to it yet
            for name, variable in self.variables.items():
                if site in variable.sites and self.assigned is not None and name in self.assigned:
                    self.assigned.discard(name)
                    self.stale[name] = str(getattr(node, "lineno", 0))
            self.loop_sites.add(site)
            self.reject_use_while_remaking(site, node)
        slot = self.alloca(memory_llvm(kind), max(kinds.align_of(kind), 8 if kinds.size_of(kind) >= 8 else 1), "object")
        return Value(kind, slot, None, LOCAL, frozenset({site}))

    def reject_use_while_remaking(self: Lowering, site: int, node: ast.AST) -> None:
        for child in ast.walk(self.statement):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load) and child.id in self.variables:
                before_loop_body = isinstance(self.statement, (ast.For, ast.While, ast.If, ast.Match))
                if site in self.variables[child.id].sites and not before_loop_body:
                    self.error(
                        child,
                        f"`{child.id}` may refer to the object of the turn before, which is remade here",
                        "make the objects before the loop",
                    )

    def zero(self: Lowering, value: Value) -> None:
        size = kinds.size_of(value.type)
        self.emit(f"call void @llvm.memset.p0.i64(ptr {value.ir}, i8 0, i64 {size}, i1 false)")

    def make_struct(self: Lowering, node: ast.Call, kind: Type) -> Value:
        names = list(kind.fields)
        if len(node.args) > len(names):
            self.error(node, f"{type_name(kind)} has {len(names)} fields, {len(node.args)} are given")
        given: dict[str, ast.expr] = dict(zip(names, node.args, strict=False))
        for keyword in node.keywords:
            if keyword.arg not in kind.fields:
                self.error(keyword, f"{type_name(kind)} has no field `{keyword.arg}`", f"it has {', '.join(names)}")
            if keyword.arg in given:
                self.error(keyword, f"`{keyword.arg}` is given twice")
            given[str(keyword.arg)] = keyword.value
        values: dict[str, tuple[Value, ast.expr]] = {}
        for name, argument in given.items():
            want = kinds.normal(kind.fields[name].type)
            if kinds.is_reference(want):
                self.error(
                    argument,
                    f"the field `{name}` is embedded and starts as zero",
                    f"copy into it afterwards: `x.{name}.copy_from(...)`",
                )
            native = want.native if kinds.is_big_endian(want) else want
            values[name] = (self.convert(self.value(argument, native), native, argument), argument)
        for name, member in kind.fields.items():
            if name not in given and kinds.contains_callable(member.type):
                self.error(node, f"the field `{name}` holds a function and must be given")
        result = self.new_object(kind, node)
        self.zero(result)
        for name, (value, argument) in values.items():
            reference = ast.copy_location(ast.Attribute(ast.Name("it"), name), argument)
            place = self.member(result, reference)
            place.volatile = False
            self.store(place, value, argument)
        return result

    def make_array(self: Lowering, node: ast.Call, kind: Type) -> Value:
        element = kinds.element_of(kind)
        if node.keywords or len(node.args) > 1:
            self.error(node, f"{type_name(kind)} takes nothing, or one list of all elements")
        if not node.args:
            if kinds.contains_callable(kind):
                self.error(node, f"a zeroed {type_name(kind)} would hold no functions", "list its elements")
            result = self.new_object(kind, node)
            self.zero(result)
            return result
        argument = node.args[0]
        known = self.static(argument)
        items: list[Any]
        if known is not UNKNOWN and isinstance(known, (bytes, list, tuple, range)):
            items = [ast.copy_location(ast.Constant(k), argument) if isinstance(k, int) else k for k in known]
        elif isinstance(argument, (ast.List, ast.Tuple)):
            items = list(argument.elts)
        else:
            self.error(argument, "an array is made from a list of all its elements", "or copy: `a.copy_from(b)`")
        if len(items) != kind.length:
            self.error(argument, f"{len(items)} elements for {type_name(kind)}")
        if kinds.is_reference(element):
            self.error(
                argument,
                f"elements of type {type_name(element)} are embedded and start as zero",
                "fill them in afterwards",
            )
        native = element.native if kinds.is_big_endian(element) else element
        values = [self.convert(self.value(i, native), native, i) for i in items]
        result = self.new_object(kind, node)

        for i, value in enumerate(values):
            pointer = self.let(f"getelementptr inbounds nuw {memory_llvm(element)}, ptr {result.ir}, i64 {i}")
            self.store(Place(element, pointer, result.level, result.sites), value, items[i])
        return result

    # ---- builtins

    def in_len(self: Lowering, node: ast.Call) -> Value:
        value = self.value(self.one(node))
        if value.type is str or not (kinds.is_view(value.type) or kinds.is_array(value.type)):
            hint = "count its bytes: `len(s.encode())`" if value.type is str else ""
            self.error(node, f"a {type_name(value.type)} has no length", hint)
        return self.make(self.program.integers["u64"], self.parts(value)[1])

    def in_min_max(self: Lowering, node: ast.Call) -> Value:
        least = self.static(node.func) is min
        if len(node.args) < 2 or node.keywords:
            self.error(node, "min and max take two or more integers")
        values = [self.value(a) for a in node.args]
        kind: Type = Literal
        for value, argument in zip(values, node.args, strict=True):
            if not (value.type is Literal or kinds.is_integer(value.type)):
                self.error(argument, f"min and max do not work on {type_name(value.type)}")
        for value in values:
            kind = self.common(self.make(kind, ""), value, node)
        values = [self.convert(v, kind, a) for v, a in zip(values, node.args, strict=True)]
        result, how = values[0].ir, ("s" if kind.signed else "u") + ("lt" if least else "gt")
        for value in values[1:]:
            better = self.let(f"icmp {how} {llvm(kind)} {value.ir}, {result}")
            result = self.let(f"select i1 {better}, {llvm(kind)} {value.ir}, {llvm(kind)} {result}")
        return self.make(kind, result)

    def in_abs(self: Lowering, node: ast.Call) -> Value:
        value = self.value(self.one(node))
        if not kinds.is_integer(value.type):
            self.error(node, f"abs does not work on {type_name(value.type)}")
        if not value.type.signed:
            return value
        t = llvm(value.type)
        less, negated = self.let(f"icmp slt {t} {value.ir}, 0"), self.let(f"sub {t} 0, {value.ir}")
        return self.make(value.type, self.let(f"select i1 {less}, {t} {negated}, {t} {value.ir}"))

    def in_print(self: Lowering, node: ast.Call) -> Value:
        return self.print_call(node)

    def in_format_into(self: Lowering, node: ast.Call) -> Value:
        return self.format_call(node)

    def in_loop_only(self: Lowering, node: ast.Call) -> Value:
        self.error(node, f"`{ast.unparse(node.func)}` is supported only as what a `for` iterates over")

    def in_builtin(self: Lowering, node: ast.Call) -> Value:
        self.error(node.func, f"the builtin `{ast.unparse(node.func)}` is not supported")

    # ---- memory and machine

    def in_sizeof(self: Lowering, node: ast.Call) -> Value:
        self.arguments(node, 1)
        return self.make(self.program.integers["u64"], str(kinds.size_of(self.type_of(node.args[0]))))

    def in_offsetof(self: Lowering, node: ast.Call) -> Value:
        self.arguments(node, 2)
        self.error(node, "offsetof takes a struct type and the name of a field as a string constant")

    def in_addr(self: Lowering, node: ast.Call) -> Value:

        argument = self.one(node)
        if isinstance(argument, ast.Name) and argument.id in self.locals:
            value = self.value(argument)
            if not kinds.is_reference(value.type):
                self.error(
                    argument,
                    f"`{argument.id}` is a {type_name(value.type)} in a local variable, which has no address",
                    "put it into a struct, an array or a module variable",
                )
            return self.make(pointer_to(value.type), value.ir, value)
        if isinstance(argument, (ast.Name, ast.Attribute)) or (
            isinstance(argument, ast.Subscript) and not isinstance(argument.slice, ast.Slice)
        ):
            if isinstance(argument, ast.Attribute) and self.module_of(argument.value) is None:
                base = self.lvalue(argument.value)

                if isinstance(base, Place):
                    self.error(argument, "bits of an integer have no address")
                place = self.member(base, argument)
            else:
                if isinstance(argument, ast.Name) and self.static(argument) is not UNKNOWN:
                    self.error(argument, f"`{argument.id}` is a constant and has no address")
                place = self.place(argument)

            return Value(pointer_to(place.type), place.pointer, None, place.level, place.sites)
        value = self.value(argument)
        if not kinds.is_reference(value.type):
            self.error(
                argument,
                f"this {type_name(value.type)} has no address",
                "addr takes an object, a field, an element or a module variable",
            )
        return self.make(pointer_to(value.type), value.ir, value)

    def in_view(self: Lowering, node: ast.Call) -> Value:

        if node.keywords or len(node.args) not in (2, 3):
            self.error(node, "view takes a struct type, bytes, and perhaps an offset")
        kind = self.type_of(node.args[0])
        if not kinds.is_struct(kind) or not kind.packed:
            self.error(
                node.args[0], f"view needs a packed struct, not {type_name(kind)}", "declare it @struct(packed=True)"
            )
        if holds_references(kind) or kinds.contains_callable(kind):
            self.error(
                node.args[0], f"{type_name(kind)} contains addresses; bytes from elsewhere must not become addresses"
            )
        data = self.value(node.args[1])
        if not ((kinds.is_span(data.type) or kinds.is_array(data.type)) and kinds.element_of(data.type) is u8):
            hint = "bytes are read-only; take a Span[u8]" if data.type is bytes else ""
            self.error(node.args[1], f"view needs Span[u8] or Array[u8, N], not {type_name(data.type)}", hint)
        u64 = self.program.integers["u64"]
        offset = self.convert(self.value(node.args[2], u64), u64, node.args[2]).ir if len(node.args) == 3 else "0"
        address, length = self.parts(data)
        if offset != "0":
            self.check(self.let(f"icmp ule i64 {offset}, {length}"), "view too short")
            length = self.let(f"sub nuw i64 {length}, {offset}")
            address = self.let(f"getelementptr inbounds nuw i8, ptr {address}, i64 {offset}")
        self.check(self.let(f"icmp uge i64 {length}, {kind.size}"), "view too short")
        return self.make(kind, address, data)

    def pointee(self: Lowering, node: ast.expr, integer: bool = False) -> tuple[Value, Type]:
        pointer = self.value(node)
        if not kinds.is_pointer(pointer.type):
            self.error(node, f"this needs a Ptr, not {type_name(pointer.type)}", "take the address: `addr(x)`")
        kind = kinds.normal(pointer.type.target)
        if kinds.is_reference(kind) or (integer and not kinds.is_integer(kind)):
            self.error(node, f"this does not work on a {type_name(pointer.type)}", "point to an integer")
        return pointer, kind

    def in_volatile_load(self: Lowering, node: ast.Call) -> Value:

        pointer, kind = self.pointee(self.one(node))
        return self.load(Place(kind, pointer.ir, pointer.level, pointer.sites, True, kinds.align_of(kind)))

    def in_volatile_store(self: Lowering, node: ast.Call) -> Value:

        at, what = self.arguments(node, 2)
        pointer, kind = self.pointee(at)
        self.store(
            Place(kind, pointer.ir, pointer.level, pointer.sites, True, kinds.align_of(kind)), self.value(what), what
        )
        return self.make(NONE, "")

    def atomic(self: Lowering, operation: str, node: ast.Call) -> Value:
        at, *rest = self.arguments(node, {"load": 1, "compare": 3}.get(operation, 2))
        pointer, kind = self.pointee(at, integer=True)
        t = llvm(kind)
        values = [self.convert(self.value(r, kind), kind, r).ir for r in rest]
        if operation == "load":
            return self.make(kind, self.let(f"load atomic {t}, ptr {pointer.ir} seq_cst, align {kind.align}"))
        if operation == "store":
            self.emit(f"store atomic {t} {values[0]}, ptr {pointer.ir} seq_cst, align {kind.align}")
            return self.make(NONE, "")
        if operation == "compare":
            pair = self.let(f"cmpxchg ptr {pointer.ir}, {t} {values[0]}, {t} {values[1]} seq_cst seq_cst")
            return self.make(bool, self.let(f"extractvalue {{ {t}, i1 }} {pair}, 1"))
        return self.make(kind, self.let(f"atomicrmw {operation} ptr {pointer.ir}, {t} {values[0]} seq_cst"))

    def in_fence(self: Lowering, node: ast.Call) -> Value:
        self.arguments(node, 0)
        self.emit("fence seq_cst")
        return self.make(NONE, "")

    def in_compiler_barrier(self: Lowering, node: ast.Call) -> Value:
        self.arguments(node, 0)
        self.emit('call void asm sideeffect "", "~{memory}"()')
        return self.make(NONE, "")

    def bit_intrinsic(self: Lowering, name: str, node: ast.Call) -> Value:
        value = self.value(self.one(node))
        kind = value.type
        if not kinds.is_integer(kind):
            self.error(node, f"`{ast.unparse(node.func)}` needs a typed integer, not {type_name(kind)}")
        t = llvm(kind)
        if name == "bswap" and kind.bits == 8:
            return value
        extra = ", i1 false" if name in ("ctlz", "cttz") else ""
        return self.make(kind, self.let(f"call {t} @llvm.{name}.{t}({t} {value.ir}{extra})"))

    def in_rotate_left(self: Lowering, node: ast.Call) -> Value:
        what, amount_node = self.arguments(node, 2)
        value, amount = self.value(what), self.value(amount_node)
        kind = value.type
        if not kinds.is_integer(kind) or kind.signed:
            self.error(what, f"rotate_left needs an unsigned integer, not {type_name(kind)}")
        t = llvm(kind)
        if amount.type is Literal:
            shift = str(amount.constant % kind.bits)
        elif kinds.is_integer(amount.type) and not amount.type.signed:
            have = amount.type
            masked = self.let(f"and {llvm(have)} {amount.ir}, {kind.bits - 1}")
            shift = self.resize(masked, have, kind)
        else:
            self.error(amount_node, "rotate by an unsigned amount")
        return self.make(kind, self.let(f"call {t} @llvm.fshl.{t}({t} {value.ir}, {t} {value.ir}, {t} {shift})"))

    def in_multiply_high(self: Lowering, node: ast.Call) -> Value:
        u64 = self.program.integers["u64"]
        a, b = (self.convert(self.value(n, u64), u64, n) for n in self.arguments(node, 2))
        wide = [self.let(f"zext i64 {v.ir} to i128") for v in (a, b)]
        product = self.let(f"lshr i128 {self.let(f'mul i128 {wide[0]}, {wide[1]}')}, 64")
        return self.make(u64, self.let(f"trunc i128 {product} to i64"))

    def in_add_end_around(self: Lowering, node: ast.Call) -> Value:
        u64 = self.program.integers["u64"]
        a, b = (self.convert(self.value(n, u64), u64, n) for n in self.arguments(node, 2))
        both = self.let(f"call {{i64, i1}} @llvm.uadd.with.overflow.i64(i64 {a.ir}, i64 {b.ir})")
        total, carry = (self.let(f"extractvalue {{i64, i1}} {both}, {i}") for i in (0, 1))
        return self.make(u64, self.let(f"add i64 {total}, {self.let(f'zext i1 {carry} to i64')}"))

    def in_trap(self: Lowering, node: ast.Call) -> Value:
        self.arguments(node, 0)
        self.stop("trap")
        self.assigned = None
        self.lines.append(f"{self.new_label()}:")
        return self.make(NONE, "")

    def in_unreachable(self: Lowering, node: ast.Call) -> Value:
        self.arguments(node, 0)
        self.emit("unreachable")
        self.assigned = None
        self.lines.append(f"{self.new_label()}:")
        return self.make(NONE, "")

    def in_asm(self: Lowering, node: ast.Call) -> Value:

        result: Type = NONE
        for keyword in node.keywords:
            if keyword.arg != "returns":
                self.error(keyword, f"asm has no parameter `{keyword.arg}`")
            result = self.type_of(keyword.value)
        known = [self.static(a) for a in node.args[:2]]
        if not known or not all(isinstance(k, str) for k in known):
            self.error(node, "asm takes a text, constraints and inputs; the first two are string constants")
        template = self.substitute(known[0], node.args[0])
        constraints = known[1] if len(known) > 1 else ""
        parts = [c.strip() for c in constraints.split(",") if c.strip()]
        outputs = [c for c in parts if c.startswith("=")]
        inputs = [c for c in parts if not c.startswith(("=", "~"))]
        values = [self.value(a) for a in node.args[2:]]
        if len(inputs) != len(values):
            self.error(
                node,
                f"the constraints name {len(inputs)} inputs, {len(values)} are given",
                'inputs come after outputs ("=...") and before effects ("~{...}")',
            )
        several = result.items if isinstance(result, kinds.TupleType) else (result,) if result is not NONE else ()
        if len(outputs) != len(several):
            self.error(
                node,
                f"the constraints name {len(outputs)} outputs, but returns= gives {len(several)}",
                "the type of the output is `returns=`; of several it is a tuple",
            )
        for kind in several:
            if not (kinds.is_integer(kind) or kinds.is_pointer(kind) or kinds.is_bits(kind)):
                self.error(node, f"asm cannot return a {type_name(kind)}", "return an integer")
        for i, (value, argument) in enumerate(zip(values, node.args[2:], strict=True)):
            if value.type is Literal:
                self.error(argument, f"the constant {value.constant} has no width", f"write `u64({value.constant})`")
            if kinds.is_view(value.type) or isinstance(value.type, kinds.TupleType):
                self.error(argument, f"a {type_name(value.type)} does not fit a register", "pass its address or length")
            if value.type is bool:
                values[i] = self.make(self.program.integers["u8"], self.let(f"zext i1 {value.ir} to i8"))
        spelled = ", ".join(f"{llvm(v.type)} {v.ir}" for v in values)
        text = escape(template.strip())
        call = f'call {llvm(result)} asm sideeffect inteldialect "{text}", "{",".join(parts)}"({spelled})'
        if result is NONE:
            self.emit(call)
            return self.make(NONE, "")
        return self.make(result, self.let(call))

    def in_misplaced(self: Lowering, node: ast.Call) -> Value:
        self.error(node, f"`{ast.unparse(node.func)}` works at module level only")


def holds_references(kind: Type) -> bool:
    """Whether an object of this type has pointers or views inside."""
    kind = kinds.normal(kind)
    if kinds.is_array(kind):
        return holds_references(kind.element)
    if kinds.is_struct(kind):
        return any(holds_references(f.type) for f in kind.fields.values())
    return kinds.is_pointer(kind) or kinds.is_view(kind)


def _atomic(operation: str) -> Any:
    return lambda self, node: self.atomic(operation, node)


def _bits(name: str) -> Any:
    return lambda self, node: self.bit_intrinsic(name, node)


INTRINSICS: dict[Any, Any] = {
    len: Calls.in_len, min: Calls.in_min_max, max: Calls.in_min_max, abs: Calls.in_abs, print: Calls.in_print,
    range: Calls.in_loop_only, enumerate: Calls.in_loop_only,
    language.format_into: Calls.in_format_into, language.sizeof: Calls.in_sizeof, language.offsetof: Calls.in_offsetof,
    language.addr: Calls.in_addr, language.view: Calls.in_view, language.asm: Calls.in_asm,
    language.volatile_load: Calls.in_volatile_load, language.volatile_store: Calls.in_volatile_store,
    language.atomic_load: _atomic("load"), language.atomic_store: _atomic("store"), language.atomic_add: _atomic("add"),
    language.atomic_sub: _atomic("sub"), language.atomic_and: _atomic("and"), language.atomic_or: _atomic("or"),
    language.atomic_xor: _atomic("xor"), language.atomic_exchange: _atomic("xchg"),
    language.atomic_compare_exchange: _atomic("compare"), language.fence: Calls.in_fence,
    language.compiler_barrier: Calls.in_compiler_barrier, language.byte_swap: _bits("bswap"),
    language.count_leading_zeros: _bits("ctlz"), language.count_trailing_zeros: _bits("cttz"),
    language.count_ones: _bits("ctpop"), language.rotate_left: Calls.in_rotate_left,
    language.multiply_high: Calls.in_multiply_high, language.add_end_around: Calls.in_add_end_around,
    language.trap: Calls.in_trap,
    language.unreachable: Calls.in_unreachable, language.aligned: Calls.in_misplaced,
    language.placed: Calls.in_misplaced, language.module_asm: Calls.in_misplaced,
}  # fmt: skip
for _builtin in vars(builtins).values():
    if isinstance(_builtin, types.BuiltinFunctionType):
        INTRINSICS.setdefault(_builtin, Calls.in_builtin)
