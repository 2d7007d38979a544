"""Values that a function holds on to while JAX is tracing them, as its parameters.

What is differentiated or mapped has to be an argument of what has rules of its own: a
value that only the function knows would have no derivative.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.core import eval_jaxpr

from symir.runtime.importing import Traced, retraced


def without_captured(
    function: Callable[..., Any], parameters: Any, traced: Traced
) -> tuple[Callable[..., Any], Any]:
    """Return a function of (parameters, x) that holds on to no traced value.

    What it holds on to, as it was `traced`, becomes a parameter: the parameters are
    returned, too.
    """
    if not traced.captured:
        return function, parameters
    anew = retraced(function)
    return WithCaptured(anew, traced.captured), (parameters, traced.captured)


class WithCaptured:
    """A function of ((parameters, captured values), x).

    It is traced anew for each shape, which changes neither what it holds on to nor
    which object that is. Of use while the values are traced, and not longer.
    """

    def __init__(self, function: Callable[..., Any], captured: Sequence[Any]):
        self._function = function
        self._captured = captured

    def __call__(self, parameters: tuple[Any, Sequence[Any]], x: Any) -> Any:
        own, given = parameters
        jaxpr, result = jax.make_jaxpr(self._function, return_shape=True)(own, x)
        values = {id(old): new for old, new in zip(self._captured, given, strict=True)}
        constants = [values.get(id(value), value) for value in jaxpr.consts]
        leaves = jax.tree.leaves((own, x))
        found = eval_jaxpr(jaxpr.jaxpr, constants, *leaves)
        return jax.tree.unflatten(jax.tree.structure(result), found)
