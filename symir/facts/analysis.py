"""Search for the facts of an operator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.utils.exceptions import PassFailedException

from dialects import sym
from lowering.sym.sym_guard_space import keeps_sum
from symir.compiler.lowering import LoweringPipeline
from symir.errors import DefinitionError, InputError
from symir.facts.elements import Elements, Evaluator
from symir.facts.local import Cut, cut, is_diagonal, reach
from symir.facts.operator_facts import Counterexample, Fact, How, OperatorFacts
from symir.language.scalars import is_count
from symir.operator.constraints import shown_sum
from symir.operator.products import NORMAL_FORM
from symir.operator.spaces import Space
from symir.operator.symbolic_operator import SymbolicOperator

Array = npt.NDArray[Any]
Violations = Callable[[Elements], Array]
"""Matrix elements that contradict a fact: (m,) booleans."""

LOCAL_WORK = 2**25
"""Most numbers of the groups of rows: samples * lanes * sites."""

CHECKED_WORK = 2**26
"""Most numbers of all configurations."""

LISTED = 2**18
"""Most configurations that are listed to count the ones of a predicate."""

SAMPLED_WORK = 2**25
"""Most numbers of a sample."""

REVERSED_WORK = 2**23
"""Most numbers of the elements back from the sample."""

MAX_SUSPECTS = 32
"""Most configurations that join the sample because a group of rows fails there."""


def facts_of(
    operator: SymbolicOperator,
    parameters: Mapping[str, complex] | None = None,
    *,
    max_states: int = 2**12,
    samples: int = 16,
    seed: int = 0,
) -> OperatorFacts:
    """Return the facts of an operator at some values of its parameters.

    `parameters` are values by name; others have their defaults. Where one has neither,
    what depends on matrix elements is not decided, unless the form of the terms says
    it. Spaces of up to `max_states` configurations are looked at as a whole, of others
    `samples` configurations, drawn with `seed`.

    Raises:
        InputError: for a parameter that the operator does not have (R003), a value that
            is not one number of its kind (R005), and options that are no counts (F002).
        SymbolicCompilerError: where the operator cannot be lowered.
    """
    counts = ("max_states", max_states), ("samples", samples), ("seed", seed)
    for name, count in counts:
        if not is_count(count):
            raise InputError(
                "F002",
                f"{name} is no count",
                operator=operator.name,
                expected="an integer >= 0",
                found=repr(count),
            )
    values = operator.to_ir().bind(parameters)
    return _Analysis(operator, values, max_states, samples, seed).facts()


@dataclass(frozen=True)
class _Evidence:
    """Evidence of every fact: elements, and the conclusion where none is bad."""

    elements: Elements
    how: How
    reason: str
    reverse: Callable[[], tuple[Array, Array, Array]]
    """Numbers of elements, and <x'|O|x> for these with its scale."""


# region Violations


def _not_finite(elements: Elements) -> Array:
    return ~np.isfinite(elements.value)


def _not_real(elements: Elements) -> Array:
    return elements.imaginary


def _not_diagonal(elements: Elements) -> Array:
    return elements.moves & elements.matters


def _not_stoquastic(elements: Elements) -> Array:
    positive = ~(np.real(elements.value) <= elements.tolerance)
    return elements.imaginary | (elements.moves & positive)


def _not_kept(weights: Array, modulus: float | None = None) -> Violations:
    """Return which elements change sum_s weights[s] x[s].

    With a `modulus`, those that change it by no multiple of that.
    """

    def violations(elements: Elements) -> Array:
        after = elements.target.astype(np.float64)
        change = (after - elements.x[elements.source]) @ weights
        if modulus is not None:
            change = change - modulus * np.rint(change / modulus)
        # Local values that are fractions are added up with rounding.
        size = np.abs(after) @ np.abs(weights) + 1
        return elements.matters & (np.abs(change) > 1e-9 * size)

    return violations


def _outside(space: Space) -> Violations:
    def violations(elements: Elements) -> Array:
        found = elements.moves & elements.matters
        found[found] = ~space.contains(elements.target[found])
        return found

    return violations


# endregion


