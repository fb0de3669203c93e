"""The options of a shipped function, read from its file: to check a setting, or to refuse it, shall not wait for torch.

A file is read and not imported. What stands in the annotations and defaults of options is simple, and what this cannot
read raises NotReadError: then the file is imported after all.
"""

import ast
import builtins
import collections.abc
import functools
import math
import operator
import pathlib
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydantic

from classlab import limits

ROOT = Path(__file__).parents[1]
MODULES: Mapping[str, Any] = {
    "typing": typing, "pydantic": pydantic, "collections.abc": collections.abc, "math": math, "pathlib": pathlib,
    "classlab.limits": limits,
}  # fmt: skip
OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.BitOr: operator.or_, ast.USub: operator.neg,
}  # fmt: skip
REQUIRED = object()  # in the place of a default


class NotReadError(Exception):
    """The file says it in a way that only Python itself can read."""


def options(file: Path, function: str, handed_over: tuple[str, ...]) -> dict[str, tuple[Any, Any]]:
    """Return the annotation and the default of each parameter of a function, but of those that are handed over.

    A parameter without a default has REQUIRED, one without an annotation Any. Raises NotReadError.
    """
    source = _read(file)
    found = [node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == function]
    if len(found) != 1 or found[0].args.vararg or found[0].args.kwarg or found[0].args.posonlyargs:
        raise NotReadError(function)
    arguments = found[0].args
    without = len(arguments.args) - len(arguments.defaults)
    defaults = [*[None] * without, *arguments.defaults, *arguments.kw_defaults]
    return {
        argument.arg: (
            _value(argument.annotation, file) if argument.annotation else Any,
            _value(default, file) if default else REQUIRED,
        )
        for argument, default in zip([*arguments.args, *arguments.kwonlyargs], defaults, strict=True)
        if argument.arg not in handed_over
    }


@functools.cache
def _read(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _value(node: ast.expr, file: Path) -> Any:
    """Return what an expression of a file is worth. Raises NotReadError for one that is not simple."""
    value = functools.partial(_value, file=file)
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return _named(node.id, file)
        case ast.Attribute():
            return getattr(value(node.value), node.attr)
        case ast.Tuple():
            return tuple(map(value, node.elts))
        case ast.List():
            return list(map(value, node.elts))
        case ast.Subscript():
            return value(node.value)[value(node.slice)]
        case ast.BinOp() if type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        case ast.UnaryOp() if type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](value(node.operand))
        case ast.Call():
            named = {word.arg: value(word.value) for word in node.keywords if word.arg}
            return value(node.func)(*map(value, node.args), **named)
    raise NotReadError(ast.dump(node))


def _named(name: str, file: Path) -> Any:
    """Return what a name means in a file: what the file sets it to or imports, or what is built in."""
    for node in reversed(_read(file).body):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                return _value(node.value, file)
            case ast.ImportFrom() | ast.Import():
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return _imported(node, alias.name)
    if hasattr(builtins, name):
        return getattr(builtins, name)
    raise NotReadError(name)


def _imported(node: ast.ImportFrom | ast.Import, name: str) -> Any:
    """Return what an import brings: a module, or a name of one; a name of another file of ours is read there."""
    module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
    whole = f"{module}.{name}".removeprefix(".")
    if whole in MODULES:
        return MODULES[whole]
    if module in MODULES:
        return getattr(MODULES[module], name)
    file = ROOT / f"{module.replace('.', '/')}.py"
    if not module.startswith("classlab.") or not file.is_file():
        raise NotReadError(whole)
    return _named(name, file)
