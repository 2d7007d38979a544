"""JAX set up as NetKet does it: whether NetKet is imported first must not matter."""

from __future__ import annotations

from collections.abc import Generator

import jax
import pytest


@pytest.fixture(autouse=True)
def x64() -> Generator[None]:
    """Allow 64-bit types; tests that want 32 bits say so themselves."""
    with jax.enable_x64(True):
        yield
