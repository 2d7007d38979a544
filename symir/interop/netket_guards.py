"""Errors of NetKet for operators that were not compiled: the call that is missing."""

# pyright: basic

from __future__ import annotations

from typing import Any, NoReturn

from netket.vqs import (
    VariationalState,
    expect,
    expect_and_forces,
    expect_and_grad,
)

from symir.errors import UnfinishedError
from symir.language.builder import DOperator
from symir.operator.symbolic_operator import SymbolicOperator

__all__: list[str] = []


def _uncompiled(
    vstate: VariationalState, op: SymbolicOperator, *_: Any, **__: Any
) -> NoReturn:
    raise UnfinishedError("an expectation value", "compile()", op)


def _unbuilt(vstate: VariationalState, op: DOperator, *_: Any, **__: Any) -> NoReturn:
    raise UnfinishedError("an expectation value", "build().compile()", op)


for _function in (expect, expect_and_grad, expect_and_forces):
    _function.dispatch(_uncompiled)
    _function.dispatch(_unbuilt)
