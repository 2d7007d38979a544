"""What is proved to be Hermitian, and claims that a few configurations refute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import dense_matrix
from symir import models
from symir.facts.hermiticity import counterexample, is_proved_hermitian
from symir.operator.ir import SymbolicOperatorIR

h, g = sym.symbol("h"), sym.symbol("g", default=1.0)
z = sym.symbol("z", default=1.0 + 0j)
i = sym.site("i")
LOOP = [(s, (s + 1) % 60) for s in range(60)]
BOTH_WAYS = [*LOOP, *[(b, a) for a, b in LOOP]]


def flips(amplitude: Any, **options: Any) -> sym.SymbolicOperator:
    builder = sym.DOperator(sym.spin(0.5, 3), "flips", **options).for_each_site("i")
    return builder.emit(sym.flip("i"), amplitude=amplitude).build()


def hops(there: Any, back: Any, space: sym.Space, **options: Any) -> Any:
    """Return hops from i to j by one amplitude, and from j to i by another."""
    builder = sym.DOperator(space, "hops", dtype=complex, **options)
    for a, b, amplitude in (("i", "j", there), ("j", "i", back)):
        builder.for_each(("i", "j"), over=[p for p in LOOP if max(p) < space.size])
        builder.where((sym.site(a) == 1) & (sym.site(b) == 0))
        builder.emit(sym.write(a, 0).write(b, 1), amplitude=amplitude)
    return builder.build()


CASES: dict[str, tuple[Callable[[], sym.SymbolicOperator], bool]] = {
    "no parameter": (lambda: flips(1.0), True),
    "a polynomial": (lambda: flips(h * g - h / 2 + 1), True),
    "signs": (lambda: flips(h * i), False),
    "signs at h != 1 and 2": (lambda: flips((h * h - 3 * h + 2) * i), False),
    "signs next to a large constant": (
        lambda: flips(2e4 + h * i, dtype="float32"),
        False,
    ),
    "signs next to a larger one": (lambda: flips(1e14 + h * i), False),
    "a large constant": (lambda: flips(1e14 + h), True),
    "an imaginary sign": (lambda: flips(1j * h * i, dtype=complex), True),
    "a complex parameter": (lambda: flips(z, dtype=complex), False),
    "its real part": (lambda: flips(sym.real(z), dtype=complex), True),
    "a parameter decides": (lambda: flips(sym.where(h > 0, h, h * i)), False),
    "a parameter is written": (
        lambda: (
            sym.DOperator(sym.fock(1, 2), "set")
            .globally()
            .emit(sym.write(0, sym.where(h > 3, 1 - sym.site(0), sym.site(0))))
            .build()
        ),
        False,
    ),
    "a diagonal": (
        lambda: (
            sym.DOperator(sym.fock(1, 2)).globally().emit(amplitude=sym.exp(h)).build()
        ),
        True,
    ),
    "one way": (
        lambda: sym.DOperator(sym.fock(1, 2)).globally().emit(sym.write(0, 1)).build(),
        False,
    ),
    "phases there and back": (
        lambda: hops(z, sym.conj(z), sym.qubit(60)),
        True,
    ),
    "twice the same phase": (lambda: hops(z, z, sym.qubit(60)), False),
    "many sites": (lambda: models.transverse_field_ising(100, LOOP), True),
    "dropped ways back": (
        lambda: (
            sym.DOperator(sym.spin(0.5, 60, total_sz=0), "ladder", projected=True)
            .for_each(("i", "j"), over=LOOP)
            .where(i < 0)
            .emit(sym.write("i", 1).write("j", -1))
            .build()
        ),
        False,
    ),
    "projected exchanges": (
        lambda: (
            sym.DOperator(sym.spin(0.5, 60, total_sz=0), "xy", projected=True)
            .for_each(("i", "j"), over=LOOP)
            .emit(sym.flip("i").flip("j"))
            .build()
        ),
        True,
    ),
    "all configurations": (lambda: pairs(4), True),
    "too many configurations": (lambda: pairs(40), False),
}


def pairs(n: int) -> sym.SymbolicOperator:
    """Hop with signs that read all sites."""
    builder = sym.DOperator(sym.qubit(n), "pairs")
    builder.for_each(("i", "j"), over=[p for p in BOTH_WAYS if max(p) < n])
    hop = sym.shift("i", -1).shift("j", 1)
    return builder.emit(hop, amplitude=sym.jordan_wigner("i", "j")).build()


@pytest.mark.parametrize("name", CASES)
def test_what_is_proved(name: str) -> None:
    make, expected = CASES[name]
    operator = make()
    assert operator.declared_hermitian in (None, True)
    assert is_proved_hermitian(operator.to_ir()) is expected
    assert operator.is_hermitian is (operator.declared_hermitian or expected)
    if expected and operator.space.n_states <= 64:
        values = {"h": 0.3, "g": -0.7, "z": 0.4 - 0.2j}
        names = operator.to_ir().free_symbols
        matrix = dense_matrix(
            operator.to_ir().module, {name: values[name] for name in names}
        )
        np.testing.assert_allclose(matrix, matrix.conj().T)


def test_nothing_is_proved_before_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = list[SymbolicOperatorIR]()
    monkeypatch.setattr(
        "symir.facts.hermiticity.is_proved_hermitian",
        lambda ir: looked.append(ir) or True,
    )
    operator = flips(h * 0.125)
    assert "hermitian" not in operator.to_ir().text()
    repr(operator)
    total = (2 * operator + operator @ operator).commutator(operator)
    compiled = operator.compile()
    assert not looked
    assert compiled.is_hermitian
    assert compiled.replace(h=1.0).is_hermitian
    assert total.is_hermitian
    assert looked


def test_a_work_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large operators are not looked at: neither many lanes nor many ops."""
    builder = sym.DOperator(sym.qubit(4000), "many").for_each_site("i")
    many = builder.emit(sym.flip("i"), amplitude=h).build()
    assert not many.is_hermitian
    assert counterexample(many.to_ir(), many.space) is None
    assert flips(h - 0.375).is_hermitian
    monkeypatch.setattr("symir.facts.hermiticity.MAX_OPS", 3)
    assert not flips(h - 0.625).is_hermitian


