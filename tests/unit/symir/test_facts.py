"""The facts of operators, against the dense matrix that the interpreter makes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import symir as sym
from dialects.interpreters.sym import connections, dense_matrix
from symir import models
from symir.facts import How, OperatorFacts
from tests.unit.symir.compiler.generated import make, recipes
from tests.unit.symir.constructs import CONSTRUCTS
from tests.unit.symir.models.test_models import SMALL
from tests.unit.symir.test_without_jax import BLOCKED

Array = npt.NDArray[Any]

i, j = sym.site("i"), sym.site("j")
RING = [(k, (k + 1) % 100) for k in range(100)]


# ---- the oracle ----


def places(states: Array, space: sym.Space) -> Array:
    """Return the local values counted from the lowest, in units of their spacing."""
    found = np.empty(states.shape)
    for site in range(space.size):
        values = np.array(space.local_states_at(site))
        unit = np.gcd.reduce((values - values[0]).astype(int)) or 1
        found[:, site] = (states[:, site] - values[0]) / unit
    return found


def verdicts(matrix: Array, space: sym.Space) -> dict[str, bool]:
    """Say of each fact whether it holds, from the dense matrix."""
    states = space.all_states(np.float64)
    single = np.finfo(matrix.dtype).bits == 32
    largest = np.abs(matrix[np.isfinite(matrix)]).max(initial=0)
    small = (1e-5 if single else 1e-12) * largest
    is_zero = np.abs(matrix) <= small
    off = ~np.eye(len(matrix), dtype=bool)
    real = bool((np.abs(np.imag(matrix)) <= small).all())
    total, parity = states.sum(axis=1), places(states, space).sum(axis=1) % 2
    with np.errstate(invalid="ignore"):
        distance = np.abs(matrix - matrix.conj().T)
    distance[np.isnan(matrix) & np.isnan(matrix.T)] = 0

    def keeps(charge: Array) -> bool:
        return bool((is_zero | np.isclose(charge[:, None], charge)).all())

    return {
        "finite": bool(np.isfinite(matrix).all()),
        "hermitian": bool((distance <= 10 * small).all()),
        "real": real,
        "diagonal": bool(is_zero[off].all()),
        "stoquastic": real and bool((np.real(matrix)[off] <= small).all()),
        "conserves the sum": keeps(total),
        "conserves the parity": keeps(parity),
    }


def agree(operator: sym.SymbolicOperator, parameters: Any = None) -> None:
    """Check the facts of an operator, looked at as a whole and from samples."""
    module, space = operator.to_ir().module, operator.space
    matrix = dense_matrix(module, parameters)
    expected = verdicts(matrix, space)
    _, mels = connections(module, space.all_states(), parameters)
    most = int((mels != 0).sum(axis=1).max(initial=0))
    fractions = any(v % 1 for v in np.concatenate(space.local_states))
    for max_states in (2**12, 0):
        facts = operator.facts(parameters, max_states=max_states)
        for name, holds in expected.items():
            open_ = not max_states or (fractions and name == "conserves the parity")
            allowed = (holds, None) if open_ else (holds,)
            assert facts.facts[name].value in allowed, (name, str(facts))
            assert max_states or facts.facts[name].how is not How.CHECKED
        check_counterexamples(matrix, space, facts)
        assert most <= facts.branches_bound <= facts.max_conn_size == mels.shape[1]
        if max_states:
            assert facts.branches_found == most


def check_counterexamples(
    matrix: Array, space: sym.Space, facts: OperatorFacts
) -> None:
    """Each counterexample is an element of the matrix; for Hermiticity, a pair."""
    states = [tuple(x) for x in space.all_states(np.float64).tolist()]
    for name, fact in facts.facts.items():
        assert (fact.counterexample is None) is (fact.value is not False)
        if fact.counterexample is None:
            continue
        found = fact.counterexample
        row, column = states.index(found.x), states.index(found.xp)
        pair = (matrix[row, column], matrix[column, row])
        assert len(found.elements) == (2 if name == "hermitian" else 1)
        np.testing.assert_allclose(
            found.elements, pair[: len(found.elements)], rtol=1e-5, atol=1e-9
        )


# ---- against dense matrices ----


@pytest.mark.parametrize("name", SMALL)
def test_models(name: str) -> None:
    operator = SMALL[name]()
    agree(operator)
    assert operator.facts(max_states=0).hermitian.value is not False


@pytest.mark.parametrize("name", [*CONSTRUCTS][::19])
def test_constructs(name: str) -> None:
    agree(CONSTRUCTS[name](3))


@pytest.mark.parametrize("recipe", recipes(400)[::41])
def test_random_operators(recipe: tuple[int, ...]) -> None:
    operator = make(recipe)
    agree(operator, {s.name: 0.7 for s in operator.symbols if s.default is None})


# ---- on any size ----


def test_what_is_proved_of_models_of_a_hundred_sites() -> None:
    couplings = np.random.default_rng(0).normal(size=100)
    ising = models.transverse_field_ising(100, RING, couplings).facts()
    bosons = models.bose_hubbard(sym.fock(4, 100), RING, phases=0.3).facts()
    stars = models.toric_code(98, (7, 7)).facts()
    for facts in (ising, bosons, stars):
        assert facts.hermitian.value is True
        assert facts.hermitian.how is How.PROVED
    assert ising.stoquastic.value is stars.stoquastic.value is True
    assert bosons.real.value is bosons.stoquastic.value is False
    assert bosons.conserves_sum.value is bosons.conserves_parity.value is True
    assert ising.conserves_parity.value is stars.conserves_sum.value is False
    assert stars.conserves_parity.how is How.PROVED
    assert (ising.body, ising.reach, ising.reach_periodic) == (2, 99, 1)
    assert (stars.body, ising.terms, bosons.max_conn_size) == (4, 2, 400)
    # A boson hops one way or none; on-site terms are one branch each.
    assert bosons.branches_bound <= 300


def pairs(n: int) -> sym.SymbolicOperator:
    """Create pairs of fermions, and count them: with signs that read all sites."""
    builder = sym.DOperator(sym.fock(1, n), "pairs")
    builder = builder.for_each(("i", "j"), over=[(k, n - 1 - k) for k in range(n // 2)])
    return builder.emit(
        sym.shift("i", 1).shift("j", 1),
        amplitude=sym.jordan_wigner("i", "j"),
    ).build()


def test_updates_prove_the_parity_where_signs_read_all_sites() -> None:
    facts = pairs(60).facts()
    assert facts.conserves_parity.value is True
    assert facts.conserves_parity.how is How.PROVED
    assert facts.conserves_sum.value is False
    assert facts.body == 60
    assert facts.hermitian.value is False
    agree(pairs(4))


def test_one_bad_bond_of_many_is_found() -> None:
    weights = np.ones((2, 100))
    weights[1, 37] = 1.5
    operator = (
        sym.DOperator(sym.qubit(100), "hops", hermitian=True)
        .for_each(("i", "j"), over=RING, data={"a": weights[0], "b": weights[1]})
        .where((i == 1) & (j == 1))
        .emit(sym.write("i", 0).write("j", 0), amplitude=sym.row("a"))
        .for_each(("i", "j"), over=RING, data={"b": weights[1]})
        .where((i == 0) & (j == 0))
        .emit(sym.write("i", 1).write("j", 1), amplitude=sym.row("b"))
        .build()
    )
    facts = operator.facts(samples=2)
    found = facts.hermitian.counterexample
    assert facts.declared_hermitian
    assert facts.hermitian.value is False
    assert found is not None
    changed = np.flatnonzero(np.array(found.x) != found.xp)
    assert changed.tolist() == [37, 38]
    assert sorted(np.real(found.elements)) == [1, 1.5]
    assert str(operator.facts(samples=2)) == str(facts)
    assert "1 at 37" in str(facts)


def test_a_claim_to_be_hermitian_is_no_proof() -> None:
    operator = sym.DOperator(sym.spin(0.5, 2), "raise", hermitian=True)
    operator = operator.globally().emit(sym.write(1, 1), amplitude=2).build()
    fact = operator.facts().hermitian
    assert fact.value is False
    assert fact.counterexample is not None
    assert fact.counterexample.x == (-1, -1)
    assert fact.counterexample.xp == (-1, 1)
    assert fact.counterexample.elements == (2, 0)
    assert "x = [-1, -1], x' = [-1, 1], <x|O|x'> = 2, <x'|O|x> = 0" in str(fact)


def test_a_small_element_beside_a_large_one_counts() -> None:
    builder = sym.DOperator(sym.qubit(60), "small").for_each_site("i")
    builder = builder.emit(amplitude=1e10 * i).globally()
    facts = builder.emit(sym.write(3, 1), amplitude=1e-30).build().facts()
    assert facts.hermitian.value is facts.diagonal.value is False
    assert facts.conserves_sum.value is False


# ---- constraints ----


def moves(space: sym.Space, *, projected: bool) -> sym.SymbolicOperator:
    """Move a particle on; at site 3, which is not tried out, make one."""
    hops = sym.DOperator(space, "moves", projected=projected)
    hops = hops.for_each(("i", "j"), over=[(k, (k + 1) % 40) for k in range(40)])
    made = hops.emit(sym.hop("i", "j")).for_each_site("i")
    return made.where(i.index == 3).emit(sym.write("i", 1 - i)).build()


@pytest.mark.parametrize(
    "space",
    [
        sym.fock(1, 40, n_particles=2),
        sym.fock(1, 40, n_particles=2).where(sym.site(0).value + sym.site(1).value < 2),
    ],
)
def test_leaving_a_constrained_space(space: sym.Space) -> None:
    facts = moves(space, projected=False).facts()
    assert facts.conserves_constraints.value is False
    found = facts.conserves_constraints.counterexample
    assert found is not None
    assert not space.contains(np.array(found.xp))
    assert facts.finite.value is False
    (one,) = facts.conserved_sums.values()
    assert one.value is False
    kept = moves(space, projected=True).facts()
    assert kept.conserves_constraints.value is True
    (one,) = kept.conserved_sums.values()
    assert one.value is True


# ---- parameters and options ----


def field(*, h: complex | None) -> sym.SymbolicOperator:
    amplitude = sym.symbol("h", default=h, dtype=complex)
    builder = sym.DOperator(sym.spin(0.5, 3), "field", dtype="complex128")
    builder = builder.for_each_site("i").emit(sym.flip("i"), amplitude=amplitude)
    return builder.build()


def test_parameters() -> None:
    assert field(h=-1.0).facts().stoquastic.value is True
    assert field(h=-1.0).facts({"h": 1j}).hermitian.value is False
    facts = field(h=None).facts()
    assert facts.hermitian.value is facts.real.value is facts.finite.value is None
    assert facts.hermitian.reason == "'h' has no value"
    assert facts.parameters == {"h": None}
    assert field(h=None).facts({"h": 2}).parameters == {"h": 2}
    assert field(h=None).facts({"h": 2}).real.value is True


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"g": 1}, "R003"),
        ({"h": "1"}, "R005"),
        ({"h": [1, 2]}, "R005"),
        ({"h": None}, "R005"),
    ],
)
def test_bad_parameters(given: Any, code: str) -> None:
    with pytest.raises(sym.SymirError) as caught:
        field(h=1.0).facts(given)
    assert caught.value.code == code
    assert caught.value.operator == "field"


@pytest.mark.parametrize(
    "option", [{"samples": -1}, {"max_states": 1.5}, {"seed": True}]
)
def test_bad_options(option: Any) -> None:
    with pytest.raises(sym.SymirError) as caught:
        field(h=1.0).facts(**option)
    assert caught.value.code == "F002"


def test_as_plain_data() -> None:
    facts = field(h=1j).facts()
    plain = json.loads(json.dumps(facts.as_dict()))
    assert plain["hermitian"]["value"] is False
    assert plain["hermitian"]["how"] == "checked"
    assert plain["parameters"] == {"h": {"real": 0.0, "imag": 1.0}}
    assert plain["diagonal"]["counterexample"]["xp"] == [-1, -1, 1]
    assert all(name in str(facts) for name in (*facts.facts, *facts.numbers))


def test_neither_compiled_nor_with_jax() -> None:
    """Nor do the models need JAX or NetKet."""
    program = (
        BLOCKED
        + """
import symir as sym
from symir import models
print(models.toric_code(8, (2, 2)).to_ir().operator_name)
operator = sym.DOperator(sym.qubit(4), "flips").for_each_site("i")
operator = operator.emit(sym.flip("i")).build()
sym.SymbolicCompiler().compile(operator, {"backend_preference": "reference"})
assert "symir.facts" not in sys.modules
assert operator.facts().hermitian.value and operator.is_hermitian
"""
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, check=True, cwd=root, stdout=subprocess.PIPE)
    assert done.stdout == b"toric_code\n"


def test_infinities_of_two_signs_differ() -> None:
    builder = sym.DOperator(sym.spin(0.5, 2), "inf").for_each_site("i")
    huge = sym.site("i").value * 1e308 * 10
    operator = builder.emit(sym.flip("i"), amplitude=huge).build()
    assert operator.facts().hermitian.value is False