class _Analysis:
    """Evaluation of an operator at one set of values of its parameters."""

    def __init__(
        self,
        operator: SymbolicOperator,
        values: Mapping[str, complex],
        max_states: int,
        samples: int,
        seed: int,
    ):
        self.operator = operator
        self.space = operator.space
        self.ir = operator.to_ir()
        self.values = values
        self.max_states, self.samples = max_states, samples
        self.rng = np.random.default_rng(seed)
        self.op = cast(sym.OperatorOp, self.ir.module.body.block.first_op)
        self.missing = [name for name in self.ir.free_symbols if name not in values]

    def facts(self) -> OperatorFacts:
        far = reach(self.op)
        cut_ = self._cut
        bound = self.ir.max_conn_size
        if self._local is not None and isinstance(cut_, Cut):
            bound = min(bound, cut_.branches_bound(self._local.elements.busy))
        arguments = zip(self.ir.free_symbols, self.op.body.block.args, strict=True)
        return OperatorFacts(
            operator=self.operator.name,
            sites=self.space.size,
            declared_hermitian=self.operator.declared_hermitian,
            finite=self._finite(),
            hermitian=self._hermitian(),
            real=self._real(),
            diagonal=self._diagonal(),
            stoquastic=self._stoquastic(),
            conserves_sum=self._sum(),
            conserves_parity=self._parity(),
            conserves_constraints=self._constraints(),
            conserved_sums={
                shown_sum(one): self._kept(np.array(one.weights), one.weights)
                for one in self.space.sums
            },
            body=far.body,
            reach=far.distance,
            reach_periodic=far.on_ring,
            max_conn_size=self.ir.max_conn_size,
            branches_bound=bound,
            branches_found=self._most,
            terms=self.ir.term_count,
            parameters={
                name: self.values.get(name)
                for name, argument in arguments
                if argument.first_use is not None
            },
        )

    # region Evidence

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator(self.ir, self.space, self.values)

    @cached_property
    def _cut(self) -> Cut | str:
        if self.missing:
            return self._no_values
        return cut(self.op, LOCAL_WORK // self._evaluator.cost)

    @property
    def _no_values(self) -> str:
        names = ", ".join(map(repr, self.missing))
        verb = "has" if len(self.missing) == 1 else "have"
        return f"{names} {verb} no value"

    @cached_property
    def _local(self) -> _Evidence | None:
        """All groups of rows: what holds for each of them holds for the operator."""
        if not isinstance(self._cut, Cut):
            return None
        elements = self._evaluator.elements(self._cut.x, self._cut.selected)
        kinds = self._cut.kinds
        reason = f"for each of {kinds} kind{'s' * (kinds != 1)} of rows"
        if not kinds:
            reason = "by the form of the terms"
        return _Evidence(
            elements, How.PROVED, reason, lambda: self._all_reversed(elements)
        )

    def _all_reversed(self, elements: Elements) -> tuple[Array, Array, Array]:
        value, scale = elements.reversed(self._evaluator.distinct)
        return np.arange(len(value)), value, scale

    @cached_property
    def _states(self) -> _Evidence | str:
        """All configurations of a small space, or a sample of a large one."""
        if self.missing:
            return self._no_values
        count = self._count
        if count is not None:
            x = self.space.all_states()
            elements = self._evaluator.elements(x)
            reason = f"on all {count} configurations"
            return _Evidence(
                elements, How.CHECKED, reason, lambda: self._all_reversed(elements)
            )
        return self._sampled()

    @property
    def _count(self) -> int | None:
        """The number of configurations; None where they are too many to look at."""
        most = min(self.max_states, CHECKED_WORK // self._evaluator.cost)
        free = math.prod(map(len, map(self.space.local_states_at, self._sites)))
        if self.space.predicates and free > LISTED:
            return None
        return self.space.n_states if self.space.n_states <= most else None

    @property
    def _sites(self) -> range:
        return range(self.space.size)

    def _sampled(self) -> _Evidence | str:
        affordable = SAMPLED_WORK // self._evaluator.cost
        if not affordable:
            return f"{self.ir.max_conn_size} lanes are too many to be looked at"
        try:
            drawn = self.space.random_states(min(self.samples, affordable), self.rng)
        except DefinitionError as error:
            return f"no configuration can be drawn: {error.message}"
        x = np.concatenate([drawn, self._suspects(affordable)])
        if not len(x):
            return "no configuration was looked at"
        elements = self._evaluator.elements(np.unique(x, axis=0))
        return _Evidence(
            elements,
            How.SAMPLED,
            f"in {len(elements.x)} samples",
            lambda: self._some_reversed(elements),
        )

    def _suspects(self, affordable: int) -> Array:
        """Return configurations of the space where some group of rows fails a test."""
        empty = np.empty((0, self.space.size), self.space.default_dtype())
        if self._local is None:
            return empty
        elements = self._local.elements
        failed = [
            np.flatnonzero(test(elements))
            for test in (
                _not_real,
                _not_stoquastic,
                _not_kept(np.ones(self.space.size)),
            )
        ]
        failed.append(self._asymmetries(self._local)[0])
        share = MAX_SUSPECTS // len(failed)
        found = np.concatenate([elements.source[one[:share]] for one in failed])
        x = elements.x[np.unique(found)].astype(empty.dtype)
        return x[self.space.contains(x)][:affordable]

    def _some_reversed(self, elements: Elements) -> tuple[Array, Array, Array]:
        """Evaluate the operator at some x', as many as the work allows."""
        moved = np.flatnonzero(elements.moves & elements.matters)
        most = max(1, REVERSED_WORK // self._evaluator.cost)
        if len(moved) > most:
            moved = np.sort(self.rng.choice(moved, most, replace=False))
        value, scale = self._evaluator.element(
            elements.target[moved], elements.x[elements.source[moved]]
        )
        still = np.flatnonzero(~elements.moves)
        return (
            np.concatenate([moved, still]),
            np.concatenate([value, elements.value[still]]),
            np.concatenate([scale, elements.scale[still]]),
        )

    @property
    def _most(self) -> int | None:
        if isinstance(self._states, str):
            return None
        return int(self._states.elements.busy.max(initial=0))

    # endregion
    # region Verdicts

    def _decided(self, violations: Violations) -> Fact:
        """Decide a fact that is contradicted by single matrix elements."""
        if self._local is not None and not violations(self._local.elements).any():
            return Fact(True, How.PROVED, f"proved {self._local.reason}")
        if isinstance(self._states, str):
            return Fact(None, How.NONE, self._states)
        return self._judged(violations, self._states)

    def _judged(self, violations: Violations, evidence: _Evidence) -> Fact:
        """Decide a fact from all configurations, or a sample of them."""
        bad = np.flatnonzero(violations(evidence.elements))
        if not len(bad):
            return self._not_refuted(evidence)
        element = evidence.elements.value[bad[0]].item()
        return self._refuted(evidence, bad[0], (element,))

    def _not_refuted(self, evidence: _Evidence) -> Fact:
        if evidence.how is How.CHECKED:
            return Fact(True, How.CHECKED, f"checked {evidence.reason}")
        reason = f"sampled: no counterexample {evidence.reason}"
        if isinstance(self._cut, str):
            reason += f"; not proved, since {self._cut}"
        return Fact(None, How.SAMPLED, reason)

    def _refuted(
        self, evidence: _Evidence, number: int, values: tuple[complex, ...]
    ) -> Fact:
        elements = evidence.elements
        found = Counterexample(
            tuple(elements.x[elements.source[number]].tolist()),
            tuple(elements.target[number].tolist()),
            values,
        )
        count = len(elements.x)
        reason = f"a counterexample in a sample of {count}"
        if evidence.how is How.CHECKED:
            reason = f"a counterexample among {count} configurations"
        return Fact(False, evidence.how, reason, found)

    def _asymmetries(self, evidence: _Evidence) -> tuple[Array, Array]:
        """Return the numbers of elements that are not <x'|O|x>*, and the latter."""
        numbers, reverse, scale = evidence.reverse()
        elements = evidence.elements
        conjugate = np.zeros(len(elements.value), elements.value.dtype)
        scales = np.zeros(len(conjugate))
        looked = np.zeros(len(conjugate), np.bool_)
        conjugate[numbers], scales[numbers] = reverse.conj(), scale
        looked[numbers] = True
        bad = np.flatnonzero(looked & elements.differ_from(conjugate, scales))
        return bad, conjugate[bad].conj()

    def _finite(self) -> Fact:
        if isinstance(self._states, str):
            return Fact(None, How.NONE, self._states)
        return self._judged(_not_finite, self._states)

    def _hermitian(self) -> Fact:
        if self._local is not None and not len(self._asymmetries(self._local)[0]):
            return Fact(True, How.PROVED, f"proved {self._local.reason}")
        if self._is_real_dtype and self._is_diagonal_form:
            return Fact(True, How.PROVED, "proved: it is real and diagonal by its form")
        if isinstance(self._states, str):
            return Fact(None, How.NONE, self._states)
        bad, reverse = self._asymmetries(self._states)
        if len(bad):
            pair = (self._states.elements.value[bad[0]].item(), reverse[0].item())
            return self._refuted(self._states, bad[0], pair)
        return self._not_refuted(self._states)

    @property
    def _is_real_dtype(self) -> bool:
        return np.dtype(self.ir.dtype_str).kind != "c"

    @cached_property
    def _is_diagonal_form(self) -> bool:
        return all(is_diagonal(term) for term in self.op.terms)

    def _real(self) -> Fact:
        if self._is_real_dtype:
            reason = f"proved: the matrix elements are {self.ir.dtype_str}"
            return Fact(True, How.PROVED, reason)
        return self._decided(_not_real)

    def _diagonal(self) -> Fact:
        if self._is_diagonal_form:
            return Fact(True, How.PROVED, "proved: no emission has an update")
        return self._decided(_not_diagonal)

    def _stoquastic(self) -> Fact:
        if self._is_real_dtype and self._is_diagonal_form:
            return Fact(True, How.PROVED, "proved: it is real and diagonal by its form")
        return self._decided(_not_stoquastic)

    def _sum(self) -> Fact:
        return self._kept(np.ones(self.space.size), (1.0,) * self.space.size)

    def _kept(
        self, weights: Array, exact: Sequence[float], modulus: float | None = None
    ) -> Fact:
        """Decide whether a weighted sum of the local values is conserved."""
        if self._is_diagonal_form:
            return Fact(True, How.PROVED, "proved: no emission has an update")
        if self.operator.is_projected and any(
            _are_parallel(weights, np.array(one.weights)) for one in self.space.sums
        ):
            reason = "proved: the space fixes it, and branches that leave are dropped"
            return Fact(True, How.PROVED, reason)
        if self._keeps(tuple(map(float, exact)), modulus):
            return Fact(True, How.PROVED, "proved for each update")
        return self._decided(_not_kept(weights, modulus))

    def _keeps(self, weights: tuple[float, ...], modulus: float | None) -> bool:
        try:
            return all(
                keeps_sum(term, emission, weights, modulus)
                for term in self._normal_form.terms
                for emission in term.emissions
            )
        except PassFailedException:  # the numbers are too large to be added exactly
            return False

    @cached_property
    def _normal_form(self) -> sym.OperatorOp:
        pipeline = LoweringPipeline.parse(NORMAL_FORM)
        module = pipeline.run(self.ir.module, verify=False)
        return cast(sym.OperatorOp, module.body.block.first_op)

    def _parity(self) -> Fact:
        if self._is_diagonal_form:
            return Fact(True, How.PROVED, "proved: no emission has an update")
        units = _units(self.space)
        if units is None:
            reason = "the local values have no common spacing to count by"
            return Fact(None, How.NONE, reason)
        common = math.lcm(*units)
        weights = [common / unit for unit in units]
        return self._kept(np.array(weights), weights, 2.0 * common)

    def _constraints(self) -> Fact:
        if not self.space.is_constrained:
            return Fact(True, How.PROVED, "proved: the space has no constraint")
        if self.operator.is_projected:
            reason = "proved: branches that leave are dropped"
            return Fact(True, How.PROVED, reason)
        if self._is_diagonal_form:
            return Fact(True, How.PROVED, "proved: no emission has an update")
        sums = [self._keeps(one.weights, None) for one in self.space.sums]
        if all(sums) and not self.space.predicates:
            return Fact(True, How.PROVED, "proved for each update")
        if isinstance(self._states, str):
            return Fact(None, How.NONE, self._states)
        return self._judged(_outside(self.space), self._states)

    # endregion


def _are_parallel(a: Array, b: Array) -> bool:
    return bool(np.array_equal(a * b[0], b * a[0]) and a[0] and b[0])


def _units(space: Space) -> list[int] | None:
    """Return the spacing that the local values of each site are multiples of.

    None where they are not integers, up to a common shift.
    """
    found: list[int] = []
    for site in range(space.size):
        values = space.local_states_at(site)
        gaps = [Fraction(value) - Fraction(values[0]) for value in values]
        if any(gap.denominator != 1 for gap in gaps):
            return None
        found.append(math.gcd(*map(int, gaps)) or 1)
    return found
