"""Running kernels: the only code that needs JAX."""

# pyright: basic

import jax
import numpy as np

__all__ = ["x64_enabled"]


def x64_enabled() -> bool:
    """Whether JAX is set up for 64-bit types."""
    return jax.dtypes.canonicalize_dtype(np.float64) == np.float64
