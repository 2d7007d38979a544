"""Whole operators as runnable source, and what is known of the numbers in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from symir.language.clauses import clauses
from symir.language.extensions import extensions
from symir.operator.symbolic_operator import SymbolicOperator

__all__ = ["EXTENSIONS", "PRELUDE", "Number", "Program", "minus", "plus", "times"]

PRELUDE = """\
import jax
import numpy as np

from symir import *

i, j, k, l = map(site, "ijkl")


class Graph:
    def __init__(self, edges):
        self.rows = edges

    def edges(self):
        return self.rows
"""

EXTENSIONS = """\
softplus = register_function("softplus", jax.nn.softplus)
half_of = register_function("half_of", lambda value: value / 2, macro=True)
register_update("reflect", lambda place: affine(place, scale=-1, bias=1))


@register
class ForEachLink(AbstractIteratorClause):
    clause_name = "for_each_link"

    def build_iterator(self, hilbert):
        return ("i", "j"), [(s, (s + 1) % hilbert.size) for s in range(hilbert.size)]


@register
class Differing(AbstractPredicateClause):
    clause_name = "differing"

    def build_predicate(self, a, b):
        return site(a) != site(b)


@register
class Exchange(AbstractEmissionClause):
    clause_name = "exchange"

    def build_emission(self, a, b):
        return swap(a, b), site(a) + 2, "exchange"
"""
"""What the programs that need it register: functions, an update and clauses."""


@dataclass(frozen=True)
class Program:
    """An operator as source, which is all that there is to it.

    Attributes:
        body: statements after `PRELUDE` and `EXTENSIONS`; they name an `operator`.
        extended: whether it needs `EXTENSIONS`.
        error: how far off a matrix element may be because of rounding, in units of the
            machine epsilon of the operator's dtype; 0 where all of them are exact.
        parameters: values of the parameters without a default, and of some others.
    """

    body: str
    extended: bool = False
    error: float = 0.0
    parameters: tuple[tuple[str, complex], ...] = ()

    def to_source(self) -> str:
        """Return runnable source that defines `operator`."""
        head = PRELUDE + (f"\n{EXTENSIONS}" if self.extended else "")
        return f"{head}\n{self.body}"

    def __repr__(self) -> str:
        given = f"\nparameters = {dict(self.parameters)}" if self.parameters else ""
        return f"Program\n{self.to_source()}{given}\n"

    def build(self) -> SymbolicOperator:
        """Build the operator through the public language.

        Raises:
            DefinitionError: where it is a mistake.
        """
        names: dict[str, Any] = {"__name__": "program"}
        code = compile(self.to_source(), "program.py", "exec")
        with clauses(), extensions():
            exec(code, names)
            operator: SymbolicOperator = names["operator"]
            operator.to_ir()  # which reads what is registered
        return operator


MOST_STEPS = 2.0**20
"""What an exact number may be in units of its step: f32 has 24 bits."""


@dataclass(frozen=True)
class Number:
    """The source of an expression, and how it may be rounded.

    Attributes:
        text: an expression of Python, in brackets where it needs them.
        bound: what its absolute value does not exceed.
        step: a power of two that it (each part, if complex) is a whole multiple of in
            exact arithmetic, and then in any order of evaluation; None if rounded.
        error: a bound on its rounding error, in units of the machine epsilon: the
            forward error analysis of a sum and a product, to first order.
        is_complex: whether it may be complex.
    """

    text: str
    bound: float
    step: float | None = None
    error: float = 0.0
    is_complex: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether it is not rounded, whoever computes it."""
        return self.step is not None


def _made(
    text: str, bound: float, step: float | None, error: float, *of: Number
) -> Number:
    is_complex = any(number.is_complex for number in of)
    if step is not None and bound <= MOST_STEPS * step:
        return Number(text, bound, step, 0.0, is_complex)
    # Complex arithmetic makes two roundings more.
    return Number(
        text, bound, None, error + (3 if is_complex else 1) * bound, is_complex
    )


def _common_step(a: Number, b: Number) -> float | None:
    return None if a.step is None or b.step is None else min(a.step, b.step)


def _sum(sign: str, a: Number, b: Number) -> Number:
    text = f"({a.text} {sign} {b.text})"
    bound = a.bound + b.bound
    return _made(text, bound, _common_step(a, b), a.error + b.error, a, b)


def plus(a: Number, b: Number) -> Number:
    """Return a + b."""
    return _sum("+", a, b)


def minus(a: Number, b: Number) -> Number:
    """Return a - b."""
    return _sum("-", a, b)


def times(a: Number, b: Number) -> Number:
    """Return a * b."""
    step = None if a.step is None or b.step is None else a.step * b.step
    error = a.error * b.bound + b.error * a.bound
    text, bound = f"({a.text} * {b.text})", a.bound * b.bound
    # Complex products are sums of two.
    inner = 2 * bound if a.is_complex and b.is_complex else bound
    if step is not None and inner > MOST_STEPS * step:
        step = None
    return _made(text, bound, step, error, a, b)


def exact_step(values: list[float]) -> float:
    """Return a power of two, at most 1, that all of some numbers are multiples of."""
    step = 1.0
    while any(not math.fmod(value, step) == 0 for value in values):
        step /= 2
    return step
