"""Conditions between the parameters of a configuration, such as `warmup_epochs < epochs`: parsed and computed here.

An expression is Python's syntax with names of parameters, numbers, texts, true, false and null (None), comparisons
(chained, and `in` a list), and, or, not, + - * / // % ** and parentheses, and the functions abs, min, max and log10.
Nothing else is read, and nothing is ever handed to Python to evaluate.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trainer.config import ConfigError, Value, build_trial_config

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, among: value in among,
    ast.NotIn: lambda value, among: value not in among,
}
_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max, "log10": math.log10}
_WORDS: Mapping[str, Value] = {"true": True, "false": False, "null": None}
_MAX_CHARACTERS = 500


class ConstraintError(ValueError):
    """An expression cannot be read or computed; the message says what was found and what is allowed."""


@dataclass(frozen=True)
class Constraint:
    """A condition that every configuration has to fulfil.

    Attributes:
        text: As written.
        names: The parameters that it is about.
    """

    text: str
    names: frozenset[str]
    _tree: ast.expr

    def holds(self, parameters: Mapping[str, Value]) -> bool:
        """Whether a configuration fulfils it; one that lacks one of the parameters does.

        Args:
            parameters: As a trial gets them; defaults count for what they leave out.

        Raises:
            ConstraintError: It cannot be computed for these values.
        """
        return self._holds(_complete(parameters) if self.names - set(parameters) else parameters)

    def _holds(self, values: Mapping[str, Value]) -> bool:
        if any(name not in values for name in self.names):
            return True
        try:
            return bool(_compute(self._tree, values))
        except (TypeError, ValueError, ArithmeticError) as error:
            given = ", ".join(f"{name} = {values[name]!r}" for name in sorted(self.names))
            raise ConstraintError(f"{self.text!r} cannot be computed for {given} ({error})") from error


def fulfils(parameters: Mapping[str, Value], constraints: tuple[Constraint, ...]) -> bool:
    """Whether a configuration fulfils all constraints; not where one cannot be computed."""
    if any(constraint.names - set(parameters) for constraint in constraints):
        parameters = _complete(parameters)
    try:
        return all(constraint._holds(parameters) for constraint in constraints)
    except ConstraintError:
        return False


def parse_constraint(text: str) -> Constraint:
    """The constraint that an expression says.

    Raises:
        ConstraintError: It is no comparison of parameters that can be read.
    """
    if len(text) > _MAX_CHARACTERS:
        raise ConstraintError(f"found {len(text)} characters; allowed: at most {_MAX_CHARACTERS}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConstraintError(f"found {text!r}, which cannot be read; write it as `warmup_epochs < epochs`") from error
    if not _is_condition(tree):
        raise ConstraintError(f"found {text!r}, which is not true or false; compare it with something")
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(_WORDS)
    _refuse_strange(tree, text)
    names -= {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    if not names:
        raise ConstraintError(f"found {text!r}, which is about no parameter; name one")
    return Constraint(text, frozenset(names), tree)


def _is_condition(node: ast.expr) -> bool:
    match node:
        case ast.BoolOp(values=values):
            return all(_is_condition(value) for value in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _is_condition(operand)
    return isinstance(node, ast.Compare)


def _refuse_strange(tree: ast.expr, text: str) -> None:
    """Raises for everything that `_compute` does not know."""
    known = (ast.expr_context, ast.boolop, ast.unaryop, ast.operator, ast.cmpop)
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None):
                continue
            case ast.BinOp(op=op) if type(op) in _OPERATORS:
                continue
            case ast.Compare(ops=ops) if all(type(op) in _COMPARISONS for op in ops):
                continue
            case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
                continue
            case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _FUNCTIONS:
                continue
            case ast.Name() | ast.BoolOp() | ast.List() | ast.Tuple():
                continue
        if not isinstance(node, known):
            found = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
            raise ConstraintError(
                f"found {found!r} in {text!r}; allowed: names of parameters, numbers, texts, lists, comparisons, and, "
                f"or, not, + - * / // % **, {', '.join(_FUNCTIONS)}"
            )


def _compute(node: ast.expr, values: Mapping[str, Value]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return _WORDS[name] if name in _WORDS else values[name]
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_compute(item, values) for item in items]
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_compute(part, values) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_compute(part, values) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _compute(operand, values)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_compute(operand, values)
        case ast.UnaryOp(operand=operand):
            return +_compute(operand, values)
        case ast.BinOp(left=left, op=op, right=right):
            return _apply(type(op), _compute(left, values), _compute(right, values))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name](*(_compute(argument, values) for argument in arguments))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            computed = [_compute(each, values) for each in (left, *comparators)]
            pairs = zip(computed, ops, computed[1:], strict=False)
            return all(_COMPARISONS[type(op)](first, second) for first, op, second in pairs)
    raise AssertionError(ast.dump(node))  # refused when it was parsed


def _apply(kind: type[ast.operator], left: Any, right: Any) -> Any:
    """Arithmetic on numbers alone: a text times a number would be a text of any length."""
    for operand in (left, right):
        if isinstance(operand, bool) or not isinstance(operand, int | float):
            raise TypeError(f"{operand!r} is not a number")
    if kind is ast.Pow:
        return float(left) ** float(right)  # whole numbers would grow without end
    return _OPERATORS[kind](left, right)


def _complete(parameters: Mapping[str, Value]) -> Mapping[str, Value]:
    """The parameters with the defaults of all that they leave out; as they are where they make no configuration."""
    try:
        return {**build_trial_config(parameters).to_parameters(), **parameters}
    except ConfigError:
        return parameters
