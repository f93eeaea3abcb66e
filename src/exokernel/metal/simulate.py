# SPDX-License-Identifier: MIT
"""Run a function of the dialect in CPython with its annotations enforced: the third way, and the compiler's oracle.

A function's syntax tree is rewritten once per set of argument types: constants are computed, values are converted
where the dialect converts them, everything else stays the author's Python and runs on the memory of `types.py`. Types
are found in the order of the text, as the compiler finds them, but with none of its code. This module must never make
a wrong program right; it assumes what the compiler has accepted, and refuses the rest when it happens to notice.
"""

from __future__ import annotations

import ast
import builtins
import collections.abc
import enum
import linecache
import operator
import re
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from exokernel.metal import language, memory
from exokernel.metal.errors import Trap
from exokernel.metal.types import (
    Array,
    BigEndian,
    Bits,
    BytesView,
    Integer,
    Ptr,
    Span,
    accessors,
    address_of,
    align_of,
    array_of,
    callable_signature,
    checked_position,
    coerce,
    common_type,
    i64,
    is_bits,
    is_callable_type,
    is_reference,
    is_struct,
    pointer_to,
    resolve_annotation,
    size_of,
    span_of,
    type_name,
    u8,
    u64,
)

NoneType = type(None)
Kind = Any
"""A dialect type, NoneType, or LITERAL."""


class Literal:
    """The type of a constant that no typed operand has met yet; its value is a plain int."""


class Unknown:
    """Not known before the function runs."""


UNKNOWN = Unknown()


# ---- output


_sinks: list[bytearray] = []


@contextmanager
def capture() -> Iterator[bytearray]:
    """Collect what simulated functions print in the meantime."""
    sink = bytearray()
    _sinks.append(sink)
    try:
        yield sink
    finally:
        _sinks.pop()


def _write(*parts: bytes) -> None:
    for sink in _sinks:
        sink.extend(b"".join(parts))


SPECIFICATION = re.compile(r"(?:(?P<fill>.)?(?P<align>[<>^]))?#?(?P<zero>0)?(?P<width>[0-9]+)?(?P<kind>[xXbodcs])?")


