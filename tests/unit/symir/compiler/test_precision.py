"""The precision that operators are compiled in, and that nobody misses it."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import connections
from symir import models

ROOT = Path(__file__).parents[4]


def field(dtype: Any = None) -> sym.SymbolicOperator:
    builder = sym.DOperator(sym.spin(0.5, 2), "field", dtype=dtype)
    return builder.for_each_site("i").emit(amplitude=sym.site("i") / 3).build()


COMPLEX: dict[str, Callable[[], sym.SymbolicOperator]] = {
    "a dtype": lambda: field(complex),
    "its name": lambda: field("complex"),
    "a factor": lambda: 1j * field(),
    "Pauli strings": lambda: sym.from_pauli_strings(["XY"]),
    "fermions": lambda: sym.from_fermions({((0, 1), (1, 0)): 1j}, n_orbitals=2),
    "bosons": lambda: models.bose_hubbard(sym.fock(1, 2), [(0, 1)], phases=0.3),
    "syk": lambda: models.syk(2),
    "majoranas": lambda: models.majorana_syk(2),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_what_is_complex_follows_jax_as_what_is_real_does(name: str) -> None:
    operator = COMPLEX[name]()
    assert operator.dtype == np.complex128
    x = operator.space.all_states()
    with jax.enable_x64(False):
        with pytest.warns(sym.PrecisionWarning, match='dtype="complex64"'):
            compiled = operator.compile()
        _, elements = compiled.get_conn_padded(x)
    assert compiled.dtype == elements.dtype == np.complex64
    _, expected = connections(operator.to_ir().module, x)
    np.testing.assert_allclose(elements, expected, rtol=1e-6)


def test_generic_real_numbers_follow_jax_too() -> None:
    with jax.enable_x64(False), pytest.warns(sym.PrecisionWarning):
        assert field(float).compile().dtype == np.float32


@pytest.mark.parametrize(
    ("dtype", "single"), [("float64", "float32"), (np.complex128, "complex64")]
)
def test_what_asks_for_64_bits_hears_which_dtype_would_do(
    dtype: Any, single: str
) -> None:
    with jax.enable_x64(False), pytest.raises(sym.SymbolicCompilerError) as caught:
        field(dtype).compile()
    error = caught.value
    assert (error.code, error.expected) == ("C004", f"dtype {single}")
    assert f'dtype="{single}"' in str(error.hint)


def test_it_is_said_once_for_each_operator() -> None:
    operator = field()
    with jax.enable_x64(False), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            operator.compile()
        operator.compile(coalesce="diagonal")
        field("float32").compile()
    (warning,) = caught
    assert warning.category is sym.PrecisionWarning
    assert warning.filename == __file__
    message = str(warning.message)
    assert message.startswith("[C030] an operator of float64 is computed with float32")
    for words in ("'field'", "jax_enable_x64", 'dtype="float32"'):
        assert words in message


def test_it_can_be_filtered_and_made_an_error() -> None:
    with jax.enable_x64(False), warnings.catch_warnings():
        for _ in range(2):
            with pytest.raises(sym.PrecisionWarning, match="C030"):
                field().compile()
        warnings.simplefilter("ignore", sym.PrecisionWarning)
        assert field().compile().dtype == np.float32


def test_in_64_bits_there_is_nothing_to_say() -> None:
    assert field().compile().dtype == np.float64


def test_the_first_call_of_to_netket_is_like_the_second() -> None:
    """NetKet sets JAX to 64 bits when it is imported: in a new process, the call."""
    program = """
import sys
import symir as sym

flips = sym.DOperator(sym.spin(0.5, 2), "flips").for_each_site("i")
operator = flips.emit(sym.flip("i")).build()
assert "netket" not in sys.modules
print(operator.to_netket().dtype, operator.to_netket().dtype, operator.compile().dtype)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout.split() == ["float64"] * 3
    assert "PrecisionWarning" not in done.stderr
