"""Numbers, dtypes and names as users pass them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from symir.errors import DefinitionError
from symir.language.scalars import as_dtype, as_name, as_number, fits, shortened


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("float32", "float32"),
        ("f8", "float64"),
        (">f8", "float64"),
        (float, "float64"),
        (complex, "complex128"),
        (np.float32, "float32"),
        (np.dtype("complex64"), "complex64"),
        (jnp.float32, "float32"),
        (jnp.complex64, "complex64"),
        (jnp.zeros(1, jnp.float32).dtype, "float32"),
    ],
)
def test_dtypes_of_operators(dtype: Any, name: str):
    found = as_dtype(dtype)
    assert found.name == name
    assert found.isnative


@pytest.mark.parametrize(
    "dtype", ["int8", "float16", "nonsense", int, bool, None, jnp.bfloat16, object(), 3]
)
def test_other_dtypes_are_errors(dtype: Any):
    with pytest.raises(DefinitionError, match="D025") as caught:
        as_dtype(dtype)
    expected = caught.value.expected
    assert expected == "float32, float64, complex64 or complex128"


@pytest.mark.parametrize(
    "value", [True, np.False_, "1", None, Decimal(1), [1], np.ones(1), object()]
)
def test_what_is_no_number(value: Any):
    assert as_number(value) is None


def test_numbers_fit_their_dtype():
    assert fits(1e38, np.dtype("float32"))
    assert not fits(1e39, np.dtype("float32"))
    assert not fits(1e39j, np.dtype("complex64"))
    assert fits(1e39, np.dtype("float64"))


def test_names():
    assert as_name("λ 1", "a label") == "λ 1"
    assert type(as_name(np.str_("i"), "a label")) is str


def test_long_texts_are_shortened():
    assert shortened([1, 2]) == "[1, 2]"
    assert len(shortened(list(range(1000)))) == 80
    assert "int" in shortened(10**5000)
