# SPDX-License-Identifier: MIT
"""One function: checked and written as LLVM IR, in a single pass over its syntax tree.

Three things are tracked on the way: which variables are assigned on every path (a read of any other is an error), what
a reference may refer to (an object of this frame must not outlive it), and the source position of each instruction.
This module holds the frame of that pass and the statements; `expressions.py`, `calls.py`, `formatting.py` the rest.
It must never let through what it does not understand: LLVM will not notice a wrong type.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from exokernel.metal import kinds, language
from exokernel.metal.calls import Calls
from exokernel.metal.errors import TRAP_NUMBERS, CompileError, Diagnostic
from exokernel.metal.expressions import UNKNOWN, Expressions
from exokernel.metal.formatting import Formatting
from exokernel.metal.kinds import NONE, Literal, TupleType, Type, llvm, memory_llvm, type_name
from exokernel.metal.values import (
    BORROWED,
    LOCAL,
    STATIC,
    Loop,
    Place,
    Sites,
    Value,
    Variable,
    escape,
    join,
    joined,
    may_be_foreign,
)

if TYPE_CHECKING:
    from exokernel.metal.program import Function, Program


class Lowering(Expressions, Calls, Formatting):
    """The pass over one function."""

    def __init__(
        self,
        program: Program,
        function: Function,
        origins: dict[str, tuple[int, Sites, bool]],
        remade: dict[tuple[int, int], dict[str, str]],
    ) -> None:
        self.program = program
        self.function = function
        self.globals = function.globals
        self.file = function.file
        self.lines: list[str] = []
        self.allocas: list[str] = []
        self.variables: dict[str, Variable] = {}
        self.assigned: set[str] | None = set()
        self.stale: dict[str, str] = {}
        self.loops: list[Loop] = []
        self.counter = 0
        self.origins = origins
        self.remade = remade
        self.again = False
        self.loop_depth = 0
        self.loop_sites: set[int] = set()
        self.site_counter = 0
        self.final_parts: set[str] = set()
        self.print_buffer = ""
        self.statement: ast.AST = function.node
        self.globals_declared = {name for n in ast.walk(function.node) if isinstance(n, ast.Global) for name in n.names}
        self.locals = local_names(function.node) - self.globals_declared
        self.scope = program.debug.function(function)
        self.locations: dict[tuple[int, int], str] = {}
        self.location = ""
        self.at(function.node)

    # ---- errors

    def error(self, node: ast.AST, message: str, hint: str = "", label: str = "") -> NoReturn:
        """End the compilation with a diagnostic at `node`."""
        line = getattr(node, "lineno", self.function.node.lineno)
        column = getattr(node, "col_offset", 0)
        end = getattr(node, "end_col_offset", column + 1) or column + 1
        if getattr(node, "end_lineno", line) != line or isinstance(
            node, (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Match)
        ):
            end = 10_000
        source = self.program.source_line(self.file, line)
        column = len(source.encode()[:column].decode(errors="replace"))
        end = min(end, len(source)) or column + 1
        raise CompileError(Diagnostic(message, self.file, line, column, end, label, hint))

    # ---- instructions

    def at(self, node: ast.AST) -> None:
        """Instructions from here on belong to `node`'s line."""
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
        if line:
            if (line, column) not in self.locations:
                self.locations[line, column] = self.program.debug.location(line, column + 1, self.scope)
            self.location = self.locations[line, column]
            self.line = line

    def emit(self, text: str) -> None:
        self.lines.append(f"  {text}{self.location}")

    def temporary(self) -> str:
        self.counter += 1
        return f"%t{self.counter}"

    def let(self, text: str) -> str:
        """Emit an instruction with a result; its name."""
        name = self.temporary()
        self.emit(f"{name} = {text}")
        return name

    def new_label(self) -> str:
        self.counter += 1
        return f"L{self.counter}"

    def label(self, name: str, assigned: set[str] | None) -> None:
        """Begin a block in which `assigned` holds (None: nothing reaches it)."""
        self.lines.append(f"{name}:")
        self.assigned = assigned

    @property
    def dead(self) -> bool:
        return self.assigned is None

    def jump(self, label: str) -> None:
        self.emit(f"br label %{label}")

    def branch(self, condition: str, yes: str, no: str) -> None:
        self.emit(f"br i1 {condition}, label %{yes}, label %{no}")

    def alloca(self, kind: str, align: int, name: str = "") -> str:
        self.counter += 1
        slot = f'%"{name or "s"}.{self.counter}"'
        self.allocas.append(f"  {slot} = alloca {kind}, align {align}")
        return slot

    def check(self, condition: str, reason: str) -> None:
        """Go on if the condition holds, else stop for `reason`."""
        good, bad = self.new_label(), self.new_label()
        self.emit(f"br i1 {condition}, label %{good}, label %{bad}, !prof !{self.program.likely}")
        self.lines.append(f"{bad}:")
        self.stop(reason)
        self.lines.append(f"{good}:")

    def stop(self, reason: str) -> None:
        number = TRAP_NUMBERS[reason]
        if self.program.target.native:
            site = self.program.trap_site(reason, self.file, self.line)
            self.emit(f"call void @metal_trap(i32 {site})")
        elif self.program.target.handler:
            # Each path of a handler must be seen to end, also one that never does.
            self.emit("call void @handler_trap()")
            result = llvm(self.function.result)
            self.emit("ret void" if result == "void" else f"ret {result} zeroinitializer")
            return
        else:
            self.emit(f"call void @llvm.ubsantrap(i8 {number}) nomerge")
        self.emit("unreachable")

    # ---- the function

    def lower(self) -> str:
        """The function's IR."""
        node, function = self.function.node, self.function
        parameters = []
        for position, (name, kind) in enumerate(function.parameters):
            if not function.flags.get("naked"):
                level = BORROWED if kinds.is_borrowing(kind) else STATIC
                variable = self.declare(name, kind, node.args.args[position], position + 1)
                variable.level = max(variable.level, level)
                self.emit(f"store {llvm(kind)} %p{position}, ptr {variable.slot}")
                self.assigned = (self.assigned or set()) | {name}
            parameters.append(f"{llvm(kind)} {'zeroext ' if kind is bool else ''}noundef %p{position}")
        body = node.body
        if function.flags.get("naked"):
            self.naked(body)
        elif self.program.target.handler and "helper" in function.flags:
            values = ", ".join(parameters).replace("noundef ", "")
            self.emit(f"%answer = call i64 inttoptr (i64 {function.flags['helper']} to ptr)({values})")
            self.emit("ret i64 %answer")
        else:
            self.block(body)
            self.finish()
        attributes = "#0"
        for flag, spelled in (
            ("naked", " naked noinline"),
            ("inline", " alwaysinline"),
            ("noinline", " noinline"),
            ("cold", " cold"),
            ("noreturn", " noreturn"),
            ("no_builtins", ' nobuiltin "no-builtins"'),
        ):
            if function.flags.get(flag):
                attributes += spelled
        linkage = "dso_local" if function.external else "internal"
        convention = f"{function.flags['convention']} " if "convention" in function.flags else ""
        section = f' section "{function.flags["section"]}"' if "section" in function.flags else ""
        if self.program.target.handler:
            section = f' section "{self.program.target.handler}"'
            if not function.external and not function.flags.get("noinline"):
                attributes += " alwaysinline"  # views and tuples are too wide for eBPF's registers
        align = f" align {function.flags['align']}" if "align" in function.flags else ""
        result = ("zeroext " if function.result is bool else "") + llvm(function.result)
        head = (
            f'define {linkage} {convention}{result} @"{function.symbol}"({", ".join(parameters)}) '
            f"{attributes}{section}{align} !dbg !{self.scope} {{\nentry:"
        )
        return "\n".join([head, *self.allocas, *self.lines, "}"])

    def reject_shape(self, node: ast.FunctionDef) -> None:
        arguments = node.args
        for wrong, what in (
            (arguments.vararg, "*args"),
            (arguments.kwarg, "**kwargs"),
            (arguments.kwonlyargs, "keyword-only parameters"),
            (arguments.posonlyargs, "positional-only parameters"),
            (arguments.defaults, "default values"),
        ):
            if wrong:
                place = wrong[0] if isinstance(wrong, list) else wrong
                self.error(place, f"{what} are not supported", "give every argument at the call")

    def finish(self) -> None:
        """The end of the body is reached or not."""
        if self.dead:
            self.emit("unreachable")
        elif self.function.flags.get("noreturn"):
            self.error(
                self.function.node,
                f"`{self.function.name}` is @noreturn but its end can be reached",
                "end with an endless loop, or a call of another @noreturn function",
            )
        elif self.function.result is NONE:
            self.emit("ret void")
        else:
            self.error(
                self.function.node,
                f"`{self.function.name}` can end without returning a {type_name(self.function.result)}",
                "return a value on every path",
            )

    def naked(self, body: list[ast.stmt]) -> None:
        statements = body[1:] if is_docstring(body[0]) else body
        call = statements[0].value if len(statements) == 1 and isinstance(statements[0], ast.Expr) else None
        if not (
            isinstance(call, ast.Call)
            and self.static(call.func) is language.asm
            and len(call.args) == 1
            and not call.keywords
        ):
            self.error(
                statements[0] if statements else self.function.node,
                "a @naked function is its docstring and one asm(...) with only the text",
                'write asm("""one instruction a line""")',
            )
        text = self.static(call.args[0])
        if not isinstance(text, str):
            self.error(call.args[0], "the text of asm must be a string constant")
        first = call.args[0].lineno
        multiline = getattr(call.args[0], "end_lineno", first) != first
        for offset, whole in enumerate(text.split("\n")):
            line = whole.split("#")[0].strip()
            if not line:
                continue
            if multiline:
                self.at(ast.Constant(line, lineno=first + offset, col_offset=0))
            for instruction in self.substitute(line, call.args[0]).split("\n"):
                text = escape(instruction.replace("$", "$$"))
                self.emit(f'call void asm sideeffect inteldialect "{text}", ""()')
        self.emit("unreachable")

    # ---- variables

    def declare(self, name: str, kind: Type, node: ast.AST, argument: int = 0) -> Variable:
        kind = kinds.normal(kind)
        if kinds.is_big_endian(kind):
            self.error(
                node,
                f"`{name}` cannot have the storage type {type_name(kind)}",
                f"use {type_name(kind.native)}; big-endian types are for fields, elements and what a pointer points to",
            )
        if not kinds.is_type(kind) or kind is NONE:
            self.error(node, f"`{name}` cannot have the type {type_name(kind)}")
        align = 8 if isinstance(kind, TupleType) or kinds.is_reference(kind) else kinds.align_of(kind)
        storage = "ptr" if kinds.is_reference(kind) else memory_llvm(kind) if kind is not bool else "i1"
        slot = self.alloca(storage, align, name)
        variable = Variable(name, kind, slot)
        known = self.origins.get(name, (STATIC, frozenset(), False))
        variable.level, variable.sites, variable.volatile = known
        self.variables[name] = variable
        self.program.debug.variable(self, variable, node, argument)
        return variable

    def assign_variable(self, variable: Variable, value: Value, node: ast.AST) -> None:
        value = self.convert(value, variable.type, node)
        self.emit(f"store {llvm(variable.type)} {value.ir}, ptr {variable.slot}")
        sites = value.sites
        if kinds.is_borrowing(variable.type):
            sites |= may_be_foreign(value.level, value.ir)
        if value.level > variable.level or not sites <= variable.sites:
            variable.level = max(variable.level, value.level)
            variable.sites |= sites
            if variable.read or variable.sites & self.loop_sites:
                self.again = True
        if value.volatile and not variable.volatile:
            variable.volatile = True
            self.again |= variable.read
        if self.assigned is not None:
            self.assigned.add(variable.name)

    def read_variable(self, name: str, node: ast.AST) -> Value:
        variable = self.variables.get(name)
        if variable is None or (self.assigned is not None and name not in self.assigned):
            if name in self.stale:
                self.error(
                    node,
                    f"`{name}` may refer to an object of an earlier turn of the loop",
                    f"the object made at line {self.stale[name]} reuses its storage in every turn; "
                    "make it before the loop",
                )
            module_variable = self.program.variable(self.globals, name) is not None
            self.error(
                node,
                f"`{name}` may be read before it is assigned",
                f"to mean the module variable, declare `global {name}` in the function"
                if module_variable
                else "assign it on every path that comes here",
            )
        variable.read = True
        ir = self.let(f"load {llvm(variable.type)}, ptr {variable.slot}")
        return Value(variable.type, ir, None, variable.level, variable.sites, variable.volatile)

    # ---- statements

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if self.dead and not self.lines[-1].endswith(":"):
                self.lines.append(f"{self.new_label()}:")
            self.statement = statement
            self.at(statement)
            handler = getattr(self, "do_" + type(statement).__name__, None)
            if handler is None:
                self.unsupported_statement(statement)
            else:
                handler(statement)

    def unsupported_statement(self, node: ast.stmt) -> NoReturn:
        what, hint = {
            ast.Try: ("`try` is not supported", "there are no exceptions; return an error value"),
            ast.Raise: ("`raise` is not supported", "return an error value, or stop with assert or trap()"),
            ast.With: ("`with` is not supported", "write the steps out"),
            ast.FunctionDef: ("a function inside a function is not supported", "move it to module level"),
            ast.AsyncFunctionDef: ("`async` is not supported", "move it to module level"),
            ast.ClassDef: ("a class inside a function is not supported", "move it to module level"),
            ast.Delete: ("`del` is not supported", "objects end with their function"),
            ast.Import: ("an import inside a function is not supported", "import at module level"),
            ast.ImportFrom: ("an import inside a function is not supported", "import at module level"),
            ast.Nonlocal: ("`nonlocal` is not supported", "there are no nested functions; use a module variable"),
            ast.AsyncFor: ("`async for` is not supported", ""),
            ast.AsyncWith: ("`async with` is not supported", ""),
        }.get(type(node), (f"`{type(node).__name__}` is not supported", ""))
        self.error(node, what, hint)

    def do_Pass(self, node: ast.Pass) -> None:
        pass

    def do_Global(self, node: ast.Global) -> None:
        for name in node.names:
            if name not in self.globals:
                self.error(
                    node,
                    f"there is no module variable `{name}`",
                    f"declare it at module level, for example `{name}: u64 = 0`",
                )

    def do_Expr(self, node: ast.Expr) -> None:
        if is_docstring(node):
            return
        if isinstance(node.value, (ast.Yield, ast.YieldFrom, ast.Await)):
            self.error(node.value, "generators and coroutines are not supported")
        if not isinstance(node.value, ast.Call):
            self.error(node, "this expression has no effect", "assign it, return it, or remove it")
        self.call(node.value, statement=True)

    def do_Return(self, node: ast.Return) -> None:
        result = self.function.result
        if self.function.flags.get("noreturn"):
            self.error(node, f"`{self.function.name}` is @noreturn and cannot return")
        if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None):
            if result is not NONE:
                self.error(node, f"`{self.function.name}` returns {type_name(result)}, nothing is given")
            self.emit("ret void")
        else:
            if result is NONE:
                self.error(
                    node.value,
                    f"`{self.function.name}` returns nothing, a value is given",
                    "annotate the result: `-> TYPE`",
                )
            value = self.convert(self.value(node.value, result), result, node.value)
            if value.level == LOCAL and kinds.is_borrowing(result):
                self.error(
                    node.value,
                    "this refers to an object of this function, which ends here",
                    "let the caller make the object and pass it in",
                    "outlived by the result",
                )
            self.emit(f"ret {llvm(result)} {value.ir}")
        self.assigned = None

    def do_Assign(self, node: ast.Assign) -> None:
        first = node.targets[0]
        if isinstance(first, ast.Tuple) and isinstance(node.value, ast.Tuple) and len(node.targets) == 1:
            if len(first.elts) != len(node.value.elts):
                self.error(node, f"{len(first.elts)} targets for {len(node.value.elts)} values")
            wants = [self.wanted(t) for t in first.elts]
            values = [self.settled(self.value(v, w), w, v) for v, w in zip(node.value.elts, wants, strict=True)]
            for target, value, source in zip(first.elts, values, node.value.elts, strict=True):
                self.assign(target, value, node, source)
            return
        want = self.wanted(first)
        value = self.value(node.value, want)
        for target in node.targets:
            self.assign(target, value, node, node.value)

    def settled(self, value: Value, want: Type | None, node: ast.AST) -> Value:
        return self.convert(value, want, node) if want is not None and value.type is Literal else value

    def wanted(self, target: ast.expr) -> Type | None:
        """The type that a target already has, to guide the value; None when it has none yet."""
        if isinstance(target, ast.Name) and target.id in self.variables and target.id not in self.globals_declared:
            return self.variables[target.id].type
        return None

    def assign(self, target: ast.expr, value: Value, node: ast.AST, source: ast.AST | None = None) -> None:
        """Store `value`, which stands at `source`, in `target`."""
        if isinstance(target, (ast.Tuple, ast.List)):
            if not isinstance(value.type, TupleType):
                self.error(target, f"cannot unpack a {type_name(value.type)}", "only results of type tuple[...] unpack")
            if len(value.type.items) != len(target.elts):
                self.error(target, f"{len(target.elts)} targets for {len(value.type.items)} values")
            for i, (item, kind) in enumerate(zip(target.elts, value.type.items, strict=True)):
                part = self.let(f"extractvalue {llvm(value.type)} {value.ir}, {i}")
                level, sites = (value.level, value.sites) if kinds.is_borrowing(kind) else (STATIC, frozenset[int]())
                self.assign(item, Value(kind, part, None, level, sites), node)
        elif isinstance(target, ast.Starred):
            self.error(target, "`*` in a target is not supported", "name each value")
        elif isinstance(target, ast.Name) and target.id in self.locals:
            if target.id not in self.variables:
                self.new_variable(target, value)
            self.assign_variable(self.variables[target.id], value, source or node)
        else:
            self.store(self.place(target), value, node, source)

    def new_variable(self, target: ast.Name, value: Value) -> None:
        if isinstance(value.constant, tuple):
            self.error(target, f"`{target.id}` cannot hold a tuple", "give each value a name: `a, b = ...`")
        if value.type is Literal:
            self.error(
                target,
                f"`{target.id}` has no type: the constant {value.constant} has no width",
                f"write `{target.id}: u64 = {value.constant}`",
            )
        if value.type is NONE:
            self.error(target, f"`{target.id}` gets no value: the call returns nothing")
        self.declare(target.id, value.type, target)

    def do_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not isinstance(node.target, ast.Name):
            self.error(node.target, "only a plain name can be annotated here")
        name = node.target.id
        if name in self.globals_declared:
            self.error(node, f"`{name}` is a module variable and already has a type")
        kind = self.annotation(node.annotation)
        if name in self.variables:
            if self.variables[name].type != kind:
                self.error(
                    node.annotation,
                    f"`{name}` already has the type {type_name(self.variables[name].type)}",
                    "use another name",
                )
        else:
            self.declare(name, kind, node.target)
        if node.value is not None:
            self.assign_variable(self.variables[name], self.value(node.value, kind), node.value)

    def do_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id in self.locals:
            old = self.read_variable(node.target.id, node.target)
            value = self.binary(node.op, old, self.value(node.value, old.type), node)
            self.assign_variable(self.variables[node.target.id], value, node.value)
            return
        place = self.place(node.target)
        value = self.binary(node.op, self.load(place), self.value(node.value, None), node)
        self.store(place, value, node, node.value)

    def do_Assert(self, node: ast.Assert) -> None:
        if node.msg is not None and not isinstance(self.static(node.msg), str):
            self.error(node.msg, "the text of an assert must be a string constant")
        known = self.static(node.test)
        good, bad = self.new_label(), self.new_label()
        if known is not UNKNOWN and not known:
            self.stop("assert")
            self.assigned = None
            return
        self.condition(node.test, good, bad)
        assigned = self.assigned
        self.label(bad, assigned)
        self.at(node)
        self.stop("assert")
        self.label(good, assigned)

    def do_If(self, node: ast.If) -> None:
        known = self.static(node.test)
        if known is not UNKNOWN:
            self.block(node.body if known else node.orelse)
            return
        yes, no, after = self.new_label(), self.new_label(), self.new_label()
        self.condition(node.test, yes, no)
        before = self.copy_assigned()
        self.label(yes, self.copy_assigned())
        self.block(node.body)
        first = self.leave(after)
        self.label(no, before)
        self.block(node.orelse)
        second = self.leave(after)
        self.label(after, join(first, second))

    def copy_assigned(self) -> set[str] | None:
        return None if self.assigned is None else set(self.assigned)

    def leave(self, label: str) -> set[str] | None:
        """Jump to `label` if this point is reached; what is assigned here."""
        if self.dead:
            self.emit("unreachable")
            return None
        self.jump(label)
        return self.assigned

    def do_While(self, node: ast.While) -> None:
        head, body, otherwise, after = (self.new_label() for _ in range(4))
        self.jump(head)
        self.forget_remade(node)
        before = self.copy_assigned()
        self.label(head, self.copy_assigned())
        known = self.static(node.test)
        if known is UNKNOWN:
            self.at(node)
            self.condition(node.test, body, otherwise)
            at_end = self.copy_assigned()
        else:
            self.jump(body if known else otherwise)
            at_end = None if known else before
            if not known:
                self.assigned = None
        self.label(body, self.copy_assigned())
        loop = self.enter_loop(node, after, head)
        if not self.dead:
            self.note_remade(node)
            self.jump(head)
        else:
            self.emit("unreachable")
        self.label(otherwise, at_end)
        self.block(node.orelse)
        last = self.leave(after)
        self.label(after, joined([*loop.breaks, last]))

    def enter_loop(self, node: ast.For | ast.While, after: str, again: str) -> Loop:
        loop = Loop(after, again, node)
        self.loops.append(loop)
        self.loop_depth += 1
        self.block(node.body)
        self.loop_depth -= 1
        self.loops.pop()
        return loop

    def forget_remade(self, node: ast.For | ast.While) -> None:
        """At the head of a loop: what a turn leaves stale may not be read in the next one, nor after the loop."""
        for name, line in self.remade.get(position(node), {}).items():
            if self.assigned is not None and name in self.assigned:
                self.assigned.discard(name)
                self.stale[name] = line

    def note_remade(self, node: ast.For | ast.While) -> None:
        """At the end of a turn: variables that are stale now. The head is compiled already, so another pass follows."""
        known = self.remade.setdefault(position(node), {})
        for name, line in self.stale.items():
            if name not in known and self.assigned is not None and name not in self.assigned:
                known[name] = line
                self.again = True

    def do_Break(self, node: ast.Break) -> None:
        loop = self.loops[-1]
        if self.assigned is not None:
            loop.breaks.append(self.assigned)
        self.jump(loop.after)
        self.assigned = None

    def do_Continue(self, node: ast.Continue) -> None:
        self.note_remade(self.loops[-1].node)
        self.jump(self.loops[-1].again)
        self.assigned = None

    def do_For(self, node: ast.For) -> None:
        call = node.iter
        function = self.static(call.func) if isinstance(call, ast.Call) else None
        if function is range:
            self.for_range(node, call)  # type: ignore[arg-type]
        elif function is enumerate:
            arguments = call.args  # type: ignore[attr-defined]
            if len(arguments) != 1 or call.keywords:  # type: ignore[attr-defined]
                self.error(call, "enumerate takes one array, span or bytes here")
            if not (isinstance(node.target, ast.Tuple) and len(node.target.elts) == 2):
                self.error(node.target, "enumerate gives two values", "write `for i, x in enumerate(...)`")
            self.for_elements(node, arguments[0], *node.target.elts)
        else:
            self.for_elements(node, call, None, node.target)

    def for_range(self, node: ast.For, call: ast.Call) -> None:
        if call.keywords or not 1 <= len(call.args) <= 3:
            self.error(call, "range takes one to three arguments")
        step = 1
        if len(call.args) == 3:
            known = self.static(call.args[2])
            if not isinstance(known, int) or isinstance(known, bool) or known == 0:
                self.error(
                    call.args[2],
                    "the step of a range must be a constant other than 0",
                    "use `while` for a step known only at run time",
                )
            step = int(known)
        bounds = call.args[:2] if len(call.args) > 1 else [ast.copy_location(ast.Constant(0), call), call.args[0]]
        start, stop = (self.value(b, None) for b in bounds)
        if start.type is Literal and stop.type is Literal:
            negative = min(start.constant, stop.constant, step) < 0
            kind = self.program.integers["i64" if negative else "u64"]
        else:
            kind = self.common(start, stop, call)
        if isinstance(node.target, ast.Name) and node.target.id in self.variables:
            wanted = self.variables[node.target.id].type
            if start.type is Literal and stop.type is Literal and kinds.is_integer(wanted):
                kind = wanted
        start, stop = self.convert(start, kind, bounds[0]), self.convert(stop, kind, bounds[1])
        t, sign = llvm(kind), "s" if kind.signed else "u"
        if abs(step) > kind.maximum:
            self.error(call.args[2], f"the step does not fit {type_name(kind)}")
        forward, size = step > 0, abs(step)
        how = "add" if forward else "sub"

        def goes_on(now: str) -> str:
            return self.let(f"icmp {sign}{'lt' if forward else 'gt'} {t} {now}, {stop.ir}")

        def bind(now: str) -> None:
            self.assign(node.target, Value(kind, now), node)

        def advance(now: str, otherwise: str) -> str:
            if size == 1:
                return self.let(f"{how} {'nsw' if kind.signed else 'nuw'} {t} {now}, 1")
            # Python's counter cannot wrap: stop when less than a step is left.
            left = self.let(f"sub {t} {stop.ir}, {now}" if forward else f"sub {t} {now}, {stop.ir}")
            onward = self.new_label()
            self.branch(self.let(f"icmp ugt {t} {left}, {size}"), onward, otherwise)
            self.lines.append(f"{onward}:")
            return self.let(f"{how} {t} {now}, {size}")

        self.counting_loop(node, t, start.ir, goes_on, bind, advance)

    def counting_loop(
        self,
        node: ast.For,
        t: str,
        first: str,
        goes_on: Callable[[str], str],
        bind: Callable[[str], None],
        advance: Callable[[str, str], str],
    ) -> None:
        """A loop with a hidden counter of LLVM type `t`: what it starts from, whether a turn follows, what the turn is
        given, and the next value (or a jump to the label that is handed over, when there is none)."""
        slot = self.alloca(t, 8, "counter")
        self.emit(f"store {t} {first}, ptr {slot}")
        head, body, again, otherwise, after = (self.new_label() for _ in range(5))
        self.jump(head)
        self.forget_remade(node)
        at_end = self.copy_assigned()
        self.label(head, self.copy_assigned())
        now = self.let(f"load {t}, ptr {slot}")
        self.branch(goes_on(now), body, otherwise)
        self.label(body, self.copy_assigned())
        bind(now)
        loop = self.enter_loop(node, after, again)
        if self.dead:
            self.emit("unreachable")
        else:
            self.note_remade(node)
            self.jump(again)
        self.label(again, None)
        self.at(node)
        now = self.let(f"load {t}, ptr {slot}")
        self.emit(f"store {t} {advance(now, otherwise)}, ptr {slot}")
        self.jump(head)
        self.label(otherwise, at_end)
        self.block(node.orelse)
        last = self.leave(after)
        self.label(after, joined([*loop.breaks, last]))

    def for_elements(self, node: ast.For, iterable: ast.expr, index: ast.expr | None, target: ast.expr) -> None:
        value = self.value(iterable, None)
        if value.type is bytes or kinds.is_array(value.type) or kinds.is_span(value.type):
            address, length = self.parts(value)
        else:
            self.error(
                iterable,
                f"cannot iterate over {type_name(value.type)}",
                "iterate over range(...), an array, a span or bytes",
            )
        u64 = self.program.integers["u64"]
        element = kinds.element_of(value.type)

        def bind(now: str) -> None:
            pointer = self.let(f"getelementptr inbounds {memory_llvm(element)}, ptr {address}, i64 {now}")
            if index is not None:
                self.assign(index, Value(u64, now), node)
            place = Place(element, pointer, value.level, value.sites, value.volatile)
            self.assign(target, self.load(place), node)

        def goes_on(now: str) -> str:
            return self.let(f"icmp ult i64 {now}, {length}")

        def advance(now: str, otherwise: str) -> str:
            return self.let(f"add nuw i64 {now}, 1")

        self.counting_loop(node, "i64", "0", goes_on, bind, advance)

    def do_Match(self, node: ast.Match) -> None:
        subject = self.value(node.subject, None)
        if subject.type is Literal:
            self.error(node.subject, "the subject of match is a constant", "use a typed value")
        after = self.new_label()
        ends: list[set[str] | None] = []
        exhausted = False
        for case in node.cases:
            self.at(case.pattern)
            body, following = self.new_label(), self.new_label()
            irrefutable = self.pattern(case.pattern, subject, body, following)
            self.label(body, self.assigned)
            before = self.copy_assigned()
            if isinstance(case.pattern, ast.MatchAs) and case.pattern.name:
                name = ast.copy_location(ast.Name(case.pattern.name, ast.Store()), case.pattern)
                self.assign(name, subject, case.pattern)
            if case.guard is not None:
                inside = self.new_label()
                self.condition(case.guard, inside, following)
                self.label(inside, self.assigned)
            self.block(case.body)
            ends.append(self.leave(after))
            if irrefutable and case.guard is None:
                exhausted = True
                self.label(following, None)
                break
            self.label(following, before)
        if exhausted:
            self.emit("unreachable")
        else:
            ends.append(self.leave(after))
        self.label(after, joined(ends))

    def pattern(self, pattern: ast.pattern, subject: Value, yes: str, no: str) -> bool:
        """Branch on whether the pattern matches; whether it always does."""
        if isinstance(pattern, ast.MatchAs) and pattern.pattern is None:
            self.jump(yes)
            return True
        if isinstance(pattern, ast.MatchValue | ast.MatchSingleton):
            node = pattern.value if isinstance(pattern, ast.MatchValue) else ast.Constant(pattern.value)
            known = self.static(node)
            if known is UNKNOWN or not isinstance(known, (int, bytes, str)):
                self.error(pattern, "a case must be a constant", "use if/elif for values known at run time")
            if isinstance(known, bool) != (subject.type is bool):
                self.error(pattern, f"a {type_name(subject.type)} never matches {known!r}")
            right = self.from_object(known, pattern)
            self.branch(self.compare(ast.Eq(), subject, right, pattern).ir, yes, no)
            return False
        if isinstance(pattern, ast.MatchOr):
            always = False
            for i, choice in enumerate(pattern.patterns):
                following = self.new_label() if i + 1 < len(pattern.patterns) else no
                always |= self.pattern(choice, subject, yes, following)
                if following != no:
                    self.lines.append(f"{following}:")
            return always
        self.error(pattern, "this shape of pattern is not supported", "use constants, dotted names, `|`, a name or `_`")

    # ---- names

    def unknown_name(self, name: str, node: ast.AST) -> NoReturn:
        near = difflib.get_close_matches(name, [*self.locals, *self.globals], 1)
        self.error(node, f"there is no name `{name}`", f"did you mean `{near[0]}`?" if near else "")


def local_names(node: ast.FunctionDef) -> set[str]:
    """The names that Python makes local to the function."""
    names = {argument.arg for argument in node.args.args}
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            names.add(child.id)
        elif isinstance(child, (ast.MatchAs, ast.MatchStar)) and child.name:
            names.add(child.name)
    return names


def position(node: ast.stmt) -> tuple[int, int]:
    return node.lineno, node.col_offset


def is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
