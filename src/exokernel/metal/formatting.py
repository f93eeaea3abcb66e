# SPDX-License-Identifier: MIT
"""`print` and `format_into`, expanded at build time. A part of `lower.Lowering`.

A format becomes a list of pieces: text known now, and values with their format. Each value is turned into characters by
an ordinary function of `runtime.py`; nothing interprets a format at run time.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exokernel.metal import kinds, runtime
from exokernel.metal.expressions import UNKNOWN
from exokernel.metal.kinds import NONE, Literal, type_name
from exokernel.metal.types import Span, u8
from exokernel.metal.values import Value

if TYPE_CHECKING:
    from exokernel.metal.lower import Lowering

SPECIFICATION = re.compile(
    r"(?:(?P<fill>.)?(?P<align>[<>^]))?(?P<prefix>#)?(?P<zero>0)?(?P<width>[0-9]+)?(?P<kind>[a-zA-Z])?"
)
BASES = {"d": 10, "x": 16, "X": 16, "b": 2, "o": 8}
BUFFER_BYTES = 192
LARGEST_WIDTH = 100


@dataclass(frozen=True)
class Format:
    """A parsed format specification."""

    fill: int
    align: str
    prefix: bool
    width: int
    kind: str
    given: bool


@dataclass(frozen=True)
class Piece:
    """Either text, or an expression with its format."""

    text: bytes = b""
    node: ast.expr | None = None
    format: Format | None = None


class Formatting:
    """Mixed into `Lowering`."""

    print_buffer: str

    def print_call(self: Lowering, node: ast.Call) -> Value:
        options = {"sep": b" ", "end": b"\n"}
        for keyword in node.keywords:
            if keyword.arg not in options:
                self.error(keyword, f"print has no parameter `{keyword.arg}` here", "it takes sep= and end=")
            known = self.static(keyword.value)
            if not isinstance(known, str):
                self.error(keyword.value, f"{keyword.arg}= must be a string constant")
            options[keyword.arg] = known.encode()
        pieces: list[Piece] = []
        for i, argument in enumerate(node.args):
            if i:
                pieces.append(Piece(options["sep"]))
            pieces += self.pieces(argument)
        pieces.append(Piece(options["end"]))
        if self.program.output is None:
            self.error(node, "this program has no output for print", "name a function as the entry module's OUTPUT")
        # As in Python, everything is evaluated before anything is printed.
        for piece, value in [(p, self.printable(p) if p.node is not None else None) for p in merged(pieces)]:
            if value is None:
                self.write_text(self.make(bytes, self.text_constant(piece.text)), node)
                continue
            assert piece.format is not None
            if kinds.is_text(value.type):
                self.write_padded(value, piece.format, node)
                continue
            if not self.print_buffer:  # one for the function: what is in it is written at once
                self.print_buffer = self.alloca(f"[{BUFFER_BYTES} x i8]", 1, "print")
            length = self.characters(value, piece, (self.print_buffer, str(BUFFER_BYTES)))
            self.write_text(self.view_of(bytes, self.print_buffer, length, value), node)
        return self.make(NONE, "")

    def format_call(self: Lowering, node: ast.Call) -> Value:
        """`format_into(buffer, f"...")`: the number of bytes written."""

        target, template = self.arguments(node, 2)
        out = self.convert(self.value(target, Span[u8]), Span[u8], target)
        address, length = self.parts(out)
        slot = self.alloca("i64", 8, "written")
        self.emit(f"store i64 0, ptr {slot}")

        scratch = self.alloca(f"[{BUFFER_BYTES} x i8]", 1, "format")

        def rest(needed: str) -> Value:
            """What is left of the buffer, if `needed` bytes fit."""
            at = self.let(f"load i64, ptr {slot}")
            left = self.let(f"sub i64 {length}, {at}")
            self.check(self.let(f"icmp ule i64 {needed}, {left}"), "format buffer too small")
            self.emit(f"store i64 {self.let(f'add i64 {at}, {needed}')}, ptr {slot}")
            return self.view_of(Span[u8], self.let(f"getelementptr i8, ptr {address}, i64 {at}"), left, out)

        def evaluated(piece: Piece) -> Value:
            if piece.node is None:
                return self.make(bytes, self.text_constant(piece.text))
            return self.printable(piece)

        for piece, value in [(p, evaluated(p)) for p in merged(self.pieces(template))]:
            if kinds.is_text(value.type):
                form = piece.format or Format(32, "<", False, 0, "", False)
                width = self.width_in_bytes(value, form, node)
                size = self.parts(value)[1]
                more = self.let(f"icmp ugt i64 {width}, {size}")
                target_span = rest(self.let(f"select i1 {more}, i64 {width}, i64 {size}"))
                u64, byte = self.program.integers["u64"], self.program.integers["u8"]
                arguments = [
                    target_span,
                    self.make(bytes, value.ir),
                    self.make(u64, width),
                    self.make(byte, str(form.fill)),
                    self.make(byte, str(ord(form.align if form.align in ("<", ">", "^") else "<"))),
                ]
                self.call_runtime(runtime.format_text, arguments, node)
            else:
                count = self.characters(value, piece, (scratch, str(BUFFER_BYTES)))
                target_span = rest(count)
                self.emit(
                    f"call void @llvm.memcpy.p0.p0.i64(ptr {self.parts(target_span)[0]}, ptr {scratch}, "
                    f"i64 {count}, i1 false)"
                )
        return self.make(self.program.integers["u64"], self.let(f"load i64, ptr {slot}"))

    def width_in_bytes(self: Lowering, value: Value, form: Format, node: ast.AST) -> str:
        """The width of padded text. Python counts characters of a str; the bytes beyond one of each are added."""
        if value.type is bytes or form.width == 0:
            return str(form.width)
        text = self.make(bytes, value.ir)
        beyond = self.call_runtime(runtime.continuation_bytes, [text], node)
        return self.let(f"add i64 {form.width}, {beyond.ir}")

    def write_text(self: Lowering, text: Value, node: ast.AST) -> None:
        assert self.program.output is not None
        self.call_runtime(self.program.output, [text], node)

    def write_padded(self: Lowering, value: Value, form: Format, node: ast.AST) -> None:
        """Text, with fill on either side if it is shorter than the width."""

        text = self.make(bytes, value.ir, value)
        if form.width == 0:
            self.write_text(text, node)
            return
        u64, byte = self.program.integers["u64"], self.program.integers["u8"]
        buffer = self.alloca(f"[{LARGEST_WIDTH} x i8]", 1, "pad")
        where = {">": "b", "^": "c"}.get(form.align, "a")
        width = self.width_in_bytes(value, form, node)
        for side in (0, 1):
            if side == 1:
                self.write_text(text, node)
            span = self.view_of(Span[u8], buffer, str(LARGEST_WIDTH), value)
            arguments = [
                span,
                self.make(u64, self.parts(value)[1]),
                self.make(u64, width),
                self.make(byte, str(form.fill)),
                self.make(byte, str(ord(where))),
                self.make(byte, str(side)),
            ]
            count = self.call_runtime(runtime.padding, arguments, node)
            self.write_text(self.view_of(bytes, buffer, count.ir, value), node)

    def printable(self: Lowering, piece: Piece) -> Value:
        assert piece.node is not None and piece.format is not None
        value = self.value(piece.node)
        if (kinds.is_span(value.type) or kinds.is_array(value.type)) and self.as_bytes(value):
            value = self.convert(value, bytes, piece.node)
        kind, form = value.type, piece.format
        if kinds.is_text(kind):
            if form.kind not in ("", "s") or form.prefix:
                self.error(piece.node, f"this format does not print {type_name(kind)}")
            return value
        if not (kinds.is_integer(kind) or kind is bool or kind is Literal):
            hint = (
                "print its integer: `.raw`"
                if kinds.is_bits(kind)
                else "print its address: `u64(p)`"
                if kinds.is_pointer(kind)
                else ""
            )
            self.error(piece.node, f"a {type_name(kind)} cannot be printed", hint)
        if form.kind == "s":
            self.error(piece.node, f"the format `s` does not print {type_name(kind)}")
        if kind is bool and form.given:
            u8 = self.program.integers["u8"]
            return self.make(u8, self.let(f"zext i1 {value.ir} to i8"))
        if kind is bool:
            true, false = self.text_constant(b"True"), self.text_constant(b"False")
            return self.make(bytes, self.let(f"select i1 {value.ir}, {{ ptr, i64 }} {true}, {{ ptr, i64 }} {false}"))
        if kind is Literal:
            wide = "i64" if value.constant < 0 else "u64"
            return self.fits(value.constant, self.program.integers[wide], piece.node)
        return value

    def characters(self: Lowering, value: Value, piece: Piece, buffer: tuple[str, str]) -> str:
        """Write an integer's characters into the buffer; their number."""

        form = piece.format
        assert form is not None
        kind = value.type
        span = self.view_of(Span[u8], *buffer, self.make(NONE, ""))
        u64, byte = self.program.integers["u64"], self.program.integers["u8"]
        negative, magnitude = "false", value.ir
        wide = self.resize(magnitude, kind, self.program.integers["i64" if kind.signed else "u64"])
        if kind.signed:
            negative = self.let(f"icmp slt i64 {wide}, 0")
            wide = self.let(f"select i1 {negative}, i64 {self.let(f'sub i64 0, {wide}')}, i64 {wide}")
        align = ord(form.align or ">")
        if form.kind == "c":
            arguments = [
                span,
                self.make(u64, wide),
                self.make(u64, str(form.width)),
                self.make(byte, str(form.fill)),
                self.make(byte, str(align if form.align else ord("<"))),
            ]
            return self.call_runtime(runtime.format_character, arguments, piece.node or self.statement).ir
        prefix = ord({"x": "x", "X": "X", "b": "b", "o": "o"}.get(form.kind, "\0")) if form.prefix else 0
        letters = ord("A") if form.kind == "X" else ord("a")
        arguments = [
            span, self.make(u64, wide), self.make(bool, negative), self.make(u64, str(BASES[form.kind or "d"])),
            self.make(byte, str(letters)), self.make(byte, str(prefix)), self.make(byte, str(form.fill)),
            self.make(byte, str(align)), self.make(u64, str(form.width)),
        ]  # fmt: skip
        return self.call_runtime(runtime.format_integer, arguments, piece.node or self.statement).ir

    def pieces(self: Lowering, node: ast.expr) -> list[Piece]:
        """The pieces of one argument of print."""
        if isinstance(node, ast.JoinedStr):
            result = []
            for part in node.values:
                if isinstance(part, ast.Constant):
                    result.append(Piece(str(part.value).encode()))
                elif isinstance(part, ast.FormattedValue):
                    if part.conversion not in (-1,):
                        self.error(part, f"the conversion `!{chr(part.conversion)}` is not supported")
                    result.append(self.formatted(part.value, self.specification(part)))
            return result
        return [self.formatted(node, self.parse_format("", node))]

    def formatted(self: Lowering, node: ast.expr, form: Format) -> Piece:
        known = self.static(node)
        if isinstance(known, (str, bytes)) and not form.given:
            return Piece(known.encode() if isinstance(known, str) else known)
        if known is not UNKNOWN and isinstance(known, (bool, int)) and not form.given:
            return Piece(str(known if isinstance(known, bool) else int(known)).encode())
        return Piece(b"", node, form)

    def specification(self: Lowering, part: ast.FormattedValue) -> Format:
        text = ""
        if part.format_spec is not None:
            assert isinstance(part.format_spec, ast.JoinedStr)
            for piece in part.format_spec.values:
                known = self.static(piece.value if isinstance(piece, ast.FormattedValue) else piece)
                if not isinstance(known, (str, int)):
                    self.error(part, "a format must be constant", "the width of a format is known at build time")
                text += str(known)
        return self.parse_format(text, part)

    def parse_format(self: Lowering, text: str, node: ast.AST) -> Format:
        match = SPECIFICATION.fullmatch(text)
        if match is None or (match["kind"] or "d") not in "xXbdocs":
            self.error(node, f"the format `{text}` is not supported", "[[fill]align][#][0][width][x|X|b|o|d|c]")
        width = int(match["width"] or 0)
        if width > LARGEST_WIDTH:
            self.error(node, f"the width {width} is too large", f"{LARGEST_WIDTH} at most")
        fill = match["fill"] or ("0" if match["zero"] else " ")
        if ord(fill) > 127:
            self.error(node, "the fill must be an ASCII character")
        align = match["align"] or ("=" if match["zero"] else "")
        if align == "=" and match["kind"] in ("c", "s"):
            align = ""
        return Format(ord(fill), align, bool(match["prefix"]), width, match["kind"] or "", bool(text))


def merged(pieces: list[Piece]) -> list[Piece]:
    """Neighbouring texts become one."""
    result: list[Piece] = []
    for piece in pieces:
        if piece.node is None and not piece.text:
            continue
        if result and piece.node is None and result[-1].node is None:
            result[-1] = Piece(result[-1].text + piece.text)
        else:
            result.append(piece)
    return result
