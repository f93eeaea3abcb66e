# SPDX-License-Identifier: MIT
"""A whole program: from its entry functions to one module of LLVM IR.

Owns what functions share: the list of functions still to be compiled, module variables with the values CPython gave
them, texts, traps, debug information. Only what is reachable from the entry comes in. Must never compile a function
twice for the same types.
"""

from __future__ import annotations

import ast
import linecache
import sys
import types
import typing
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exokernel.metal import kinds, language, memory, runtime
from exokernel.metal.debug_info import DebugInformation
from exokernel.metal.errors import CompileError, Diagnostic
from exokernel.metal.kinds import Type, llvm, memory_llvm, type_name
from exokernel.metal.lower import Lowering
from exokernel.metal.types import INTEGERS, Array, Integer, Span, common_type, content_of, is_untouched
from exokernel.metal.values import Sites, escape


@dataclass(frozen=True)
class Target:
    """Where the code runs. `native`: in a process of the workstation, where a trap returns to the caller. `handler`: as
    eBPF, all in the section of this name with the entry first; a trap there is an access that ends the handler.
    """

    name: str
    native: bool = False
    handler: str = ""
    code_model: str = "small"
    triple: str = "x86_64-unknown-none-elf"
    features: str = "-mmx,-sse,-sse2,-sse3,-ssse3,-sse4.1,-sse4.2,-avx,-avx2,-x87,+soft-float"


KERNEL = Target("kernel", code_model="kernel")
APPLICATION = Target("application")
NATIVE = Target("native", native=True)
HANDLER = Target("handler", handler="xdp", code_model="handler", triple="bpfel-unknown-none")

SPECIALISATIONS = 200  # of one function, by the types of its arguments


@dataclass(eq=False)
class Function:
    """A Python function to be compiled for certain types."""

    name: str
    symbol: str
    node: ast.FunctionDef
    globals: dict[str, Any]
    file: str
    bindings: dict[str, Type]
    flags: dict[str, Any]
    parameters: list[tuple[str, Type]] = field(default_factory=list)
    result: Type = kinds.NONE
    external: bool = False


@dataclass(eq=False)
class Global:
    """A module variable. `object` is true for structs and arrays, which are referred to, not copied."""

    type: Type
    symbol: str
    value: Any
    final: bool
    object: bool
    file: str
    external: bool = False


@dataclass
class Source:
    """A parsed source file."""

    functions: dict[tuple[int, str], ast.FunctionDef]
    imported: dict[str, str]


