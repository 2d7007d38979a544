"""Functions that are declared in a lower layer and get their body from an upper one.

`operator.to_netket()` is a method of operators for users, and imports what imports
operators. So it is declared where users and editors look for it, with types and a
docstring, and `symir/_bodies.py`, on top of all layers, gives the body:

    class SymbolicOperator:
        @late
        def to_netket(self, **options: Any) -> Any:
            \"\"\"Compile the operator to one of NetKet's.\"\"\"
            ...

    body_of(SymbolicOperator.to_netket)(to_netket)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")

_BODIES: dict[str, Callable[..., Any] | None] = {}
"""The body of each declared function, by `_name`."""


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def late(declared: Callable[_P, _R]) -> Callable[_P, _R]:
    """Declare a function whose body an upper layer gives."""
    name = _name(declared)
    _BODIES[name] = None

    @functools.wraps(declared)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        body = _BODIES[name]
        assert body is not None, f"{name} has no body"
        return body(*args, **kwargs)

    return call


@overload
def body_of(  # pyright: ignore[reportOverlappingOverload]
    declared: Callable[Concatenate[_T, _P], _R],
) -> Callable[[Callable[Concatenate[_T, _P], _R]], None]: ...


@overload
def body_of(declared: Callable[_P, _R]) -> Callable[[Callable[_P, _R]], None]: ...


def body_of(declared: Callable[..., Any]) -> Callable[[Callable[..., Any]], None]:
    """Give a function that was declared `late` its body, once.

    The body may have another name for the first argument, which is "self" of methods.
    """

    def give(body: Callable[..., Any]) -> None:
        name = _name(declared)
        assert _BODIES[name] is None, f"{name} has a body already"
        _BODIES[name] = body

    return give


def without_body() -> list[str]:
    """Return the names of declared functions that no layer gave a body."""
    return [name for name, body in _BODIES.items() if body is None]
