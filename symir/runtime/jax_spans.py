"""Spans of what JAX does: tracing, compiling, and running kernels."""

# pyright: basic

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import jax
from jax import monitoring
from jax.core import Tracer

from symir.spans import Span, is_recording, span

_EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower to StableHLO",
    "/jax/core/compile/backend_compile_duration": "compile by XLA",
}
"""Events of JAX: a beginning is told as a number, an end as a duration."""

_open = threading.local()


def _begins(event: str, value: float, **told: Any) -> None:
    if not is_recording() or event not in _EVENTS:
        return
    one = span(_EVENTS[event], "jax", function=str(told.get("fun_name", "")))
    if isinstance(one, Span):
        one.__enter__()
        _stack().append((event, one))


def _ends(event: str, duration_secs: float, **told: Any) -> None:
    if event not in _EVENTS:
        return
    stack = _stack()
    # What ended by an exception has not told so
    while stack:
        begun, one = stack.pop()
        one.__exit__(None, None, None)
        if begun == event:
            return


def _stack() -> list[tuple[str, Span]]:
    if not hasattr(_open, "stack"):
        _open.stack = []
    return _open.stack


monitoring.register_scalar_listener(_begins)
monitoring.register_event_duration_secs_listener(_ends)


def run_spans(
    name: str, *, operator: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator of methods that run kernels: each call is a span.

    It ends when the results are there, and tells of their shapes and of bytes; while
    JAX is tracing there are none. `operator` is the attribute with the operator's name.
    """
    name_of = attrgetter(operator)

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def run(self: Any, *arguments: Any, **named: Any) -> Any:
            if not is_recording():
                return method(self, *arguments, **named)
            with span(name, "run", operator=name_of(self)) as one:
                results = method(self, *arguments, **named)
                leaves = jax.tree.leaves(results)
                if any(isinstance(leaf, Tracer) for leaf in leaves):
                    one.set(traced=True)
                    return results
                jax.block_until_ready(results)
            given = [a for a in jax.tree.leaves(arguments) if hasattr(a, "nbytes")]
            one.set(
                results=[list(leaf.shape) for leaf in leaves],
                bytes_in=sum(leaf.nbytes for leaf in given),
                bytes_out=sum(leaf.nbytes for leaf in leaves),
            )
            return results

        return run

    return decorate