class Program:
    """One program being compiled. `output` is what print writes to: a function of one `bytes` parameter."""

    likely = 0

    def __init__(self, target: Target, output: Any = None) -> None:
        self.target = target
        self.output = output
        self.debug = DebugInformation()
        self.likely = self.debug.add('!{!"branch_weights", i32 1048575, i32 1}')
        self.integers = INTEGERS
        self.sources: dict[str, Source] = {}
        self.functions: dict[tuple[Any, ...], Function] = {}
        self.symbols: set[str] = set()
        self.pending: list[Function] = []
        self.bodies: list[str] = []
        self.texts: dict[bytes, str] = {}
        self.traps: list[tuple[str, str, int]] = []
        self.scalars: dict[tuple[int, str], Global | None] = {}
        self.objects: dict[int, Global] = {}
        self.object_names: dict[int, tuple[str, str, bool]] = {}
        self.object_values: list[Any] = []
        self.globals: list[Global] = []
        self.read_only: set[str] = set()
        self.specialised: dict[types.FunctionType, int] = {}

    # ---- sources

    def source(self, file: str) -> Source:
        if file not in self.sources:
            tree = ast.parse("".join(linecache.getlines(file)), file)
            functions: dict[tuple[int, str], ast.FunctionDef] = {}
            imported: dict[str, str] = {}
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef):
                    first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
                    functions[first, node.name] = node
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    imported.update({a.asname or a.name: f"{node.module}:{a.name}" for a in node.names})
            self.sources[file] = Source(functions, imported)
        return self.sources[file]

    def source_line(self, file: str, line: int) -> str:
        return linecache.getline(file, line).rstrip("\n")

    def definition(self, function: types.FunctionType) -> tuple[str, ast.FunctionDef]:
        """File and syntax tree of a function."""
        file = function.__code__.co_filename
        node = self.source(file).functions.get((function.__code__.co_firstlineno, function.__name__))
        if node is None:
            line = function.__code__.co_firstlineno
            what = f"the source of `{function.__name__}` is not a plain function definition"
            raise CompileError(
                Diagnostic(what, file, line, 0, 1, hint="lambdas and decorated wrappers are not compiled")
            )
        return file, node

    # ---- functions

    def parameter_names(self, function: types.FunctionType) -> list[str]:
        return [a.arg for a in self.definition(function)[1].args.args]

    def resolver(self, function: types.FunctionType, bindings: dict[str, Type]) -> Lowering:
        """Something that can evaluate the annotations of `function`."""
        file, node = self.definition(function)
        shape = Function(function.__name__, "", node, function.__globals__, file, bindings, {})
        lowering = Lowering.__new__(Lowering)
        lowering.program, lowering.function, lowering.globals, lowering.file = self, shape, shape.globals, file
        lowering.locals = set()
        return lowering

    def parameter_patterns(self, function: types.FunctionType, caller: Lowering, node: ast.AST) -> list[Any]:
        """The annotated types of the parameters; type variables stay; `self` without annotation is None."""
        resolver = self.resolver(function, {})
        patterns: list[Any] = []
        for i, argument in enumerate(resolver.function.node.args.args):
            if argument.annotation is None:
                if i == 0 and argument.arg == "self":
                    patterns.append(None)
                    continue
                resolver.error(argument, f"the parameter `{argument.arg}` has no type", "annotate it: `name: u64`")
            patterns.append(kinds.normal(resolver.annotation(argument.annotation)))
        return patterns

    def instance(
        self, function: types.FunctionType, caller: Lowering | None = None, at: ast.AST | None = None,
        arguments: list[Type] | None = None,
    ) -> Function:  # fmt: skip
        """The compiled form of `function` for these argument types; it is put on the list if it is new."""
        if (function, ()) in self.functions:
            return self.functions[function, ()]
        probe = caller if caller is not None else self.resolver(function, {})
        where = at if at is not None else self.definition(function)[1]
        patterns = self.parameter_patterns(function, probe, where)
        bindings: dict[str, Type] = {}
        if arguments is not None:
            for pattern, kind in zip(patterns, arguments, strict=True):
                if pattern is None:
                    bindings["self"] = kind
                else:
                    unify(pattern, kind, bindings)
        free = {v for p in patterns for v in type_variables(p)} - bindings.keys()
        if None in patterns and "self" not in bindings:
            probe.error(where, f"the method `{function.__qualname__}` is not a value", "call it on an object")
        if free:
            name = sorted(free)[0]
            probe.error(
                where,
                f"the type `{name}` of `{function.__name__}` is not determined here",
                "give an argument a typed value, for example `u64(1)`",
            )
        key = (function, tuple(sorted(bindings.items(), key=lambda item: item[0])))
        if key in self.functions:
            return self.functions[key]
        self.specialised[function] = self.specialised.get(function, 0) + 1
        if self.specialised[function] > SPECIALISATIONS:
            probe.error(
                where,
                f"`{function.__name__}` is needed for more than {SPECIALISATIONS} combinations of types",
                "a function that calls itself with ever other types never ends",
            )
        resolver = self.resolver(function, bindings)
        node, flags = resolver.function.node, dict(getattr(function, "__metal__", {}))
        self.reject_decorators(resolver, node, function)
        resolver.reject_shape(node)
        parameters = []
        for i, argument in enumerate(node.args.args):
            kind = bindings["self"] if patterns[i] is None else kinds.normal(resolver.annotation(argument.annotation))
            parameters.append((argument.arg, kind))
        if node.returns is None:
            resolver.error(
                node, f"the result of `{function.__name__}` has no type", "write `-> None`, or the type it returns"
            )
        result = kinds.normal(resolver.annotation(node.returns))
        if open_variables := type_variables(result):
            name = sorted(open_variables)[0]
            resolver.error(
                node.returns, f"no argument of `{function.__name__}` determines the type `{name}` of its result"
            )
        if kinds.is_big_endian(result):
            resolver.error(
                node.returns,
                f"the storage type {type_name(result)} cannot be returned",
                f"use {type_name(result.native)}",
            )
        instance = Function(
            function.__qualname__, self.symbol(function, flags, bindings), node, function.__globals__,
            resolver.file, bindings, flags, parameters, result, bool(flags.get("export")),
        )  # fmt: skip
        self.functions[key] = instance
        self.pending.append(instance)
        return instance

    def reject_decorators(self, resolver: Lowering, node: ast.FunctionDef, function: types.FunctionType) -> None:
        for decorator in node.decorator_list:
            known = resolver.static(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if getattr(known, "__module__", "") != language.__name__:
                resolver.error(
                    decorator, f"the decorator `{ast.unparse(decorator)}` is not supported on a compiled function"
                )

    def symbol(self, function: types.FunctionType, flags: dict[str, Any], bindings: dict[str, Type]) -> str:
        """A name for the linker: the exported name, or module and function."""
        if flags.get("export"):
            return self.unique(function.__name__)
        types_ = [type_name(t) for n, t in sorted(bindings.items()) if n != "self"]
        return self.unique(
            f"{function.__module__}.{function.__qualname__}" + (f"[{', '.join(types_)}]" if types_ else "")
        )

    def unique(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self.symbols:
            number += 1
            candidate = f"{name}.{number}"
        self.symbols.add(candidate)
        return candidate

    def lower(self, function: Function) -> None:
        """Compile one function; again when the origin of a reference was learnt after its first use."""
        origins: dict[str, tuple[int, Sites, bool]] = {}
        remade: dict[tuple[int, int], dict[str, str]] = {}
        while True:  # each pass adds to one of the two, and both are finite
            lowering = Lowering(self, function, origins, remade)
            try:
                body = lowering.lower()
            except RecursionError:
                lowering.error(lowering.statement, "this is nested too deeply", "split it into several statements")
            if not lowering.again:
                break
            origins = {name: (v.level, v.sites, v.volatile) for name, v in lowering.variables.items()}
        self.bodies.append(body)

    # ---- constants

    def text(self, data: bytes) -> str:
        """The symbol of a constant byte string."""
        if data not in self.texts:
            self.texts[data] = f"@.text.{len(self.texts)}"
        return self.texts[data]

    def trap_site(self, reason: str, file: str, line: int) -> int:
        self.traps.append((reason, file, line))
        return len(self.traps) - 1

    def span(self, element: Type) -> Type:
        return Span[element]

    # ---- module variables

    def variable(self, namespace: dict[str, Any], name: str) -> Global | None:
        """The module variable `name`, None when it is not one."""
        key = (id(namespace), name)
        if key not in self.scalars:
            self.scalars[key] = self.find_variable(namespace, name)
        return self.scalars[key]

    def find_variable(self, namespace: dict[str, Any], name: str) -> Global | None:
        value = namespace.get(name)
        annotations = namespace.get("__annotations__", {})
        if is_object(value):
            found = self.object_variable(value, namespace, name)
            kind = declared(annotations[name], namespace)[0] if name in annotations else None
            if kind not in (None, found.type):
                file = str(namespace.get("__file__", "?"))
                message = f"`{name}` has the type {type_name(kind)}, and its initial value is a {type_name(found.type)}"
                raise CompileError(Diagnostic(message, file, *place_of(name, file)))
            return found
        if name not in annotations or name not in namespace:
            return None
        kind, final = declared(annotations[name], namespace)
        if final or kind is None:
            return None
        file = str(namespace.get("__file__", "?"))
        if not kinds.is_type(kind) or kind is kinds.NONE:
            message = f"the module variable `{name}` cannot have the type {type_name(kind)}"
            hint = f"without the annotation `{name}` is a constant"
            raise CompileError(Diagnostic(message, file, *place_of(name, file), hint=hint))
        symbol = self.unique(f"{namespace.get('__name__', '?')}.{name}")
        found = Global(kind, symbol, value, False, False, file)
        self.globals.append(found)
        return found

    def object_variable(self, value: Any, namespace: dict[str, Any], name: str) -> Global:
        if id(value) not in self.objects:
            self.declared_objects()
            module, own, final = self.object_names.get(id(value), (str(namespace.get("__name__", "?")), name, False))
            file = str(getattr(sys.modules.get(module), "__file__", None) or namespace.get("__file__", "?"))
            found = Global(type(value), self.unique(f"{module}.{own}"), value, final, True, file)
            self.objects[id(value)] = found
            self.globals.append(found)
            if final:
                self.read_only.add(f'@"{found.symbol}"')
        return self.objects[id(value)]

    def declared_objects(self) -> list[Any]:
        """Every struct and array that a loaded module declares as a variable."""
        if not self.object_names:
            self.object_names, self.object_values = defining_names()
        return self.object_values

    def reject_copied_variable(self, lowering: Lowering, node: ast.Name) -> None:
        """`from counters import count` copies a scalar variable: the author surely means the variable."""
        origin = self.source(lowering.file).imported.get(node.id)
        if origin is None or isinstance(lowering.globals.get(node.id), (type, types.FunctionType, types.ModuleType)):
            return
        module, name = origin.split(":")
        namespace = getattr(sys.modules.get(module), "__dict__", {})
        found = self.variable(namespace, name)
        if found is not None and not found.object:
            short = module.rsplit(".", 1)[-1]
            lowering.error(
                node,
                f"`{node.id}` is a variable of the module `{module}`; importing it by name copies it",
                f"import the module and write `{short}.{name}`",
            )

    def typed_constant(self, namespace: dict[str, Any], name: str) -> Any:
        """A constant with the type of its annotation, `X: Final[u32] = 5`."""
        value = namespace[name]
        annotation = namespace.get("__annotations__", {}).get(name)
        if annotation is not None and isinstance(value, int) and not isinstance(value, (bool, Integer)):
            kind, final = declared(annotation, namespace)
            if final and kinds.is_integer(kind):
                return kind(value)
        return value

    def global_text(self, variable: Global) -> str:
        placement = language.placement(variable.value)
        align = max(kinds.align_of(variable.type), placement.align)
        section = f', section "{placement.section}"' if placement.section else ""
        kind, initial = self.initial(variable)
        linkage = "dso_local" if variable.external else "internal"
        name = variable.symbol.rsplit(".", 1)[-1]
        debug = self.debug.global_variable(name, variable.symbol, variable.type, variable.file)
        word = "constant" if variable.final else "global"
        return f'@"{variable.symbol}" = {linkage} {word} {kind} {initial}{section}, align {align}{debug}'

    def initial(self, variable: Global) -> tuple[str, str]:
        """LLVM type and initial value of a module variable."""
        kind = variable.type
        if variable.object:
            data = b"" if is_untouched(variable.value) else content_of(variable.value)
            if not any(data):
                if kinds.contains_callable(kind):
                    self.fail(variable, "zeroed storage of a type with functions", "give it an initial value")
                return memory_llvm(kind), "zeroinitializer"
            parts = self.relocated(variable, kind, data, 0)
            if len(parts) == 1:
                return parts[0]
            return "<{ " + ", ".join(t for t, _ in parts) + " }>", "<{ " + ", ".join(
                f"{t} {v}" for t, v in parts
            ) + " }>"
        value = variable.value
        if kind is bool and isinstance(value, bool):
            return "i8", "1" if value else "0"
        if kinds.is_integer(kind):
            if isinstance(value, bool) or not isinstance(value, int) or not kind.minimum <= value <= kind.maximum:
                self.fail(variable, f"the initial value {value!r} does not fit {type_name(kind)}")
            return llvm(kind), str(int(value))
        if kinds.is_bits(kind) and isinstance(value, kind):
            return llvm(kind), str(int(value.raw))
        if kinds.is_text(kind) and isinstance(value, kind):
            data = value if isinstance(value, bytes) else value.encode()
            return llvm(kind), f"{{ ptr {self.text(data)}, i64 {len(data)} }}" if data else "zeroinitializer"
        if isinstance(kind, kinds.CallableType) and isinstance(value, types.FunctionType):
            return "ptr", self.function_symbol(variable, value, kind)
        if kinds.is_pointer(kind) and kinds.normal(type(value)) == kind:
            return "ptr", self.address_symbol(variable, int(value)) if int(value) else "null"
        self.fail(variable, f"the initial value {value!r} is not a {type_name(kind)}")

    def fail(self, variable: Global, message: str, hint: str = "") -> typing.NoReturn:
        name = variable.symbol.rsplit(".", 1)[-1]
        lines = linecache.getlines(variable.file)
        line = next((i for i, text in enumerate(lines, 1) if text.startswith((f"{name}:", f"{name} :"))), 1)
        raise CompileError(Diagnostic(f"`{name}`: {message}", variable.file, line, 0, len(name), hint=hint))

    def function_symbol(self, variable: Global, function: types.FunctionType, kind: kinds.CallableType) -> str:
        instance = self.instance(function)
        have = kinds.CallableType(tuple(t for _, t in instance.parameters), instance.result)
        if have != kind:
            self.fail(variable, f"`{function.__name__}` is a {have.name}, not a {kind.name}")
        return f'@"{instance.symbol}"'

    def address_symbol(self, variable: Global, address: int) -> str:
        """A simulated address, as the symbol and offset it stands for."""
        try:
            region, offset = memory.find(address)
        except MemoryError:
            return f"inttoptr (i64 {address} to ptr)"
        owner = next((v for v in self.declared_objects() if v._region is region), None)
        if owner is None:
            self.fail(
                variable, "it points to an object that is no module variable", "declare that object at module level"
            )
        return f'getelementptr (i8, ptr @"{self.object_variable(owner, {}, "").symbol}", i64 {offset})'

    def relocated(self, variable: Global, kind: Type, data: bytes, at: int) -> list[tuple[str, str]]:
        """The bytes of an object as LLVM constants; addresses in them become symbols."""
        kind = kinds.normal(kind)
        if not has_addresses(kind):
            return [raw(data[at : at + kinds.size_of(kind)])]
        if kinds.is_array(kind):
            element = kinds.normal(kind.element)
            step = kinds.size_of(element)
            return [p for i in range(kind.length) for p in self.relocated(variable, element, data, at + i * step)]
        if kinds.is_struct(kind):
            parts, position = [], 0
            for member in kind.fields.values():
                if member.offset > position:
                    parts.append(raw(data[at + position : at + member.offset]))
                inner = kinds.normal(member.type)
                parts += self.relocated(variable, inner, data, at + member.offset)
                position = member.offset + kinds.size_of(inner)
            if kind.size > position:
                parts.append(raw(data[at + position : at + kind.size]))
            return parts
        address = int.from_bytes(data[at : at + 8], "little")
        if isinstance(kind, kinds.CallableType):
            function = memory.function_at(address)
            if not isinstance(function, types.FunctionType):
                self.fail(variable, "an element that holds a function is zero", "give every element a function")
            return [("ptr", self.function_symbol(variable, function, kind))]
        first = ("ptr", self.address_symbol(variable, address) if address else "null")
        return [first, raw(data[at + 8 : at + 16])] if kinds.is_view(kind) else [first]

    # ---- all of it

    def compile(self, entries: list[types.FunctionType]) -> str:
        """The IR of everything reachable from the entries."""
        for entry in entries:
            self.instance(entry).external = True
        if not self.target.native and not self.target.handler:
            for helper in runtime.MEMORY_FUNCTIONS:
                self.instance(helper)  # type: ignore[arg-type]
        module_texts: list[str] = []
        assembled: set[str] = set()
        written = 0
        while self.pending or written < len(self.globals):
            while self.pending:
                function = self.pending.pop(0)
                module = str(function.globals.get("__name__", ""))
                self.lower(function)
                if module not in assembled:
                    assembled.add(module)
                    resolver = Lowering.__new__(Lowering)
                    resolver.program, resolver.function, resolver.globals = self, function, function.globals
                    resolver.file, resolver.locals = function.file, set()
                    module_texts += [resolver.substitute(t, function.node) for t in language.module_assembly(module)]
            while written < len(self.globals):
                # Initial values may name further functions and objects.
                self.initial(self.globals[written])
                written += 1
        lines = [f'target triple = "{self.target.triple}"'] if not self.target.native else []
        for text in module_texts:
            lines += [f'module asm "{escape(line)}"' for line in text.split("\n") if line.strip()]
        lines += [self.global_text(g) for g in self.globals]
        lines += [
            f"{name} = private unnamed_addr constant [{len(data)} x i8] {raw(data)[1]}, align 1"
            for data, name in self.texts.items()
        ]
        lines += self.bodies
        attributes = "nounwind noredzone"
        if self.target.native:
            attributes = "nounwind"
            lines.append("declare void @metal_trap(i32) noreturn")
        elif self.target.handler:
            # Loops stay loops: there is nobody to call. Address 0, which is nobody's, comes out of memory, since what
            # is obviously no address is refused before it runs.
            attributes = 'nounwind "no-builtins"'
            lines.append(
                f'define internal void @handler_trap() noinline nounwind section "{self.target.handler}" {{\n  %a = alloca ptr\n'
                "  store volatile ptr null, ptr %a\n  %p = load volatile ptr, ptr %a\n  %x = load volatile i64, ptr %p\n"
                "  ret void\n}"
            )
        else:
            features = f'"target-cpu"="x86-64" "target-features"="{self.target.features}"'
            attributes += f' noimplicitfloat {features} "frame-pointer"="none"'
        # Of the C library only what `runtime.py` defines exists: a loop must not be turned into a call of the rest.
        missing = " ".join(f'"no-builtin-{name}"' for name in ("strlen", "wcslen", "memcmp", "bcmp"))
        lines.append(f'attributes #0 = {{ {attributes} {missing} "no-trapping-math"="true" }}')
        lines += self.debug.finish(entries[0].__code__.co_filename)
        return "\n".join(lines) + "\n"


def is_object(value: object) -> bool:
    """Whether a Python object is a struct or array instance of the dialect."""
    kind = type(value)
    return kinds.is_struct(kind) or (isinstance(value, Array) and kinds.is_type(kind))


def place_of(name: str, file: str) -> tuple[int, int, int]:
    """Line, column and end of the annotation of a module variable."""
    with suppress(OSError, SyntaxError):
        for node in ast.parse(Path(file).read_bytes()).body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
                annotation = node.annotation
                return annotation.lineno, annotation.col_offset, annotation.end_col_offset or 1
    return 1, 0, 1


def declared(annotation: Any, namespace: dict[str, Any]) -> tuple[Type, bool]:
    """Type of an annotation at module level, and whether it is Final."""
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, namespace)
        except NameError:
            return None, False
    if annotation is typing.Final:
        return None, True
    if typing.get_origin(annotation) is typing.Final:
        return kinds.normal(typing.get_args(annotation)[0]), True
    return kinds.normal(annotation), False


def defining_names() -> tuple[dict[int, tuple[str, str, bool]], list[Any]]:
    """Module and name of every struct and array that a loaded module declares, and whether it is Final; the objects."""
    found: dict[int, tuple[str, str, bool]] = {}
    values = []
    for module_name, module in list(sys.modules.items()):
        namespace = getattr(module, "__dict__", {})
        for name, annotation in list(namespace.get("__annotations__", {}).items()):
            value = namespace.get(name)
            if value is not None and is_object(value):
                found[id(value)] = (module_name, name, declared(annotation, namespace)[1])
                values.append(value)
    return found, values


def has_addresses(kind: Type) -> bool:
    kind = kinds.normal(kind)
    if kinds.is_array(kind):
        return has_addresses(kind.element)
    if kinds.is_struct(kind):
        return any(has_addresses(f.type) for f in kind.fields.values())
    return kinds.is_pointer(kind) or kinds.is_view(kind) or isinstance(kind, kinds.CallableType)


def raw(data: bytes) -> tuple[str, str]:
    """Bytes as an LLVM constant."""
    if not any(data):
        return f"[{len(data)} x i8]", "zeroinitializer"
    text = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in data)
    return f"[{len(data)} x i8]", f'c"{text}"'