@pytest.mark.parametrize(
    "amplitude", [h * i, 1j, sym.where(h > 0, h, h * i) * i, z + 1j, z * i + sym.exp(h)]
)
def test_a_wrong_claim_is_an_error(amplitude: Any) -> None:
    operator = flips(amplitude, dtype=complex, hermitian=True)
    line = operator.to_ir().operator.terms[0].emissions[0]
    with pytest.raises(sym.SymbolicCompilerError, match="C028") as caught:
        operator.compile()
    error = caught.value
    assert (error.operator, error.term, error.emission) == ("flips", "term0", "emit0")
    assert line.location is not None
    assert error.location is not None
    assert error.location.file == __file__
    assert error.found is not None
    assert all(part in error.found for part in ("x' = ", "<x|O|x'>", "<x'|O|x>"))
    assert [one.code for one in operator.diagnostics()] == ["W017"]
    believed = sym.SymbolicCompiler().compile(operator, {"strict_validation": False})
    assert believed.compiled_operator.is_hermitian


def test_a_claim_that_is_believed_leaves_the_precision_open() -> None:
    operator = flips(h * i, hermitian=True)
    with jax.enable_x64(False), pytest.warns(sym.PrecisionWarning):
        compiled = operator.compile(strict_validation=False)
    assert compiled.is_hermitian
    assert compiled.dtype == np.float32


UNREFUTED: dict[str, Callable[[], sym.SymbolicOperator]] = {
    "as it is by default": lambda: flips(z, dtype=complex, hermitian=True),
    "for real values": lambda: flips(
        sym.symbol("w", dtype=complex), dtype=complex, hermitian=True
    ),
    "to eight digits": lambda: flips(0.5 + 1e-9 * i, hermitian=True),
    "no number": lambda: flips(1 / (i - 1), hermitian=True),
    "in the space": lambda: (
        sym.DOperator(
            sym.qubit(2).where(sym.site(0) == 0),
            "in the space",
            hermitian=True,
            projected=True,
        )
        .globally()
        .emit(sym.write(0, 1))
        .emit(sym.flip(1))
        .build()
    ),
    "in the sector": lambda: hops(2j, -2j, sym.qubit(12), hermitian=True),
}


@pytest.mark.parametrize("name", UNREFUTED)
def test_what_is_not_refuted(name: str) -> None:
    operator = UNREFUTED[name]()
    assert counterexample(operator.to_ir(), operator.space) is None
