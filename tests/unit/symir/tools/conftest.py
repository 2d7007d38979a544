"""The commands run in a process of their own; in one with other tests JAX is set up."""

from __future__ import annotations

from collections.abc import Generator

import jax
import pytest


@pytest.fixture(autouse=True)
def x64() -> Generator[None]:
    """Allow 64-bit types, as a process that starts with the command does."""
    with jax.enable_x64(True):
        yield