def type_variables(pattern: Any) -> set[str]:
    """The names of the type variables in a parameter's annotation."""
    if isinstance(pattern, typing.TypeVar):
        return {pattern.__name__}
    if kinds.is_span(pattern) or kinds.is_array(pattern):
        return type_variables(getattr(pattern, "element", None))
    if kinds.is_pointer(pattern):
        return type_variables(getattr(pattern, "target", None))
    if isinstance(pattern, kinds.CallableType):
        return set().union(*(type_variables(p) for p in (*pattern.parameters, pattern.result)))
    if isinstance(pattern, kinds.TupleType):
        return set().union(*(type_variables(p) for p in pattern.items))
    return set()


def unify(pattern: Any, kind: Type, bindings: dict[str, Type]) -> None:
    """Learn type variables from an argument's type."""
    if isinstance(pattern, typing.TypeVar):
        if kind is not kinds.Literal:
            have = bindings.get(pattern.__name__)
            if have is not None and kinds.is_integer(have) and kinds.is_integer(kind):
                kind = common_type(have, kind) or have
            elif have is not None:
                kind = have
            bindings[pattern.__name__] = kind
    elif (kinds.is_span(pattern) or kinds.is_array(pattern)) and type_variables(pattern):
        if kinds.is_span(kind) or kinds.is_array(kind) or kind is bytes:
            unify(pattern.element, kinds.element_of(kind), bindings)
    elif kinds.is_pointer(pattern) and type_variables(pattern):
        if kinds.is_pointer(kind):
            unify(pattern.target, kinds.normal(kind.target), bindings)
    elif isinstance(pattern, kinds.CallableType) and isinstance(kind, kinds.CallableType):
        for p, k in zip((*pattern.parameters, pattern.result), (*kind.parameters, kind.result), strict=False):
            unify(p, k, bindings)
