# SPDX-License-Identifier: MIT
"""Lets mypy read the dialect: `Array[T, N]` as an array of T, and the constructors that `@struct` and `@bits` give.

mypy loads it by `plugins = ["exokernel.metal.mypy_plugin"]`. It must never be imported by anything else.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.nodes import ARG_NAMED_OPT, ARG_OPT, ARG_POS, Argument, AssignmentStmt, NameExpr, Var
from mypy.plugin import AnalyzeTypeContext, ClassDefContext, Plugin
from mypy.plugins.common import add_attribute_to_class, add_method_to_class
from mypy.types import AnyType, NoneType, Type, TypeOfAny

TYPES = "exokernel.metal.types"


def array(context: AnalyzeTypeContext) -> Type:
    """`Array[T, N]` as a type."""
    arguments = context.type.args
    if len(arguments) != 2:
        context.api.fail("write Array[T, N]", context.context)
        return AnyType(TypeOfAny.from_error)
    return context.api.named_type(f"{TYPES}.ArrayOf", [context.api.analyze_type(arguments[0])])


def _fields(context: ClassDefContext, kind: int) -> list[Argument]:
    """The annotated names of the class body as optional parameters."""
    found = []
    for statement in context.cls.defs.body:
        if isinstance(statement, AssignmentStmt) and statement.type is not None:
            name = statement.lvalues[0]
            if isinstance(name, NameExpr):
                analyzed = context.api.anal_type(statement.type) or AnyType(TypeOfAny.special_form)
                found.append(
                    Argument(Var(name.name, analyzed), analyzed, None, ARG_OPT if kind == 0 else ARG_NAMED_OPT)
                )
    return found


def struct(context: ClassDefContext) -> bool:
    """`Point(1, y=2)`: every field by position or name, none required; `copy_from`."""
    add_method_to_class(context.api, context.cls, "__init__", _fields(context, 0), NoneType())
    anything = AnyType(TypeOfAny.explicit)
    source = Argument(Var("source", anything), anything, None, ARG_POS)
    add_method_to_class(context.api, context.cls, "copy_from", [source], NoneType())
    return True


def bits(context: ClassDefContext) -> bool:
    """`Entry(raw)` or `Entry(present=True)`; `raw`."""
    number = context.api.named_type("builtins.int")
    raw = Argument(Var("__raw", number), number, None, ARG_OPT)
    add_method_to_class(context.api, context.cls, "__init__", [raw, *_fields(context, 1)], NoneType())
    add_attribute_to_class(context.api, context.cls, "raw", number)
    return True


class DialectPlugin(Plugin):
    """The hooks."""

    def get_type_analyze_hook(self, fullname: str) -> Callable[[AnalyzeTypeContext], Type] | None:
        return array if fullname == f"{TYPES}.Array" else None

    def get_class_decorator_hook_2(self, fullname: str) -> Callable[[ClassDefContext], bool] | None:
        interface = "exokernel.exos.rpc.interface"  # which makes a bits type
        return {f"{TYPES}.struct": struct, f"{TYPES}.bits": bits, interface: bits}.get(fullname)


def plugin(version: str) -> type[Plugin]:
    """What mypy calls."""
    return DialectPlugin