def _formatted(value: Any, specification: str) -> bytes:
    """One item of print or of an f-string, as bytes."""
    if isinstance(value, (bytes, BytesView, Array, Span)):
        text = bytes(value)
    elif isinstance(value, str):
        return format(value, specification).encode()
    elif not specification:
        return str(value).encode()
    elif not specification.endswith("c"):
        return format(int(value), specification).encode()
    else:
        if not 0 <= value < 0x110000:
            raise Trap("assert")
        text = chr(value).encode(errors="surrogatepass")
    match = SPECIFICATION.fullmatch(specification)
    if match is None:
        raise TypeError(f"the format `{specification}` is not supported")
    columns = 1 if specification.endswith("c") else len(text)
    padding = max(0, int(match["width"] or 0) - columns)
    fill = (match["fill"] or ("0" if match["zero"] else " ")).encode()
    before = {"<": 0, ">": padding, "^": padding // 2}[match["align"] or "<"]
    return fill * before + text + fill * (padding - before)


# ---- what rewritten code calls


def _fail() -> NoReturn:
    raise Trap("assert")


def _byte(data: Any, index: Any) -> Any:
    """`data[index]` of a bytes value."""
    return _as_view(data)[index]


def _slice(data: Any, start: Any, stop: Any) -> Any:
    return _as_view(data)[start:stop]


def _as_view(data: Any) -> BytesView:
    if isinstance(data, BytesView):
        return data
    region = memory.literal(data)
    return BytesView(region.base, len(data), region)


def _elements(value: Any) -> Iterator[Any]:
    return map(u8, value) if type(value) is bytes else iter(value)


def _numbered(value: Any) -> Iterator[tuple[Any, Any]]:
    return ((u64(i), x) for i, x in enumerate(_elements(value)))


def _range(kind: Any, start: int, stop: int, step: int) -> Iterator[Any]:
    return map(kind, range(int(coerce(kind, start)), int(coerce(kind, stop)), step))


def _address_of_field(base: Any, name: str) -> Any:
    field = type(base).fields[name]
    return pointer_to(field.type)._make(address_of(base) + field.offset, base._region)


def _address_of_item(base: Any, index: Any) -> Any:
    if isinstance(base, Ptr):
        return base + index
    if isinstance(base, (bytes, BytesView)):
        view = _as_view(base)
        return pointer_to(u8)._make(view._address + checked_position(index, len(view)), view._region)
    region, offset = base._place(index)
    return pointer_to(type(base).element)._make(region.base + offset, region)


_variable_regions: dict[tuple[int, str], memory.Region] = {}


def _address_of_variable(namespace: dict[str, Any], name: str, kind: Kind) -> Any:
    """The address of a scalar module variable; what is stored there is stored in the module."""
    key = (id(namespace), name)
    if key not in _variable_regions:
        load, store = accessors(kind)
        size = size_of(kind)

        def read() -> bytes:
            scratch = memory.Region(0, size)
            store(scratch, 0, namespace[name])
            return bytes(scratch.data)

        def write(content: bytes) -> None:
            scratch = memory.Region(0, size)
            scratch.write(0, content)
            value = load(scratch, 0)
            namespace[name] = value.copy() if isinstance(value, Bits) else value

        _variable_regions[key] = memory.allocate_variable(size, align_of(kind), read, write)
    region = _variable_regions[key]
    return pointer_to(kind)._make(region.base, region)


def _invoke(callee: Any, kind: Kind) -> Any:
    """What a call of a function reference calls."""
    if isinstance(callee, types.FunctionType):
        return instance(callee)
    if callee is None:
        raise MemoryError("a call of a function reference that is zero")
    result = callable_signature(kind)[1]
    return lambda *arguments: coerce(result, callee(*arguments))


_converters: dict[Any, Callable[[Any], Any]] = {}


def _converter(kind: Kind) -> Callable[[Any], Any]:
    """The implicit conversion to one type, as a function."""
    if kind not in _converters:

        def convert(value: Any) -> Any:
            return value if type(value) is kind else coerce(kind, value)

        _converters[kind] = (lambda value: coerce(kind, value)) if is_bits(kind) else convert
    return _converters[kind]


def _least(kind: Kind, *values: Any) -> Any:
    return min(map(_converter(kind), values))


def _greatest(kind: Kind, *values: Any) -> Any:
    return max(map(_converter(kind), values))


def _length(value: Any) -> Any:
    return u64(len(value))


# ---- sources


_trees: dict[str, dict[tuple[int, str], ast.FunctionDef]] = {}


def _definition(function: types.FunctionType) -> ast.FunctionDef:
    """The syntax tree of a function, from its file."""
    file = function.__code__.co_filename
    key = (function.__code__.co_firstlineno, function.__name__)
    if key not in _trees.get(file, {}):
        found = _trees[file] = {}
        for node in ast.walk(ast.parse("".join(linecache.getlines(file, function.__globals__)), file)):
            if isinstance(node, ast.FunctionDef):
                found[min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.name] = node
    if key not in _trees[file]:
        raise TypeError(f"the source of `{function.__name__}` is not a plain function definition")
    return _trees[file][key]


# ---- functions


_patterns: dict[types.FunctionType, tuple[list[str], list[Kind], Kind]] = {}
_instances: dict[tuple[types.FunctionType, tuple[tuple[str, Kind], ...]], Instance] = {}


def _signature(function: types.FunctionType) -> tuple[list[str], list[Kind], Kind]:
    """Parameter names and types, and the result's type, type variables still in them."""
    if function not in _patterns:
        code = function.__code__
        names = list(code.co_varnames[: code.co_argcount])
        owner = getattr(function, "__owner__", None)
        scope = _closure(function) | ({owner.__name__: owner} if owner else {})
        kinds = []
        for position, name in enumerate(names):
            if position == 0 and name == "self" and name not in function.__annotations__ and owner is not None:
                kinds.append(owner)
                continue
            if name not in function.__annotations__:
                raise TypeError(f"the parameter `{name}` of `{function.__name__}` has no type")
            kinds.append(resolve_annotation(function.__annotations__[name], function.__globals__, scope))
        if "return" not in function.__annotations__:
            raise TypeError(f"the result of `{function.__name__}` has no type")
        result = resolve_annotation(function.__annotations__["return"], function.__globals__, scope)
        _patterns[function] = names, kinds, result
    return _patterns[function]


def _closure(function: types.FunctionType) -> dict[str, Any]:
    """What a function sees of functions around it."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells}


def _variables_of(kind: Kind) -> set[str]:
    """The type variables in a type."""
    if isinstance(kind, TypeVar):
        return {kind.__name__}
    return set().union(*map(_variables_of, _inner(kind)))


def _inner(kind: Kind) -> list[Kind]:
    """The types inside a type."""
    if isinstance(kind, type) and issubclass(kind, (Array, Span)):
        return [kind.element]
    if isinstance(kind, type) and issubclass(kind, Ptr):
        return [kind._target] if isinstance(kind._target, TypeVar) else []
    if is_callable_type(kind):
        parameters, result = callable_signature(kind)
        return [*parameters, result]
    return list(typing.get_args(kind)) if _is_tuple(kind) else []


def _is_tuple(kind: Kind) -> bool:
    origin: Any = typing.get_origin(kind)
    return origin is tuple


def _substituted(kind: Kind, bindings: dict[str, Kind]) -> Kind:
    """A type with its type variables replaced."""
    if isinstance(kind, TypeVar):
        return bindings.get(kind.__name__, kind)
    inner = _inner(kind)
    if not any(_variables_of(k) for k in inner):
        return kind
    parts = [_substituted(k, bindings) for k in inner]
    if issubclass(kind, Array) if isinstance(kind, type) else False:
        return array_of((parts[0], kind.length))
    if isinstance(kind, type):
        return (span_of if issubclass(kind, Span) else pointer_to)(parts[0])
    return collections.abc.Callable[parts[:-1], parts[-1]] if is_callable_type(kind) else _tuple_of(*parts)


def _tuple_of(*kinds: Kind) -> Kind:
    return types.GenericAlias(tuple, kinds)


def _unify(pattern: Kind, kind: Kind, bindings: dict[str, Kind]) -> None:
    """Learn type variables from an argument's type."""
    if isinstance(pattern, TypeVar):
        known = bindings.get(pattern.__name__)
        if kind is Literal:
            return
        if known is not None:
            both = _is_integer(known) and _is_integer(kind)
            kind = (common_type(known, kind) if both else None) or known
        bindings[pattern.__name__] = kind
    elif _variables_of(pattern):
        if kind is bytes:
            kind = span_of(u8)
        if (
            isinstance(pattern, type)
            and issubclass(pattern, Span)
            and isinstance(kind, type)
            and issubclass(kind, Array)
        ):
            kind = span_of(kind.element)
        inner = [kind.target] if isinstance(kind, type) and issubclass(kind, Ptr) else _inner(kind)
        for part, have in zip(_inner(pattern), inner, strict=False):
            _unify(part, have, bindings)


def instance(function: types.FunctionType, arguments: list[Kind] | None = None) -> Instance:
    """The function rewritten for arguments of these types; without type variables they do not matter."""
    patterns = _signature(function)[1]
    bindings: dict[str, Kind] = {}
    if any(map(_variables_of, patterns)):
        for pattern, kind in zip(patterns, arguments or [], strict=False):
            _unify(pattern, kind, bindings)
        missing = set().union(*map(_variables_of, patterns)) - bindings.keys()
        if missing:
            raise TypeError(f"the type `{min(missing)}` of `{function.__name__}` is not determined; give a typed value")
    key = (function, tuple(sorted(bindings.items(), key=lambda item: item[0])))
    if key not in _instances:
        _instances[key] = Instance(function, bindings)
    return _instances[key]


class Instance:
    """A function for certain argument types; rewritten when it is first called."""

    def __init__(self, function: types.FunctionType, bindings: dict[str, Kind]) -> None:
        names, patterns, result = _signature(function)
        self.function, self.bindings, self.names = function, bindings, names
        self.kinds = [_substituted(p, bindings) for p in patterns]
        self.result = _substituted(result, bindings)
        self._run: Any = None

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self._run is None:
            self._run = _Rewriter(self).rewrite()
        return self._run(*arguments, **named)


class Simulated:
    """A function of the dialect as a Python caller sees it. `output` holds what the latest call printed."""

    def __init__(self, function: types.FunctionType) -> None:
        self.function = function
        self.output = b""
        self.__name__ = function.__name__

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        names = _signature(self.function)[0]
        given = [*arguments, *(named.pop(n) for n in names[len(arguments) :] if n in named)]
        if named or len(given) != len(names):
            raise TypeError(f"{self.__name__} takes ({', '.join(names)})")
        chosen = instance(self.function, [_kind_of(v) for v in given])
        values = [_from_outside(kind, value) for kind, value in zip(chosen.kinds, given, strict=True)]
        with capture() as sink:
            try:
                return chosen(*values)
            except Trap as trap:
                raise _located(trap) from None
            finally:
                self.output = bytes(sink)


def simulated(function: Callable[..., Any]) -> Simulated:
    """`function`, to be run by CPython as the dialect says. Traps are `Trap`; a plain int that does not fit its
    parameter is OverflowError; `asm` raises HardwareOnly. Bytes and lists are accepted for spans and arrays.
    """
    if not isinstance(function, types.FunctionType):
        raise TypeError(f"{function!r} is not a function of the dialect")
    return Simulated(function)


def _kind_of(value: Any) -> Kind:
    """The type of an argument given from outside."""
    if isinstance(value, int) and not isinstance(value, (bool, Integer)):
        return Literal
    return bytes if isinstance(value, (bytearray, BytesView)) else type(value)


def _from_outside(kind: Kind, value: Any) -> Any:
    """An argument given by the workstation: as `coerce`, and fresh memory for bytes and lists."""
    if isinstance(value, bytearray):
        value = bytes(value)
    if kind is bool and type(value) is int and value in (0, 1):
        return bool(value)
    if is_bits(kind) and isinstance(value, int):
        return kind(value)
    if isinstance(kind, type) and isinstance(value, (bytes, list, tuple)):
        if issubclass(kind, Array):
            return kind(value)
        if issubclass(kind, Span):
            return coerce(kind, array_of((kind.element, len(value)))(value))
    return coerce(kind, value)


_rewritten: set[types.CodeType] = set()


def _located(trap: Trap) -> Trap:
    """The trap, with the line of the author's source that it comes from."""
    place: tuple[str | None, int | None] = (trap.file, trap.line)
    step = trap.__traceback__
    while step is not None:
        if step.tb_frame.f_code in _rewritten:
            place = (step.tb_frame.f_code.co_filename, step.tb_lineno)
        step = step.tb_next
    return Trap(trap.reason, *place)


# ---- rewriting


def _is_integer(kind: Kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, Integer)


def _native(kind: Kind) -> Kind:
    """The type of a value read from storage of type `kind`."""
    return kind.native if isinstance(kind, type) and issubclass(kind, BigEndian) else kind


def _holds_bytes(kind: Kind) -> bool:
    return kind is bytes or (isinstance(kind, type) and issubclass(kind, (Array, Span)) and kind.element is u8)


OPERATORS: dict[type, Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
    ast.LShift: operator.lshift, ast.RShift: operator.rshift, ast.Pow: operator.pow,
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert, ast.Not: operator.not_,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
    ast.Is: operator.is_, ast.IsNot: operator.is_not,
}  # fmt: skip


@dataclass(frozen=True)
class Typed:
    """An expression, rewritten, and the type of its value."""

    node: ast.expr
    kind: Kind


SAME_AS_FIRST = (
    language.byte_swap, language.count_leading_zeros, language.count_trailing_zeros, language.count_ones,
    language.rotate_left,
)  # fmt: skip
OLD_VALUE = (
    language.volatile_load, language.atomic_load, language.atomic_add, language.atomic_sub, language.atomic_and,
    language.atomic_or, language.atomic_xor, language.atomic_exchange,
)  # fmt: skip
NOTHING = (
    language.volatile_store, language.atomic_store, language.fence, language.compiler_barrier, language.trap,
    language.unreachable,
)  # fmt: skip


class _Rewriter:
    """The pass over one function, in the order of the text."""

    def __init__(self, instance: Instance) -> None:
        self.instance, self.function = instance, instance.function
        self.globals = self.function.__globals__
        self.names = _closure(self.function) | instance.bindings
        self.node = _definition(self.function)
        self.global_names = {n for s in ast.walk(self.node) if isinstance(s, ast.Global) for n in s.names}
        self.locals = {a.arg for a in self.node.args.args}
        for child in ast.walk(self.node):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                self.locals.add(child.id)
            elif isinstance(child, ast.MatchAs) and child.name:
                self.locals.add(child.name)
        self.locals -= self.global_names
        self.kinds: dict[str, Kind] = {}
        self.constants: dict[int, tuple[str, Any]] = {}
        self.temporaries = 0

    def rewrite(self) -> Any:
        """The function that runs."""
        body: list[ast.stmt] = []
        if self.global_names:
            body.append(ast.Global(sorted(self.global_names)))
        for name, kind in zip(self.instance.names, self.instance.kinds, strict=True):
            self.kinds[name] = kind
            body.append(self.store_name(name, self.load(name)))
        body += self.block(self.node.body)
        arguments = ast.arguments([], [ast.arg(n) for n in self.instance.names], None, [], [], None, [])
        inner = ast.FunctionDef(self.node.name, arguments, body, [], None, None)
        ast.copy_location(inner, self.node)
        names = [ast.arg(name) for name, _ in self.constants.values()]
        outer = ast.FunctionDef(
            "make", ast.arguments([], names, None, [], [], None, []),
            [inner, ast.Return(self.load(self.node.name))], [], None, None,
        )  # fmt: skip
        ast.copy_location(outer, self.node)
        tree = ast.fix_missing_locations(ast.Module([outer], []))
        scope: dict[str, Any] = {}
        exec(compile(tree, self.function.__code__.co_filename, "exec"), self.globals, scope)  # the author's own code
        run = scope["make"](*(value for _, value in self.constants.values()))
        _rewritten.add(run.__code__)
        return run

    def error(self, node: ast.AST, message: str) -> NoReturn:
        where = f"{self.function.__code__.co_filename}:{getattr(node, 'lineno', self.node.lineno)}"
        raise TypeError(f"{where}: {message}")

    # ---- pieces of syntax

    def load(self, name: str) -> ast.Name:
        return ast.Name(name, ast.Load())

    def constant(self, value: Any) -> ast.expr:
        """An expression for an object that exists now."""
        if value is None or type(value) in (int, bool, str, bytes):
            return ast.Constant(value)
        if id(value) not in self.constants:
            self.constants[id(value)] = (f"_metal_{len(self.constants)}", value)
        return self.load(self.constants[id(value)][0])

    def run(self, function: Any, *arguments: ast.expr) -> ast.Call:
        """A call of something of this module."""
        return ast.Call(self.constant(function), list(arguments), [])

    def converted(self, value: Typed, kind: Kind) -> ast.expr:
        """The value after implicit conversion; bits are copied."""
        if value.kind == kind and not is_bits(kind) and kind is not Literal:
            return value.node
        return self.run(_converter(kind), value.node)

    def store_name(self, name: str, value: ast.expr) -> ast.stmt:
        """`name = value`, converted to the variable's type."""
        return ast.Assign([ast.Name(name, ast.Store())], self.run(_converter(self.kinds[name]), value))

    def temporary(self) -> str:
        self.temporaries += 1
        return f"_metal_t{self.temporaries}"

    # ---- what is known before the function runs

    def static(self, node: ast.AST) -> Any:
        """The object that `node` denotes, or UNKNOWN."""
        match node:
            case ast.Constant(value=constant):
                return constant
            case ast.Name(id=name):
                return self.static_name(name, node)
            case ast.Attribute(value=base, attr=name):
                owner = self.static(base)
                if isinstance(owner, types.ModuleType):
                    return UNKNOWN if self.variable(vars(owner), name) else self.typed(vars(owner), name, node)
                if isinstance(owner, (type, enum.Enum)) and hasattr(owner, name):
                    return getattr(owner, name)
            case ast.BinOp(left=left, op=op, right=right):
                return self.computed(OPERATORS.get(type(op)), left, right)
            case ast.UnaryOp(op=op, operand=operand):
                return self.computed(OPERATORS.get(type(op)), operand)
            case ast.Compare(left=left, ops=symbols, comparators=rights):
                known = [self.static(n) for n in (left, *rights)]
                if all(k is not UNKNOWN for k in known):
                    steps = zip(symbols, known[:-1], known[1:], strict=True)
                    return all(OPERATORS[type(op)](a, b) for op, a, b in steps)
            case ast.BoolOp(op=op, values=values):
                stop = isinstance(op, ast.Or)
                for value in values:
                    known_value = self.static(value)
                    if known_value is UNKNOWN or bool(known_value) is stop:
                        return UNKNOWN if known_value is UNKNOWN else stop
                return not stop
            case ast.IfExp(test=test, body=yes, orelse=no):
                chosen = self.static(test)
                return UNKNOWN if chosen is UNKNOWN else self.static(yes if chosen else no)
            case ast.Subscript(value=base, slice=index):
                return self.static_subscript(base, index)
            case ast.Tuple(elts=elements):
                items = [self.static(e) for e in elements]
                return UNKNOWN if any(i is UNKNOWN for i in items) else tuple(items)
            case ast.List(elts=elements):
                items = [self.static(e) for e in elements]
                return UNKNOWN if any(i is UNKNOWN for i in items) else items
            case ast.Call(func=function, args=arguments, keywords=[]):
                target = self.static(function)
                if target in (len, min, max, abs, ord, bool, language.sizeof, language.offsetof) or _is_integer(target):
                    return self.computed(target, *arguments)
        return UNKNOWN

    def computed(self, function: Any, *operands: ast.expr) -> Any:
        known = [self.static(o) for o in operands]
        if function is None or any(k is UNKNOWN for k in known):
            return UNKNOWN
        plain = [int(k) if isinstance(k, enum.IntEnum) else k for k in known]
        if function not in (language.sizeof, language.offsetof) and not all(
            isinstance(k, (int, str, bytes, tuple, list)) for k in plain
        ):
            return UNKNOWN
        return function(*plain)

    def static_name(self, name: str, node: ast.AST) -> Any:
        if name in self.locals:
            return UNKNOWN
        if name in self.names:
            return self.names[name]
        if self.variable(self.globals, name):
            return UNKNOWN
        if name in self.globals:
            return self.typed(self.globals, name, node)
        if hasattr(builtins, name):
            return getattr(builtins, name)
        self.error(node, f"there is no name `{name}`")

    def typed(self, namespace: dict[str, Any], name: str, node: ast.AST) -> Any:
        """A constant of a module; `X: Final[u32] = 5` has the type of its annotation."""
        if name not in namespace:
            self.error(node, f"there is no `{name}`")
        value = namespace[name]
        annotation = namespace.get("__annotations__", {}).get(name)
        if annotation is None or isinstance(value, Integer) or type(value) is not int:
            return value
        try:
            return coerce(resolve_annotation(annotation, namespace), value)
        except TypeError:
            return value  # a bare `Final`, or an annotation for other readers

    def static_subscript(self, base: ast.expr, index: ast.expr) -> Any:
        thing = self.static(base)
        if thing is UNKNOWN:
            return UNKNOWN
        key = self.static(index)
        if key is UNKNOWN:
            return UNKNOWN
        if any(thing is t for t in (Array, Span, Ptr, tuple, collections.abc.Callable, typing.Callable)):
            return resolve_annotation(thing[key], self.globals, self.names)
        return thing[key] if isinstance(thing, (tuple, list, dict, str)) else UNKNOWN

    def variable(self, namespace: dict[str, Any], name: str) -> Kind | None:
        """The type of a module variable, None if the name is something else."""
        value = namespace.get(name)
        if is_reference(type(value)):
            return type(value)
        annotation = namespace.get("__annotations__", {}).get(name)
        if annotation is None or name not in namespace:
            return None
        text = annotation if isinstance(annotation, str) else ""
        final = annotation is typing.Final or typing.get_origin(annotation) is typing.Final
        if final or re.match(r"(\w+\.)?Final\b", text):
            return None
        try:
            return resolve_annotation(annotation, namespace)
        except TypeError:
            return None  # an annotation for other readers, as `list[str]`

    # ---- expressions

    def value(self, node: ast.expr) -> Typed:
        """Rewrite an expression."""
        known = self.static(node)
        if known is not UNKNOWN and not isinstance(node, ast.Tuple):
            return self.known(known, node)
        handler = getattr(self, "on_" + type(node).__name__, None)
        if handler is None:
            self.error(node, f"`{ast.unparse(node)}` is not supported")
        found: Typed = handler(node)
        ast.copy_location(found.node, node)
        return found

    def known(self, thing: Any, node: ast.expr) -> Typed:
        """An object that exists now, as a value."""
        if isinstance(thing, int) and not isinstance(thing, (bool, Integer)):
            return Typed(ast.Constant(int(thing)), Literal)
        if isinstance(thing, types.FunctionType):
            _, kinds, result = _signature(thing)
            return Typed(self.constant(thing), collections.abc.Callable[kinds, result])
        if isinstance(thing, (bool, Integer, bytes, str, Bits, Ptr)):
            return Typed(self.constant(thing), type(thing))
        self.error(node, f"`{ast.unparse(node)}` is not a value")

    def on_Name(self, node: ast.Name, lvalue: bool = False) -> Typed:
        if node.id in self.locals:
            if node.id not in self.kinds:
                self.error(node, f"`{node.id}` may be read before it is assigned")
            return Typed(self.load(node.id), self.kinds[node.id])
        return self.read_variable(self.load(node.id), self.variable(self.globals, node.id), lvalue)

    def read_variable(self, node: ast.expr, kind: Kind, lvalue: bool) -> Typed:
        """A module variable. A bits value is copied unless one of its fields is about to be written."""
        plain = is_reference(kind) or (lvalue and is_bits(kind))
        return Typed(node if plain else self.run(_converter(kind), node), kind)

    def on_Attribute(self, node: ast.Attribute, lvalue: bool = False) -> Typed:
        owner = self.static(node.value)
        if isinstance(owner, types.ModuleType):
            attribute = ast.Attribute(self.constant(owner), node.attr, ast.Load())
            return self.read_variable(attribute, self.variable(vars(owner), node.attr), lvalue)
        base = self.place(node.value) if lvalue else self.value(node.value)
        return Typed(ast.Attribute(base.node, node.attr, ast.Load()), _native(self.member(base.kind, node)))

    def member(self, kind: Kind, node: ast.Attribute) -> Kind:
        """The type of a field, as declared."""
        if is_struct(kind) and node.attr in kind.fields:
            return kind.fields[node.attr].type
        if is_bits(kind) and (node.attr == "raw" or node.attr in kind.bit_fields):
            return kind.storage if node.attr == "raw" else kind.bit_fields[node.attr].type
        self.error(node, f"{type_name(kind)} has no field `{node.attr}`")

    def on_Subscript(self, node: ast.Subscript, lvalue: bool = False) -> Typed:
        base = self.value(node.value)
        if isinstance(node.slice, ast.Slice):
            if node.slice.step is not None:
                self.error(node, "a slice has no step here")
            bounds = [None if b is None else self.index(b) for b in (node.slice.lower, node.slice.upper)]
            if base.kind is bytes:
                return Typed(self.run(_slice, base.node, *(b or ast.Constant(None) for b in bounds)), bytes)
            return Typed(ast.Subscript(base.node, ast.Slice(*bounds), ast.Load()), span_of(base.kind.element))
        index = self.index(node.slice)
        if base.kind is bytes:
            return Typed(self.run(_byte, base.node, index), u8)
        return Typed(ast.Subscript(base.node, index, ast.Load()), _native(self.element(base.kind, node)))

    def element(self, kind: Kind, node: ast.AST) -> Kind:
        """What an array, span or pointer holds, as declared."""
        if isinstance(kind, type) and issubclass(kind, (Array, Span)):
            return kind.element
        if isinstance(kind, type) and issubclass(kind, Ptr):
            return kind.target
        self.error(node, f"a {type_name(kind)} cannot be indexed")

    def index(self, node: ast.expr) -> ast.expr:
        known = self.static(node)
        return ast.Constant(int(known)) if isinstance(known, int) else self.value(node).node

    def place(self, node: ast.expr) -> Typed:
        """The base of what is assigned: never a copy of a bits value."""
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and self.static(node) is UNKNOWN:
            return typing.cast(Typed, getattr(self, "on_" + type(node).__name__)(node, lvalue=True))
        return self.value(node)

    def common(self, a: Kind, b: Kind, node: ast.AST) -> Kind:
        if a is Literal or b is Literal:
            return b if a is Literal else a
        kind = common_type(a, b) if _is_integer(a) and _is_integer(b) else None
        if kind is None:
            self.error(node, f"{type_name(a)} and {type_name(b)} do not mix")
        return kind

    def on_BinOp(self, node: ast.BinOp) -> Typed:
        left, right = self.value(node.left), self.value(node.right)
        return Typed(ast.BinOp(left.node, node.op, right.node), self.operation(node.op, left.kind, right.kind, node))

    def operation(self, op: ast.operator, left: Kind, right: Kind, node: ast.AST) -> Kind:
        """The type of `left op right`."""
        if isinstance(left, type) and issubclass(left, Ptr):
            return i64 if isinstance(right, type) and issubclass(right, Ptr) else left
        if left is bool and right is bool and isinstance(op, (ast.BitAnd, ast.BitOr, ast.BitXor)):
            return bool
        return left if isinstance(op, (ast.LShift, ast.RShift)) else self.common(left, right, node)

    def on_UnaryOp(self, node: ast.UnaryOp) -> Typed:
        operand = self.value(node.operand)
        kind = bool if isinstance(node.op, ast.Not) else operand.kind
        return Typed(ast.UnaryOp(node.op, operand.node), kind)

    def on_BoolOp(self, node: ast.BoolOp) -> Typed:
        values = [self.value(v) for v in node.values]
        nodes = [v.node if v.kind is bool else self.run(bool, v.node) for v in values]
        return Typed(ast.BoolOp(node.op, nodes), bool)

    def on_Compare(self, node: ast.Compare) -> Typed:
        rights: list[ast.expr] = []
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, (ast.In, ast.NotIn)):
                rights.append(self.constant(tuple(map(int, self.static(right)))))
            else:
                rights.append(self.value(right).node)
        return Typed(ast.Compare(self.value(node.left).node, node.ops, rights), bool)

    def on_IfExp(self, node: ast.IfExp) -> Typed:
        test, yes, no = self.value(node.test), self.value(node.body), self.value(node.orelse)
        if yes.kind == no.kind:
            kind = yes.kind
        elif isinstance(node.body, ast.Tuple) and isinstance(node.orelse, ast.Tuple):
            return Typed(ast.IfExp(test.node, yes.node, no.node), Literal)
        elif _holds_bytes(yes.kind) and _holds_bytes(no.kind):
            kind = bytes
        else:
            kind = self.common(yes.kind, no.kind, node)
        if kind is Literal:
            return Typed(ast.IfExp(test.node, yes.node, no.node), kind)
        return Typed(ast.IfExp(test.node, self.converted(yes, kind), self.converted(no, kind)), kind)

    def on_Tuple(self, node: ast.Tuple) -> Typed:
        values = [self.value(e) for e in node.elts]
        return Typed(ast.Tuple([v.node for v in values], ast.Load()), _tuple_of(*(v.kind for v in values)))

    # ---- calls

    def on_Call(self, node: ast.Call) -> Typed:
        target = self.static(node.func)
        if target is UNKNOWN:
            return self.method_call(node, node.func) if isinstance(node.func, ast.Attribute) else self.indirect(node)
        if isinstance(target, types.FunctionType) and target.__module__ == language.__name__:
            return self.intrinsic(node, target)
        if isinstance(target, types.FunctionType):
            return self.direct(node, target, [])
        if isinstance(target, type):
            return self.construct(node, target)
        if target is print:
            return self.print(node)
        arguments = [self.value(a) for a in node.args]
        nodes = [a.node for a in arguments]
        if target is len:
            return Typed(self.run(_length, *nodes), u64)
        if target is abs:
            return Typed(self.run(abs, *nodes), arguments[0].kind)
        if target is min or target is max:
            kind = arguments[0].kind
            for argument in arguments[1:]:
                kind = self.common(kind, argument.kind, node)
            return Typed(self.run(_least if target is min else _greatest, self.constant(kind), *nodes), kind)
        self.error(node, f"`{ast.unparse(node.func)}` cannot be called")

    def arguments(self, node: ast.Call) -> tuple[list[ast.expr], list[ast.keyword]]:
        values = [self.value(a).node for a in node.args]
        return values, [ast.keyword(k.arg, self.value(k.value).node) for k in node.keywords]

    def direct(self, node: ast.Call, target: types.FunctionType, first: list[Typed]) -> Typed:
        """A call of a function that is known now."""
        values = first + [self.value(a) for a in node.args]
        named = {str(k.arg): self.value(k.value) for k in node.keywords}
        names = _signature(target)[0]
        kinds = [v.kind for v in values] + [named[n].kind for n in names[len(values) :] if n in named]
        if len(kinds) != len(names):
            self.error(node, f"`{target.__name__}` takes {', '.join(names) or 'nothing'}")
        chosen = instance(target, kinds)
        keywords = [ast.keyword(n, v.node) for n, v in named.items()]
        return Typed(ast.Call(self.constant(chosen), [v.node for v in values], keywords), chosen.result)

    def indirect(self, node: ast.Call) -> Typed:
        """A call of a function reference."""
        callee = self.value(node.func)
        if not is_callable_type(callee.kind):
            self.error(node, f"a {type_name(callee.kind)} cannot be called")
        wanted, result = callable_signature(callee.kind)
        values = [self.converted(self.value(a), k) for a, k in zip(node.args, wanted, strict=True)]
        return Typed(ast.Call(self.run(_invoke, callee.node, self.constant(callee.kind)), values, []), result)

    def method_call(self, node: ast.Call, function: ast.Attribute) -> Typed:
        if isinstance(self.static(function.value), types.ModuleType):
            return self.indirect(node)
        base = self.value(function.value)
        found = vars(base.kind).get(function.attr) if is_struct(base.kind) or is_bits(base.kind) else None
        if isinstance(found, types.FunctionType):
            return self.direct(node, found, [base])
        if is_struct(base.kind) and function.attr in base.kind.fields:
            return self.indirect(node)
        method = ast.Attribute(base.node, function.attr, ast.Load())
        values, _ = self.arguments(node)
        if function.attr in ("copy_from", "fill"):
            return Typed(ast.Call(method, values, []), NoneType)
        if function.attr == "encode" and base.kind is str:
            return Typed(ast.Call(method, [], []), bytes)
        self.error(node, f"{type_name(base.kind)} has no method `{function.attr}`")

    def construct(self, node: ast.Call, kind: Any) -> Typed:
        """A constructor or an explicit conversion."""
        if kind is bytes:
            return Typed(self.run(_converter(bytes), self.value(node.args[0]).node), bytes)
        if issubclass(kind, Array) and node.args and isinstance(node.args[0], (ast.List, ast.Tuple)):
            items: ast.expr = ast.List([self.value(e).node for e in node.args[0].elts], ast.Load())
            return Typed(self.run(kind, items), kind)
        if issubclass(kind, Array) and node.args:
            return Typed(self.run(kind, self.constant(self.static(node.args[0]))), kind)
        if not (kind is bool or is_struct(kind) or is_bits(kind) or issubclass(kind, (Integer, Array, Span, Ptr))):
            self.error(node, f"`{ast.unparse(node.func)}` does not make a value")
        values, keywords = self.arguments(node)
        return Typed(ast.Call(self.constant(kind), values, keywords), kind)

    def intrinsic(self, node: ast.Call, target: types.FunctionType) -> Typed:
        if target is language.addr:
            return self.address(node.args[0])
        if target is language.asm:
            returns = [self.static(k.value) for k in node.keywords if k.arg == "returns"]
            return Typed(self.run(language.asm, ast.Constant("")), returns[0] if returns else NoneType)
        if target is language.view:
            kind = self.static(node.args[0])
            rest = [self.value(a).node for a in node.args[1:]]
            return Typed(self.run(language.view, self.constant(kind), *rest), kind)
        if target is language.format_into:
            buffer = self.value(node.args[0]).node
            text = ast.Call(ast.Attribute(ast.Constant(b""), "join", ast.Load()), [self.pieces(node.args[1])], [])
            return Typed(self.run(language.format_into, buffer, text), u64)
        arguments = [self.value(a) for a in node.args]
        call = self.run(target, *(a.node for a in arguments))
        if target in NOTHING:
            return Typed(call, NoneType)
        if target in OLD_VALUE:
            return Typed(call, _native(arguments[0].kind.target))
        if target in SAME_AS_FIRST:
            return Typed(call, arguments[0].kind)
        if target is language.multiply_high or target is language.add_end_around:
            return Typed(call, u64)
        if target is language.atomic_compare_exchange:
            return Typed(call, bool)
        self.error(node, f"`{target.__name__}` works at module level only")

    def address(self, node: ast.expr) -> Typed:
        """`addr(node)`."""
        owner, name, namespace = None, "", self.globals
        if isinstance(node, ast.Attribute) and isinstance(owner := self.static(node.value), types.ModuleType):
            name, namespace = node.attr, vars(owner)
        elif isinstance(node, ast.Name) and node.id not in self.locals:
            name = node.id
        if name:
            kind = self.variable(namespace, name)
            if kind is None:
                self.error(node, f"`{name}` is a constant and has no address")
            if not is_reference(kind):
                what = (self.constant(namespace), self.constant(name), self.constant(kind))
                return Typed(self.run(_address_of_variable, *what), pointer_to(kind))
        elif isinstance(node, ast.Attribute):
            base = self.value(node.value)
            kind = self.member(base.kind, node)
            if not is_struct(base.kind):
                self.error(node, "bits of an integer have no address")
            return Typed(self.run(_address_of_field, base.node, ast.Constant(node.attr)), pointer_to(kind))
        elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            base = self.value(node.value)
            kind = u8 if base.kind is bytes else self.element(base.kind, node)
            return Typed(self.run(_address_of_item, base.node, self.index(node.slice)), pointer_to(kind))
        thing = self.value(node)
        if not is_reference(thing.kind):
            self.error(node, f"a {type_name(thing.kind)} has no address here")
        return Typed(self.run(language.addr, thing.node), pointer_to(thing.kind))

    # ---- printing

    def print(self, node: ast.Call) -> Typed:
        options = {"sep": b" ", "end": b"\n"}
        for keyword in node.keywords:
            options[str(keyword.arg)] = str(self.static(keyword.value)).encode()
        parts: list[ast.expr] = []
        for position, argument in enumerate(node.args):
            if position:
                parts.append(ast.Constant(options["sep"]))
            parts += self.pieces(argument).elts
        return Typed(self.run(_write, *parts, ast.Constant(options["end"])), NoneType)

    def pieces(self, node: ast.expr) -> ast.Tuple:
        """An item of print as expressions of bytes."""
        values = node.values if isinstance(node, ast.JoinedStr) else [node]
        found: list[ast.expr] = []
        for part in values:
            if isinstance(node, ast.JoinedStr) and isinstance(part, ast.Constant):
                found.append(ast.Constant(str(part.value).encode()))
                continue
            specification, item = "", part
            if isinstance(part, ast.FormattedValue):
                item = part.value
                for piece in part.format_spec.values if isinstance(part.format_spec, ast.JoinedStr) else []:
                    specification += str(self.static(piece.value if isinstance(piece, ast.FormattedValue) else piece))
            found.append(self.run(_formatted, self.value(item).node, ast.Constant(specification)))
        return ast.Tuple(found, ast.Load())

    # ---- statements

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for statement in body:
            handler = getattr(self, "do_" + type(statement).__name__, None)
            if handler is None:
                self.error(statement, f"`{type(statement).__name__}` is not supported")
            for made in handler(statement):
                result.append(ast.copy_location(made, statement))
        return result or [ast.Pass()]

    def do_Pass(self, node: ast.stmt) -> list[ast.stmt]:
        return [node]

    do_Break = do_Continue = do_Pass

    def do_Global(self, node: ast.Global) -> list[ast.stmt]:
        return []

    def do_Expr(self, node: ast.Expr) -> list[ast.stmt]:
        if isinstance(node.value, ast.Constant):
            return []
        return [ast.Expr(self.value(node.value).node)]

    def do_Return(self, node: ast.Return) -> list[ast.stmt]:
        result = self.instance.result
        if node.value is None or result is NoneType:
            return [ast.Return(None)]
        if isinstance(node.value, ast.Tuple):
            items = typing.get_args(result)
            parts = [self.converted(self.value(e), k) for e, k in zip(node.value.elts, items, strict=True)]
            return [ast.Return(ast.Tuple(parts, ast.Load()))]
        return [ast.Return(self.converted(self.value(node.value), result))]

    def do_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        first = node.targets[0]
        if isinstance(first, ast.Tuple) and isinstance(node.value, ast.Tuple) and len(node.targets) == 1:
            values = [self.value(v) for v in node.value.elts]
            names = [self.temporary() for _ in values]
            # A bits value is copied here, since a target may be the variable it was read from.
            copies = [self.converted(v, v.kind) if is_bits(v.kind) else v.node for v in values]
            targets: list[ast.expr] = [ast.Tuple([ast.Name(n, ast.Store()) for n in names], ast.Store())]
            result: list[ast.stmt] = [ast.Assign(targets, ast.Tuple(copies, ast.Load()))]
            for target, name, value in zip(first.elts, names, values, strict=True):
                result += self.assign(target, Typed(self.load(name), value.kind))
            return result
        value = self.value(node.value)
        if len(node.targets) == 1 and not isinstance(first, ast.Tuple):
            return self.assign(first, value)
        name = self.temporary()
        result = [ast.Assign([ast.Name(name, ast.Store())], value.node)]
        for target in node.targets:
            result += self.assign(target, Typed(self.load(name), value.kind))
        return result

    def assign(self, target: ast.expr, value: Typed) -> list[ast.stmt]:
        """`target = value`."""
        if isinstance(target, ast.Tuple):
            result: list[ast.stmt] = []
            base = value.node
            if not isinstance(base, ast.Name):
                name = self.temporary()
                result.append(ast.Assign([ast.Name(name, ast.Store())], base))
                base = self.load(name)
            for position, (item, kind) in enumerate(zip(target.elts, typing.get_args(value.kind), strict=True)):
                part = ast.Subscript(base, ast.Constant(position), ast.Load())
                result += self.assign(item, Typed(part, kind))
            return result
        if isinstance(target, ast.Name):
            if target.id not in self.locals:
                kind = self.variable(self.globals, target.id)
            else:
                if target.id not in self.kinds:
                    if value.kind in (Literal, NoneType):
                        self.error(target, f"`{target.id}` has no type: its first value is a constant, or nothing")
                    self.kinds[target.id] = value.kind
                kind = self.kinds[target.id]
            return [ast.Assign([ast.Name(target.id, ast.Store())], self.converted(value, kind))]
        place, kind = self.target(target)
        return [ast.Assign([place], value.node if kind is None else self.converted(value, kind))]

    def target(self, node: ast.expr) -> tuple[Any, Kind | None]:
        """A target that is no plain name; with a type if the store does not convert by itself."""
        if isinstance(node, ast.Attribute):
            owner = self.static(node.value)
            if isinstance(owner, types.ModuleType):
                return ast.Attribute(self.constant(owner), node.attr, ast.Store()), self.variable(
                    vars(owner), node.attr
                )
            base = self.place(node.value)
            self.member(base.kind, node)
            return ast.Attribute(base.node, node.attr, ast.Store()), None
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            base = self.value(node.value)
            self.element(base.kind, node)
            return ast.Subscript(base.node, self.index(node.slice), ast.Store()), None
        self.error(node, "this cannot be assigned to")

    def do_AnnAssign(self, node: ast.AnnAssign) -> list[ast.stmt]:
        if not isinstance(node.target, ast.Name):
            self.error(node, "only a plain name can be annotated here")
        kind = resolve_annotation(ast.unparse(node.annotation), self.globals, self.names)
        self.kinds[node.target.id] = _substituted(kind, self.instance.bindings)
        return [] if node.value is None else self.assign(node.target, self.value(node.value))

    def do_AugAssign(self, node: ast.AugAssign) -> list[ast.stmt]:
        target = node.target
        if not isinstance(target, ast.Name):
            place, kind = self.target(target)
            if kind is None:
                return [ast.AugAssign(place, node.op, self.value(node.value).node)]
        old, value = self.value(_loaded(target)), self.value(node.value)
        result = ast.BinOp(old.node, node.op, value.node)
        return self.assign(target, Typed(result, self.operation(node.op, old.kind, value.kind, node)))

    def do_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        failed = ast.Expr(self.run(_fail))
        return [ast.If(ast.UnaryOp(ast.Not(), self.value(node.test).node), [ast.copy_location(failed, node)], [])]

    def do_If(self, node: ast.If) -> list[ast.stmt]:
        known = self.static(node.test)
        if known is not UNKNOWN:
            return self.block(node.body if known else node.orelse)
        test = self.value(node.test).node
        return [ast.If(test, self.block(node.body), self.block(node.orelse) if node.orelse else [])]

    def do_While(self, node: ast.While) -> list[ast.stmt]:
        test = self.value(node.test).node
        return [ast.While(test, self.block(node.body), self.block(node.orelse) if node.orelse else [])]

    def do_For(self, node: ast.For) -> list[ast.stmt]:
        name = self.temporary()
        items, kind = self.iterable(node)
        first = self.assign(node.target, Typed(self.load(name), kind))
        body = [ast.copy_location(s, node) for s in first] + self.block(node.body)
        otherwise = self.block(node.orelse) if node.orelse else []
        return [ast.For(ast.Name(name, ast.Store()), items, body, otherwise)]

    def iterable(self, node: ast.For) -> tuple[ast.expr, Kind]:
        """What a loop runs over, and the type of its items."""
        call = node.iter
        function = self.static(call.func) if isinstance(call, ast.Call) else None
        if function is range and isinstance(call, ast.Call):
            return self.range(node, call)
        numbered = function is enumerate and isinstance(call, ast.Call)
        value = self.value(call.args[0] if numbered and isinstance(call, ast.Call) else call)
        element = u8 if value.kind is bytes else _native(self.element(value.kind, node))
        if numbered:
            return self.run(_numbered, value.node), _tuple_of(u64, element)
        return self.run(_elements, value.node), element

    def range(self, node: ast.For, call: ast.Call) -> tuple[ast.expr, Kind]:
        bounds = [self.value(a) for a in call.args]
        step = self.static(call.args[2]) if len(bounds) == 3 else 1
        if not isinstance(step, int) or step == 0:
            self.error(call, "the step of a range must be a constant other than 0")
        start, stop = bounds[:2] if len(bounds) > 1 else (Typed(ast.Constant(0), Literal), bounds[0])
        kind = self.common(start.kind, stop.kind, call)
        if kind is Literal:
            known = [self.static(a) for a in call.args]
            kind = i64 if min(known) < 0 else u64
            if isinstance(node.target, ast.Name) and _is_integer(self.kinds.get(node.target.id)):
                kind = self.kinds[node.target.id]
        return self.run(_range, self.constant(kind), start.node, stop.node, ast.Constant(int(step))), kind

    def do_Match(self, node: ast.Match) -> list[ast.stmt]:
        subject = self.value(node.subject)
        cases = []
        for case in node.cases:
            pattern = self.pattern(case.pattern)
            first: list[ast.stmt] = []
            if isinstance(pattern, ast.MatchAs) and pattern.name:
                first = self.assign(ast.Name(pattern.name, ast.Store()), Typed(self.load(pattern.name), subject.kind))
            guard = self.value(case.guard).node if case.guard is not None else None
            body = [ast.copy_location(s, case.pattern) for s in first] + self.block(case.body)
            cases.append(ast.match_case(pattern, guard, body))
        return [ast.Match(subject.node, cases)]

    def pattern(self, pattern: ast.pattern) -> ast.pattern:
        """A pattern with its constants computed."""
        if isinstance(pattern, ast.MatchOr):
            return ast.copy_location(ast.MatchOr([self.pattern(p) for p in pattern.patterns]), pattern)
        if isinstance(pattern, ast.MatchValue):
            known = self.static(pattern.value)
            if isinstance(known, bool):
                return ast.copy_location(ast.MatchSingleton(known), pattern)
            if isinstance(known, (int, bytes, str)):
                value = ast.Constant(int(known) if isinstance(known, int) else known)
                return ast.copy_location(ast.MatchValue(ast.copy_location(value, pattern)), pattern)
            self.error(pattern, "a case must be a constant")
        return pattern


def _loaded(target: ast.expr) -> ast.expr:
    """A target as an expression."""
    copy: Any = type(target)(**{name: value for name, value in ast.iter_fields(target)})
    copy.ctx = ast.Load()
    loaded: ast.expr = ast.copy_location(copy, target)
    return loaded
