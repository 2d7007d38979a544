"""Many small operators, no two of them the same, from a few choices each.

A recipe has a number for each choice; equal recipes make equal operators, others do
not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import symir as sym

Recipe = tuple[int, ...]

SPACES: tuple[Callable[[], sym.Space], ...] = (
    lambda: sym.fock(2, 4),
    lambda: sym.fock(3, 4),
    lambda: sym.fock(2, 5),
    lambda: sym.spin(1, 4),
    lambda: sym.space([[0, 1], [0, 1, 2], [0, 1, 2], [0, 1, 2, 3]]),
    lambda: sym.space([0, 0.5, 1], 4),
    lambda: sym.fock(2, 4, n_particles=3),
    lambda: sym.fock(2, 4).where_sum(3, weights=[1, 1, 1, 2]),
    lambda: sym.fock(2, 4).where_sum(2, sites=[0, 1]),
)
ROWS = (
    [(0, 1), (1, 2)],
    [(1, 2), (0, 1)],
    [(0, 1), (0, 1)],
    [(0, 0), (3, 1), (2, 3)],
    [(1, 0), (2, 1)],
)
NUMBERS = (1, 2, 0.5, -1, 1 / 3, 0, -0.0, 1e-300)
UPDATES: tuple[Callable[[Any, Any], Any], ...] = (
    lambda a, b: sym.identity(),
    lambda a, b: sym.shift(a, 1),
    lambda a, b: sym.shift(a, -1),
    lambda a, b: sym.shift(b, 1),
    lambda a, b: sym.swap(a, b),
    lambda a, b: sym.hop(a, b),
    lambda a, b: sym.hop(b, a),
    lambda a, b: sym.write(a, sym.site(b).value),
    lambda a, b: sym.shift(a, 1).shift(b, -1),
    lambda a, b: sym.shift(b, -1).shift(a, 1),
    lambda a, b: sym.shift_mod(a, 1),
    lambda a, b: sym.permute(a, b, 3),
    lambda a, b: sym.cond(sym.site(a) > 0, sym.shift(a, -1), sym.shift(b, -1)),
    lambda a, b: sym.scatter([a, b], [0, 1]),
)
AMPLITUDES: tuple[Callable[[Any, Any, Any], Any], ...] = (
    lambda a, b, c: c,
    lambda a, b, c: c * a,
    lambda a, b, c: c * b,
    lambda a, b, c: c + a,
    lambda a, b, c: c - a,
    lambda a, b, c: a - c,
    lambda a, b, c: c * a.index,
    lambda a, b, c: c * sym.sqrt(abs(a)),
    lambda a, b, c: c * sym.row("J"),
    lambda a, b, c: c * sym.symbol("g", 1.0),
    lambda a, b, c: c * sym.symbol("g", 2.0),
    lambda a, b, c: c * sym.symbol("g"),
    lambda a, b, c: c * sym.symbol("k", 1.0),
    lambda a, b, c: c * sym.sum_(sym.here, over=sym.set_("star")),
    lambda a, b, c: c * sym.sum_(sym.here),
    lambda a, b, c: c * sym.parity(sym.here),
    lambda a, b, c: c * sym.table([1, 2, 3, 4])[a.index],
    lambda a, b, c: c * sym.table([1, 2, 4, 3])[a.index],
)
PREDICATES: tuple[Callable[[Any, Any], Any], ...] = (
    lambda a, b: None,
    lambda a, b: a > 0,
    lambda a, b: a >= 0,
    lambda a, b: b > 0,
    lambda a, b: a > b,
    lambda a, b: (a > 0) & (b > 0),
    lambda a, b: (a > 0) | (b > 0),
    lambda a, b: a.index < b.index,
)
DTYPES = ("float64", "complex128", "float32")
NAMES = ("one", "another")
DATA = ([1.0, 2.0, 3.0], [1.0, 4.0, 3.0], [2.0, 1.0, 3.0])
SETS = ([[0], [1], [2]], [[0, 1], [1], [2]], [[0], [], [2]])
TAGS = (None, "tag", "other")
FANOUTS = (None, 1)
SECOND = (False, True)
FLAGS = (False, True)

CHOICES = (
    *(SPACES, ROWS, NUMBERS, UPDATES, AMPLITUDES, PREDICATES, DTYPES, NAMES, NAMES),
    *(DATA, SETS, TAGS, FANOUTS, SECOND, FLAGS),
)


def recipes(count: int) -> list[Recipe]:
    """Return as many different recipes, the same ones every time."""
    found: dict[Recipe, None] = {}
    for recipe in _neighbours():
        found[recipe] = None
    rng = random.Random(0)
    while len(found) < count:
        found[tuple(rng.randrange(len(choice)) for choice in CHOICES)] = None
    return list(found)[:count]


def _neighbours() -> Iterator[Recipe]:
    """Yield recipes that differ in one choice only."""
    base = (0,) * len(CHOICES)
    for position, choice in enumerate(CHOICES):
        for k in range(len(choice)):
            yield (*base[:position], k, *base[position + 1 :])


def make(recipe: Recipe, labels: tuple[str, str] = ("i", "j")) -> sym.SymbolicOperator:
    """Return the operator of a recipe."""
    picked: list[Any] = [choice[k] for choice, k in zip(CHOICES, recipe, strict=True)]
    space, rows, number, update, amplitude, predicate, dtype, name, term, *rest = picked
    data, sets, tag, fanout, second, hermitian = rest
    a, b = map(sym.site, labels)
    builder = sym.DOperator(
        # A claim to be Hermitian would be wrong, and an error
        space(),
        name,
        dtype=dtype,
        hermitian=False if hermitian else None,
        projected=True,
    ).for_each(
        labels,
        over=rows,
        data={"J": data[: len(rows)]},
        sets={"star": sets[: len(rows)]},
    )
    builder = builder.named(term)
    condition = predicate(a, b)
    if condition is not None:
        builder = builder.where(condition)
    builder = builder.emit(update(*labels), amplitude=amplitude(a, b, number), tag=tag)
    if second:
        builder = builder.emit(amplitude=number)
    if fanout is not None:
        builder = builder.fanout(fanout)
    return builder.build()
