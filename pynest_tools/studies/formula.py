# SPDX-License-Identifier: GPL-2.0-or-later
"""Formulas of a study: arithmetic, comparison and a few functions of named values, and nothing else of Python."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import simpleeval

from ..errors import UserError
from ..settings import suggestion

MOST_CHARACTERS = 1000
MOST_BITS = 1024  # of a power of whole numbers, which is where floating-point numbers end, too


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > MOST_BITS:
        raise OverflowError("a power is too large")
    return simpleeval.safe_power(base, exponent)


def _round(number: Any, digits: int | None = None) -> Any:
    return round(number) if digits is None else round(float(number), digits)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "round": _round,
    "min": min,
    "max": max,
    "abs": abs,
    "float": float,
    "int": int,
}
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: simpleeval.safe_add,
    ast.Sub: operator.sub,
    ast.Mult: simpleeval.safe_mult,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, values: value in values,
    ast.NotIn: lambda value, values: value not in values,
}
ALLOWED = (
    *(ast.Constant, ast.Name, ast.Load, ast.List, ast.Tuple, ast.Call),
    *(ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.IfExp),
    *OPERATORS,
)
OFFER = f"numbers, texts, lists, + - * / // % **, comparisons, and, or, not, a if b else c, and {', '.join(FUNCTIONS)}"


class Formula:
    """A formula, such as ``t_pres / 2 if backend == 'ode' else 10``.

    Parameters
    ----------
    text : str
        What is written.

    Attributes
    ----------
    text : str
        The same.
    names : frozenset of str
        Names whose values it needs.

    Raises
    ------
    UserError
        If it is no formula, or asks for more than formulas can.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > MOST_CHARACTERS:
            raise UserError(f"a formula has at most {MOST_CHARACTERS} characters, this one {len(text)}")
        try:
            self._tree = ast.parse(text.replace("\n", " ").strip(), mode="eval").body
            nodes = list(ast.walk(self._tree))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise UserError(f"it is no formula: {reason}") from error
        functions = [node.func for node in nodes if isinstance(node, ast.Call)]
        called = [function.id for function in functions if isinstance(function, ast.Name)]
        for name in called:
            if name not in FUNCTIONS:
                raise UserError(f"its function {name} is unknown; {suggestion(name, list(FUNCTIONS))}")
        strange = any(not isinstance(node, ALLOWED) for node in nodes)
        strange |= any(isinstance(n, ast.Constant) and not isinstance(n.value, int | float | str) for n in nodes)
        if strange or len(called) < len(functions):
            raise UserError(f"a formula has only {OFFER}")
        of_functions = {id(function) for function in functions}
        self.names = frozenset(n.id for n in nodes if isinstance(n, ast.Name) and id(n) not in of_functions)
        self._evaluator = simpleeval.EvalWithCompoundTypes(operators=OPERATORS, functions=dict(FUNCTIONS))

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """What it comes to with these values of its names; raises UserError if it comes to nothing."""
        self._evaluator.names = dict(values)
        try:
            return self._evaluator.eval(self.text, previously_parsed=self._tree)
        except (ArithmeticError, TypeError, ValueError, RecursionError, simpleeval.InvalidExpression) as error:
            raise UserError(f"it cannot be computed: {error}") from error

    def refuse_unknown(self, known: list[str]) -> None:
        """Raise UserError if it needs a name that is not known."""
        for name in sorted(self.names - set(known)):
            told = suggestion(name, known) if known else "there are no names here"
            raise UserError(f"its name {name} is unknown; {told}")
