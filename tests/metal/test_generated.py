# SPDX-License-Identifier: MIT
"""Random typed expressions and programs: compiled code and CPython must agree in value, trap and output.

Hypothesis writes whole modules of the dialect; each is imported, compiled natively, and every function is called with
the values at which arithmetic goes wrong, natively and in simulation. The default run is short and always the same;
`GENERATED_EXAMPLES=2000 pytest tests/metal/test_generated.py` looks further, at new programs each time.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import random
import sys
import tempfile
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from casebook import Case, edge_values, parameter_types
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from test_cases import run_native, run_simulated

from exokernel.metal import native
from exokernel.metal.errors import CompileError

LONG_RUN = int(os.environ.get("GENERATED_EXAMPLES", "0"))
CALLS_PER_FUNCTION = 12
WIDTHS = (8, 16, 32, 64)
KINDS = [f"{sign}{width}" for sign in "ui" for width in WIDTHS]
HEADER = """\
from exokernel.metal import (
    Array, byte_swap, count_leading_zeros, count_ones, count_trailing_zeros, i8, i16, i16be, i32, i32be, i64, i64be,
    add_end_around, multiply_high, rotate_left, struct, u8, u16, u16be, u32, u32be, u64, u64be,
)
"""
CONSTANT_MISTAKES = (
    "this constant expression traps",
    "this divides by zero",
    "this constant divides by zero",
    "index ",
    "a negative shift",
)
"""Rightly refused: what is wrong for sure. Such a module is not an example."""

small_integers = {n: st.integers(0, n - 1) for n in range(1, 64)}


def limits(kind: str) -> tuple[int, int]:
    width = int(kind[1:])
    return (0, (1 << width) - 1) if kind[0] == "u" else (-(1 << width - 1), (1 << width - 1) - 1)


def holds(wide: str, narrow: str) -> bool:
    (low, high), (least, most) = limits(wide), limits(narrow)
    return low <= least and most <= high


NARROWER = {kind: [other for other in KINDS if other != kind and holds(kind, other)] for kind in KINDS}


@dataclass
class Scope:
    """What an expression may use, by type; `budget` bounds its size."""

    variables: dict[str, str]
    arrays: dict[str, tuple[str, int]] = field(default_factory=dict)
    helpers: dict[str, tuple[list[str], str]] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    read_only: set[str] = field(default_factory=set)
    references: dict[str, list[str]] = field(default_factory=dict)  # what may be passed where a reference is wanted

    def within(self, more: dict[str, str], read_only: set[str] | None = None) -> Scope:
        """This scope with more variables."""
        return replace(self, variables={**self.variables, **more}, read_only=self.read_only | (read_only or set()))


class Writer:
    """Writes source text, every decision drawn from Hypothesis."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.names = itertools.count()

    def number(self, n: int) -> int:
        return int(self.draw(small_integers[n]))

    def pick(self, choices: Any) -> Any:
        choices = list(choices)
        return choices[self.number(len(choices))]

    def kind(self) -> str:
        return str(self.pick(KINDS))

    def literal(self, kind: str) -> str:
        low, high = limits(kind)
        edges = [0, 1, 2, 3, 7, 10, 100, high, high - 1, high // 2, high // 2 + 1, low, low + 1, -1, -2, -100]
        value = self.pick([v for v in edges if low <= v <= high])
        return f"({value})" if value < 0 else str(value)

    # ---- expressions

    def leaf(self, kind: str, scope: Scope) -> str:
        places = [name for name, have in {**scope.variables, **scope.fields}.items() if have == kind]
        if self.number(6) == 0:
            return f"{kind}({self.literal(kind)})"
        return str(self.pick(places)) if places else f"{kind}({self.pick(scope.variables)})"

    def expression(self, kind: str, scope: Scope, depth: int) -> str:
        """Source text whose type is exactly `kind`."""
        if depth <= 0:
            return self.leaf(kind, scope)
        signed = kind[0] == "i"
        shape = self.pick(
            ["leaf", "plain", "plain", "plain", "literal", "mixed", "divide", "shift", "unary", "convert", "choice"]
            + ["minimum", "bits", "truth"] + ["element"] * 2 * bool(scope.arrays) + ["call"] * 2 * bool(scope.helpers)
        )  # fmt: skip
        down = depth - 1
        if shape == "plain":
            return f"({self.expression(kind, scope, down)} {self.pick('+-*&|^')} {self.expression(kind, scope, down)})"
        if shape == "literal":
            parts = [self.expression(kind, scope, down), self.literal(kind)]
            if self.pick((True, False)):
                parts.reverse()
            operator = self.pick(["+", "-", "*", "&", "|", "^", "//", "%"])
            if operator in ("//", "%") and parts[1] == "0":
                parts[1] = "3"
            return f"({parts[0]} {operator} {parts[1]})"
        if shape == "mixed" and NARROWER[kind]:
            parts = [self.expression(kind, scope, down), self.expression(self.pick(NARROWER[kind]), scope, down)]
            if self.pick((True, False)):
                parts.reverse()
            return f"({parts[0]} {self.pick(['+', '-', '*', '&', '|', '^', '//', '%'])} {parts[1]})"
        if shape == "divide":
            divisor = self.expression(kind, scope, down)
            if self.pick((True, True, False)):
                divisor = f"({divisor} | 1)"
            return f"({self.expression(kind, scope, down)} {self.pick(['//', '%'])} {divisor})"
        if shape == "shift":
            amount = self.pick(
                [str(self.number(40)), "63", "64", "100", self.expression(self.pick(("u8", "u64", "i32")), scope, 0)]
            )
            if self.pick((True, False)) and not amount.isdigit():
                amount = f"({amount} & 63)"
            return f"({self.expression(kind, scope, down)} {self.pick(['<<', '>>'])} {amount})"
        if shape == "unary":
            return f"({self.pick('-~+' if signed else '~+')}{self.expression(kind, scope, down)})"
        if shape == "convert":
            return f"{kind}({self.expression(self.kind(), scope, down)})"
        if shape == "choice":
            other = self.pick([kind, *NARROWER[kind]])
            parts = [self.expression(kind, scope, down), self.expression(other, scope, down)]
            if self.pick((True, False)):
                parts.reverse()
            return f"({parts[0]} if {self.condition(scope, down)} else {parts[1]})"
        if shape == "minimum":
            if signed and self.pick((True, False)):
                return f"abs({self.expression(kind, scope, down)})"
            other = self.pick([kind, *NARROWER[kind]])
            return f"{self.pick(('min', 'max'))}({self.expression(kind, scope, down)}, {self.expression(other, scope, down)})"
        if shape == "bits" and not signed:
            inner = self.expression(kind, scope, down)
            return str(self.pick(
                [f"count_ones({inner})", f"count_leading_zeros({inner})", f"count_trailing_zeros({inner})",
                 f"rotate_left({inner}, {self.expression('u8', scope, 0)})", f"rotate_left({inner}, {self.number(40)})"]
                + [f"byte_swap({inner})"] * (kind != "u8")
                + [f"{what}({inner}, {self.expression(kind, scope, down)})" for what in ("multiply_high", "add_end_around")]
                * (kind == "u64")
            ))  # fmt: skip
        if shape == "truth":
            return f"{kind}({self.condition(scope, down)})"
        if shape == "element":
            fitting = [name for name, (element, _) in scope.arrays.items() if element == kind]
            if fitting:
                name = self.pick(fitting)
                return f"{name}[{self.index(name, scope, down)}]"
        if shape == "call":
            fitting = [name for name, (_, result) in scope.helpers.items() if result == kind]
            if fitting:
                name = self.pick(fitting)
                arguments = [
                    self.pick(scope.references[want])
                    if want in scope.references
                    else self.expression(self.pick([want, *NARROWER[want]]), scope, down)
                    for want in scope.helpers[name][0]
                ]
                return f"{name}({', '.join(arguments)})"
        return self.leaf(kind, scope)

    def index(self, name: str, scope: Scope, depth: int) -> str:
        length = scope.arrays[name][1]
        if self.pick((True, False, False)):
            return str(self.number(length))
        inner = self.expression(self.pick(("u8", "u32", "u64")), scope, depth)
        return inner if self.number(8) == 0 else f"{inner} % {length}"

    def condition(self, scope: Scope, depth: int) -> str:
        """Source text of type bool."""
        shape = self.pick(["compare", "compare", "literal", "chain", "logic", "not", "mixed", "integer"])
        kind = self.kind()
        comparison = ["<", "<=", ">", ">=", "==", "!="]
        down = depth - 1
        if depth <= 0:
            return f"({self.leaf(kind, scope)} {self.pick(comparison)} {self.leaf(kind, scope)})"
        if shape == "literal":
            parts = [self.expression(kind, scope, down), self.literal(kind)]
            if self.pick((True, False)):
                parts.reverse()
            return f"({parts[0]} {self.pick(comparison)} {parts[1]})"
        if shape == "chain":
            parts = [self.expression(kind, scope, down) for _ in range(3)]
            return f"({parts[0]} {self.pick(comparison)} {parts[1]} {self.pick(comparison)} {parts[2]})"
        if shape == "logic":
            return f"({self.condition(scope, down)} {self.pick(('and', 'or'))} {self.condition(scope, down)})"
        if shape == "not":
            return f"(not {self.condition(scope, down)})"
        if shape == "mixed" and NARROWER[kind]:
            other = self.pick(NARROWER[kind])
            return (
                f"({self.expression(kind, scope, down)} {self.pick(comparison)} {self.expression(other, scope, down)})"
            )
        if shape == "integer":
            return f"({self.expression(kind, scope, down)} {self.pick(('and', 'or'))} {self.condition(scope, down)})"
        return f"({self.expression(kind, scope, down)} {self.pick(comparison)} {self.expression(kind, scope, down)})"

    # ---- statements

    def block(self, scope: Scope, indent: str, size: int, in_loop: bool) -> list[str]:
        lines: list[str] = []
        for _ in range(1 + self.number(size)):
            lines += self.statement(scope, indent, size - 1, in_loop)
        return lines

    def statement(self, scope: Scope, indent: str, size: int, in_loop: bool) -> list[str]:
        shapes = ["assign", "assign", "augment", "augment", "element", "field", "print", "swap"]
        if size > 0:
            shapes += ["if", "if", "for", "while", "each", "match"]
        if in_loop:
            shapes += ["leave"]
        shape = self.pick(shapes)
        inner = indent + "    "
        writable = {name: kind for name, kind in scope.variables.items() if name not in scope.read_only}
        targets = {**writable, **scope.fields}
        if shape == "assign":
            name = self.pick(targets)
            return [
                f"{indent}{name} = {self.expression(self.pick([targets[name], *NARROWER[targets[name]]]), scope, 2)}"
            ]
        if shape == "augment":
            name = self.pick(targets)
            kind = targets[name]
            operator = self.pick(["+", "-", "*", "&", "|", "^", "//", "%", "<<", ">>"])
            if operator in ("<<", ">>"):
                return [f"{indent}{name} {operator}= {self.number(20)}"]
            value = self.expression(self.pick([kind, *NARROWER[kind]]), scope, 1)
            return [f"{indent}{name} {operator}= {f'({value} | 1)' if operator in ('//', '%') else value}"]
        if shape == "element" and scope.arrays:
            name = self.pick(scope.arrays)
            kind = scope.arrays[name][0]
            operator = self.pick(["=", "=", "+=", "-=", "^="])
            return [f"{indent}{name}[{self.index(name, scope, 1)}] {operator} {self.expression(kind, scope, 2)}"]
        if shape == "print":
            kind = self.kind()
            form = self.pick(["", ":x", ":#x", ":08b", ":>12", ":<7", ":^9", ":05", ":o", ":*^20X"])
            return [
                f'{indent}print({self.expression(kind, scope, 1)}, f"<{{{self.expression(kind, scope, 1)}{form}}}>")'
            ]
        if shape == "swap":
            kinds = [kind for kind in KINDS if sum(have == kind for have in targets.values()) >= 2]
            if kinds:
                kind = self.pick(kinds)
                a, b = (self.pick([n for n, have in targets.items() if have == kind]) for _ in range(2))
                return [f"{indent}{a}, {b} = {self.expression(kind, scope, 1)}, {a}"]
        if shape == "if":
            lines = [f"{indent}if {self.condition(scope, 2)}:", *self.block(scope, inner, size, in_loop)]
            if self.pick((True, False)):
                lines += [f"{indent}elif {self.condition(scope, 1)}:", *self.block(scope, inner, size, in_loop)]
            if self.pick((True, False)):
                lines += [f"{indent}else:", *self.block(scope, inner, size, in_loop)]
            return lines
        if shape == "for":
            name, kind = f"j{next(self.names)}", self.pick(("u8", "u32", "u64", "i16"))
            bound = self.expression(kind, scope, 1)
            how = self.pick(
                [f"{bound} & 7", f"2, {bound} & 15, 3", f"{bound} & 7, 0, -1", f"{bound} & 15, 1, -4"]
                + [f"{bound} | {limits(kind)[1] - 5}, {limits(kind)[1]}"]
                + [f"-5, {bound} & 7"] * (kind[0] == "i")
            )
            body = scope.within({name: kind})
            lines = [f"{indent}for {name} in range({how}):", *self.block(body, inner, size, True)]
            if self.pick((True, False, False)):
                lines += [f"{indent}else:", *self.block(scope, inner, size, in_loop)]
            return lines
        if shape == "each" and scope.arrays:
            name, array, position = f"e{next(self.names)}", self.pick(scope.arrays), f"k{next(self.names)}"
            new = {name: scope.arrays[array][0], position: "u64"}
            body = scope.within(new)
            part = self.pick(("", "[1:]", "[:2]"))
            return [
                f"{indent}for {position}, {name} in enumerate({array}{part}):",
                *self.block(body, inner, size, True),
            ]
        if shape == "while":
            name = f"w{next(self.names)}"
            body = scope.within({name: "u8"}, {name})
            lines = [
                f"{indent}{name}: u8 = 0",
                f"{indent}while {name} < {1 + self.number(6)} and {self.condition(scope, 1)}:",
                f"{inner}{name} += 1",
                *self.block(body, inner, size, True),
            ]
            if self.pick((True, False)):
                lines += [f"{indent}else:", *self.block(scope, inner, size, in_loop)]
            return lines
        if shape == "match":
            kind = self.kind()
            lines = [f"{indent}match {self.expression(kind, scope, 2)}:"]
            for value in dict.fromkeys(self.literal(kind).strip("()") for _ in range(2)):
                guard = f" if {self.condition(scope, 1)}" if self.pick((True, False)) else ""
                lines += [f"{inner}case {value}{guard}:", *self.block(scope, inner + "    ", size, in_loop)]
            return [*lines, f"{inner}case _:", *self.block(scope, inner + "    ", size, in_loop)]
        if shape == "leave":
            return [f"{indent}if {self.condition(scope, 1)}:", f"{inner}{self.pick(('break', 'continue'))}"]
        name = self.pick(targets)
        return [f"{indent}{name} = {self.expression(targets[name], scope, 2)}"]


@st.composite
def expression_modules(draw: Any) -> str:
    """A module of functions `f0`, `f1`, ... each of which returns one expression."""
    writer = Writer(draw)
    text = HEADER
    for n in range(6):
        parameters = {name: writer.kind() for name in "abc"}
        result = writer.kind()
        scope = Scope(parameters)
        body = writer.expression(result, scope, 4)
        spelled = ", ".join(f"{name}: {kind}" for name, kind in parameters.items())
        text += f"\n\ndef f{n}({spelled}) -> {result}:\n    return {body}\n"
    return text


@st.composite
def program_modules(draw: Any) -> str:
    """A module with a struct, helper functions and functions `f0`, `f1`, ... made of statements."""
    writer = Writer(draw)
    text = HEADER
    packed = writer.pick(("", "(packed=True)"))
    stored = {f"m{n}": writer.kind() for n in range(3)}
    be = {
        name: kind + "be" if kind[1:] != "8" and writer.pick((True, False)) else kind for name, kind in stored.items()
    }
    text += f"\n\n@struct{packed}\nclass Record:\n" + "".join(f"    {n}: {kind}\n" for n, kind in be.items())
    helpers: dict[str, tuple[list[str], str]] = {}
    for n in range(2):
        kinds, result = [writer.kind(), writer.kind()], writer.kind()
        scope = Scope({"a": kinds[0], "b": kinds[1]}, helpers=dict(helpers))
        lines = writer.statement(scope, "    ", 0, False)
        value = writer.expression(writer.pick([result, *NARROWER[result]]), scope, 2)
        text += f"\n\ndef h{n}(a: {kinds[0]}, b: {kinds[1]}) -> {result}:\n" + "\n".join(
            [*lines, f"    return {value}\n"]
        )
        helpers[f"h{n}"] = (kinds, result)
    for n in range(2):
        parameters = {name: writer.kind() for name in "ab"}
        variables = {f"v{k}": writer.kind() for k in range(3)}
        arrays = {"t": (writer.kind(), 5), "s": (writer.kind(), 3)}
        scope = Scope(parameters, {}, helpers)
        lines = [f"    {name}: {kind} = {writer.expression(kind, scope, 1)}" for name, kind in variables.items()]
        lines += [f"    {name} = Array[{kind}, {length}]()" for name, (kind, length) in arrays.items()]
        lines += [
            f"    r = Record({', '.join(f'{m}={writer.expression(kind, scope, 1)}' for m, kind in stored.items())})"
        ]
        scope = Scope({**parameters, **variables}, arrays, helpers, {f"r.{m}": kind for m, kind in stored.items()})
        for _ in range(3):
            lines += writer.statement(scope, "    ", 2, False)
        results = [*parameters, *variables, *(f"r.{m}" for m in stored), "t[0]", "t[4]", "s[1]"]
        kinds = [
            *parameters.values(),
            *variables.values(),
            *stored.values(),
            arrays["t"][0],
            arrays["t"][0],
            arrays["s"][0],
        ]
        spelled = ", ".join(f"{name}: {kind}" for name, kind in parameters.items())
        text += f"\n\ndef f{n}({spelled}) -> tuple[{', '.join(kinds)}]:\n" + "\n".join(lines)
        text += f"\n    return {', '.join(results)}\n"
    return text


def load(text: str, folder: Path) -> ModuleType:
    """Import generated source. Its name is its content's, so a repeated example is the same module."""
    name = f"generated_{zlib.crc32(text.encode()):08x}"
    path = folder / f"{name}.py"
    path.write_text(text)
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def argument_sets(function: FunctionType, text: str) -> list[tuple[int, ...]]:
    """Edge values in random combinations, the same for the same text."""
    chosen = random.Random(zlib.crc32(text.encode()))
    values = [edge_values(kind) for kind in parameter_types(function)]
    return [tuple(chosen.choice(choices) for choices in values) for _ in range(CALLS_PER_FUNCTION)]


def check(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        module = load(text, Path(folder))
        try:
            functions = [value for name, value in vars(module).items() if name[0] == "f" and name[1:].isdigit()]
            try:
                compiled = native.compile_functions(functions)
            except CompileError as error:
                assume(not error.diagnostic.message.startswith(CONSTANT_MISTAKES))
                raise
            for function in functions:
                for arguments in argument_sets(function, text):
                    case = Case(function, arguments)
                    ours, theirs = run_native(compiled, case), run_simulated(case)
                    assert ours == theirs, (
                        f"{function.__name__}{arguments}: compiled {ours}, CPython {theirs}, in\n{text}"
                    )
        finally:
            del sys.modules[module.__name__]


def thorough(examples: int) -> settings:
    return settings(
        max_examples=LONG_RUN or examples, deadline=None, derandomize=not LONG_RUN, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate] + [Phase.shrink] * bool(LONG_RUN),
    )  # fmt: skip


@thorough(80)
@given(expression_modules())
def test_expressions(text: str) -> None:
    check(text)


@st.composite
def reference_modules(draw: Any) -> str:
    """The same with objects that have several names: structs in structs and arrays, bits, spans of arrays, and helpers
    that change what is passed to them, in the middle of an expression too.
    """
    writer = Writer(draw)
    element = writer.kind()
    bit_kinds = {name: writer.pick(("u8", "u16", "u32", "i8", "i16")) for name in ("x", "y")}
    split = 1 + writer.number(7)
    parts = {"x": (0, split - 1), "y": (split, split + writer.number(8))}
    stored = {f"m{n}": writer.kind() for n in range(2)}
    be = {n: kind + "be" if kind[1:] != "8" and writer.pick((True, False)) else kind for n, kind in stored.items()}
    text = HEADER.replace("Array, ", "Array, Span, bits, field, ")
    text += "\n\n@bits(u16)\nclass Flags:\n"
    text += "".join(f"    {n}: {kind} = field({parts[n][0]}, {parts[n][1]})\n" for n, kind in bit_kinds.items())
    text += f"\n\n@struct{writer.pick(('', '(packed=True)'))}\nclass Inner:\n" + "".join(
        f"    {n}: {kind}\n" for n, kind in be.items()
    )
    text += f"\n\n@struct\nclass Record:\n    inner: Inner\n    flags: Flags\n    table: Array[{element}, 4]\n"

    def places(name: str) -> dict[str, str]:
        inner = {f"{name}.inner.{m}": kind for m, kind in stored.items()}
        return inner | {f"{name}.flags.{m}": kind for m, kind in bit_kinds.items()}

    helpers: dict[str, tuple[list[str], str]] = {}
    span = f"Span[{element}]"
    for n in range(2):
        kind, result = writer.kind(), writer.kind()
        scope = Scope(
            {"a": kind}, {"s": (element, 3), "r.table": (element, 4)}, dict(helpers), places("r"),
            references={"Record": ["r"], span: ["s", "s[:]", "r.table"], "Inner": ["r.inner"]},
        )  # fmt: skip
        lines = writer.statement(scope, "    ", 0, False) + writer.statement(scope, "    ", 1, False)
        value = writer.expression(result, scope, 2)
        text += f"\n\ndef h{n}(r: Record, s: {span}, a: {kind}) -> {result}:\n" + "\n".join(
            [*lines, f"    return {value}\n"]
        )
        helpers[f"h{n}"] = (["Record", span, kind], result)
    text += "\n\ndef chosen(a: Record, b: Record, first: bool) -> Record:\n    return a if first else b\n"
    for n in range(2):
        parameters = {name: writer.kind() for name in "ab"}
        start = Scope(dict(parameters))
        lines = [
            "    r = Record()",
            f"    t = Array[{element}, 6]([{', '.join(writer.expression(element, start, 1) for _ in range(6))}])",
            "    rs = Array[Record, 3]()",
            "    p = t[2:5]",
            f"    q = {writer.pick(('rs[1]', 'r', 'rs[2]'))}",
            f"    c = chosen(q, r, {writer.condition(start, 1)})",
            f"    g = Flags(x={writer.expression(bit_kinds['x'], start, 1)})",
        ]
        names = ["r", "q", "c", "rs[1]"]
        fields = {place: kind for name in names for place, kind in places(name).items()}
        fields |= {f"g.{m}": kind for m, kind in bit_kinds.items()}
        arrays = {"t": (element, 6), "p": (element, 3), "q.table": (element, 4), "rs[2].table": (element, 4)}
        scope = Scope(
            parameters, arrays, helpers, fields,
            references={"Record": [*names, "rs[0]"], span: ["t", "p", "t[1:]", "p[:]", "c.table", "q.table"]},
        )  # fmt: skip
        for _ in range(4):
            lines += writer.statement(scope, "    ", 2, False)
        copying = ("rs[0].copy_from(c)", "r.table.copy_from(t[1:5])", "t[:5].copy_from(t[1:])", "p.copy_from(t[:3])")
        lines += [f"    {writer.pick(copying)}", *writer.statement(scope, "    ", 1, False)]
        results = {**parameters, **fields, "t[0]": element, "p[0]": element, "t[3]": element, "c.table[1]": element}
        results |= {"g.raw": "u16", "rs[0].flags.raw": "u16", "rs[0].table[2]": element}
        results = {name: results[name] for name in dict.fromkeys(writer.pick(results) for _ in range(14))}
        spelled = ", ".join(f"{name}: {kind}" for name, kind in parameters.items())
        text += f"\n\ndef f{n}({spelled}) -> tuple[{', '.join(results.values())}, bool]:\n"
        text += "\n".join(lines) + f"\n    return {', '.join(results)}, q is c\n"
    return text


@thorough(60)
@given(reference_modules())
def test_objects_with_several_names(text: str) -> None:
    check(text)


@thorough(80)
@given(program_modules())
def test_programs(text: str) -> None:
    check(text)
