# SPDX-License-Identifier: MIT
"""DWARF for gdb and for crash reports, written as LLVM metadata.

It must never influence the code: everything here hangs off instructions that exist anyway.
"""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING

from exokernel.metal import kinds
from exokernel.metal.kinds import NONE, CallableType, Type, type_name
from exokernel.metal.values import Variable

if TYPE_CHECKING:
    from exokernel.metal.lower import Lowering
    from exokernel.metal.program import Function


class DebugInformation:
    """The metadata of one program."""

    def __init__(self) -> None:
        self.nodes: list[str] = []
        self.files: dict[str, int] = {}
        self.types: dict[object, str] = {}
        self.globals: list[int] = []
        self.unit = self.add("")

    def add(self, text: str) -> int:
        self.nodes.append(text)
        return len(self.nodes) - 1

    def file(self, path: str) -> int:
        if path not in self.files:
            directory, name = os.path.split(os.path.abspath(path))
            self.files[path] = self.add(f'!DIFile(filename: "{name}", directory: "{directory}")')
        return self.files[path]

    def function(self, function: Function) -> int:
        """The scope of a function."""
        shown = [function.result, *(t for _, t in function.parameters)]
        types = self.add("!{" + ", ".join(self.type(t) for t in shown) + "}")
        signature = self.add(f"!DISubroutineType(types: !{types})")
        file, line = self.file(function.file), function.node.lineno
        return self.add(
            f'distinct !DISubprogram(name: "{function.name}", scope: !{file}, file: !{file}, line: {line}, '
            f"type: !{signature}, scopeLine: {line}, unit: !{self.unit}, "
            "spFlags: DISPFlagDefinition | DISPFlagOptimized)"
        )

    def location(self, line: int, column: int, scope: int) -> str:
        return f", !dbg !{self.add(f'!DILocation(line: {line}, column: {column}, scope: !{scope})')}"

    def variable(self, lowering: Lowering, variable: Variable, node: ast.AST, argument: int) -> None:
        """Tell the debugger where a local variable lives."""
        line = getattr(node, "lineno", lowering.function.node.lineno)
        number = f"arg: {argument}, " if argument else ""
        kind = self.type(variable.type)
        node_id = self.add(
            f'!DILocalVariable(name: "{variable.name}", {number}scope: !{lowering.scope}, '
            f"file: !{self.file(lowering.file)}, line: {line}, type: {kind})"
        )
        at = lowering.location.removeprefix(", !dbg ")
        lowering.lines.append(f"    #dbg_declare(ptr {variable.slot}, !{node_id}, !DIExpression(), {at})")

    def global_variable(self, name: str, symbol: str, kind: Type, file: str) -> str:
        shown = self.struct_type(kind) if kinds.is_reference(kind) else self.type(kind)
        node = self.add(
            f'distinct !DIGlobalVariable(name: "{name}", linkageName: "{symbol}", scope: !{self.unit}, '
            f"file: !{self.file(file)}, line: 1, type: {shown}, isLocal: false, isDefinition: true)"
        )
        expression = self.add(f"!DIGlobalVariableExpression(var: !{node}, expr: !DIExpression())")
        self.globals.append(expression)
        return f", !dbg !{expression}"

    def type(self, kind: Type) -> str:
        """A value of this type; objects are shown through their reference."""
        kind = kinds.normal(kind)
        if kind is NONE:
            return "null"
        if kinds.is_reference(kind):
            key = ("reference", kind)
            if key not in self.types:
                node = self.add("")
                self.types[key] = f"!{node}"
                target = self.struct_type(kind)
                self.nodes[node] = f"!DIDerivedType(tag: DW_TAG_pointer_type, baseType: {target}, size: 64)"
            return self.types[key]
        if kind in self.types:
            return self.types[kind]
        name = type_name(kind)
        if kinds.is_pointer(kind) or isinstance(kind, CallableType):
            node = self.add("")
            self.types[kind] = f"!{node}"
            target = "null"
            if kinds.is_pointer(kind):
                inner = kinds.normal(kind.target)
                target = self.struct_type(inner) if kinds.is_reference(inner) else self.type(inner)
            self.nodes[node] = f'!DIDerivedType(tag: DW_TAG_pointer_type, name: "{name}", baseType: {target}, size: 64)'
            return self.types[kind]
        if kinds.is_view(kind):
            element = kinds.element_of(kind)
            pointer = self.add(
                "!DIDerivedType(tag: DW_TAG_pointer_type, baseType: "
                f"{self.struct_type(element) if kinds.is_reference(element) else self.type(element)}, size: 64)"
            )
            u64 = self.add('!DIBasicType(name: "u64", size: 64, encoding: DW_ATE_unsigned)')
            members = [("address", f"!{pointer}", 8, 0), ("length", f"!{u64}", 8, 8)]
            self.types[kind] = self.composite(name, 16, members)
        elif isinstance(kind, kinds.TupleType):
            self.types[kind] = (
                f'!{self.add(f"""!DICompositeType(tag: DW_TAG_structure_type, name: "{name}", size: 0)""")}'
            )
        else:
            number = kind.storage if kinds.is_bits(kind) else kind
            encoding = "boolean" if kind is bool else "signed" if getattr(number, "signed", False) else "unsigned"
            size = 8 if kind is bool else kinds.size_of(number) * 8
            self.types[kind] = (
                f'!{self.add(f"""!DIBasicType(name: "{name}", size: {size}, encoding: DW_ATE_{encoding})""")}'
            )
        return self.types[kind]

    def struct_type(self, kind: Type) -> str:
        """The object itself, in memory."""
        kind = kinds.normal(kind)
        if not kinds.is_reference(kind):
            return self.type(kind)
        if kind in self.types:
            return self.types[kind]
        if kinds.is_array(kind):
            count = self.add(f"!DISubrange(count: {kind.length})")
            elements = self.add(f"!{{!{count}}}")
            base = self.struct_type(kind.element)
            size = kinds.size_of(kind) * 8
            shape = f"baseType: {base}, size: {size}, elements: !{elements}"
            self.types[kind] = f"!{self.add(f'!DICompositeType(tag: DW_TAG_array_type, {shape})')}"
            return self.types[kind]
        node = self.add("")
        self.types[kind] = f"!{node}"
        members = [
            (f.name, self.struct_type(f.type), kinds.size_of(kinds.normal(f.type)), f.offset)
            for f in kind.fields.values()
        ]
        self.composite(type_name(kind), kinds.size_of(kind), members, node)
        return self.types[kind]

    def composite(self, name: str, size: int, members: list[tuple[str, str, int, int]], node: int | None = None) -> str:
        node = self.add("") if node is None else node
        parts = [
            self.add(
                f'!DIDerivedType(tag: DW_TAG_member, name: "{member}", scope: !{node}, baseType: {kind}, '
                f"size: {bytes_ * 8}, offset: {offset * 8})"
            )
            for member, kind, bytes_, offset in members
        ]
        elements = self.add("!{" + ", ".join(f"!{p}" for p in parts) + "}")
        self.nodes[node] = (
            f'distinct !DICompositeType(tag: DW_TAG_structure_type, name: "{name}", size: {size * 8}, '
            f"elements: !{elements})"
        )
        return f"!{node}"

    def finish(self, main_file: str) -> list[str]:
        """All metadata as lines of IR."""
        variables = self.add("!{" + ", ".join(f"!{g}" for g in self.globals) + "}")
        self.nodes[self.unit] = (
            f'distinct !DICompileUnit(language: DW_LANG_C99, file: !{self.file(main_file)}, producer: "metal", '
            "isOptimized: true, runtimeVersion: 0, emissionKind: FullDebug, splitDebugInlining: true, "
            f"nameTableKind: None, globals: !{variables})"
        )
        version = self.add('!{i32 7, !"Dwarf Version", i32 4}')
        info = self.add('!{i32 2, !"Debug Info Version", i32 3}')
        lines = [f"!llvm.dbg.cu = !{{!{self.unit}}}", f"!llvm.module.flags = !{{!{version}, !{info}}}"]
        return lines + [f"!{i} = {text}" for i, text in enumerate(self.nodes)]
