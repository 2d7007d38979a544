"""Trial of an operator on a constrained space, when it is built: does it stay there?

A space with a fixed particle number, magnetisation or another constraint is only as
good as the operators on it. The kernel guards each branch that it cannot prove to stay
inside; here a few rows of each term are evaluated at a few configurations, so that most
mistakes are seen where they are made, with the values.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dialects.interpreters.sym import Branch, branches
from symir.errors import DefinitionError
from symir.language.codes import Mistake
from symir.language.definitions import OperatorDefinition, TermDefinition
from symir.language.scope import emission_label
from symir.language.translate import translate
from symir.operator.spaces import Space

MAX_ROWS = 16
"""Rows of each term that are tried."""

MAX_SITES_SHOWN = 64

MAX_STATES = 16
"""Configurations where the rows are tried."""


def check_stays_inside(definition: OperatorDefinition) -> None:
    """Raise where a branch is seen to leave the constraints of the space.

    Raises:
        DefinitionError: with x, x' and the matrix element (D048).
    """
    space = definition.space
    if definition.is_projected or not (space.sums or space.predicates):
        return
    # The kernel would say NaN where the interpreter is asked for the values.
    free = replace(
        definition,
        space=space.unconstrained,
        terms=tuple(_thinned(term) for term in definition.terms),
    )
    module = translate(free)
    unbound = {s.name: 1.0 for s in definition.symbols if s.default is None}
    for x in _some_states(space):
        for branch in branches(module, x, unbound):
            if not branch.valid or branch.amplitude == 0:
                continue
            if not space.contains(branch.config):
                raise _leaves(definition, x, branch)


def _some_states(space: Space) -> npt.NDArray[Any]:
    """Return a few configurations; none where they are too rare to be drawn."""
    try:
        return space.random_states(MAX_STATES, seed=0)
    except DefinitionError:  # the kernel guards each branch all the same
        return np.empty((0, space.size))


def _thinned(term: TermDefinition) -> TermDefinition:
    """Return a term with a few of its rows, the first and the last among them."""
    count = term.rows.rows
    kept = np.unique(np.linspace(0, count - 1, min(count, MAX_ROWS)).astype(np.int64))
    return replace(term.of_rows(kept), fanout=None)


def _leaves(
    definition: OperatorDefinition, x: npt.NDArray[Any], branch: Branch
) -> Exception:
    (term,) = (term for term in definition.terms if term.name == branch.term)
    emission = term.emissions[branch.emission]
    return Mistake.LEAVES_SPACE.error(
        f"a branch leaves {definition.space!r}",
        operator=definition.name,
        term=term.name,
        emission=emission_label(branch.emission, emission.tag),
        location=emission.location,
        expected="an x' that satisfies the constraints of the space, as x does",
        found=f"x = {_shown(x)}, x' = {_shown(branch.config)}, "
        f"<x|O|x'> = {branch.amplitude:g}",
        hint="DOperator(.., projected=True) drops the branches that leave the space",
    )


def _shown(x: npt.NDArray[Any]) -> str:
    values = [f"{value:g}" for value in x.tolist()]
    if len(values) > MAX_SITES_SHOWN:
        values[MAX_SITES_SHOWN:] = [".."]
    return f"[{', '.join(values)}]"
