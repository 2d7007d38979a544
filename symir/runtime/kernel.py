"""A compiled kernel: branch tensors, specialised to a shape and dtype when asked."""

# pyright: basic

from __future__ import annotations

import hashlib
import threading
from functools import cached_property
from typing import cast

import numpy as np
from xdsl.dialects.builtin import (
    ArrayAttr,
    FusedLoc,
    LocationAttr,
    ModuleOp,
    StringAttr,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute

from dialects.text import parse_module, print_module
from lowering.bt.bt_specialize import state_type
from lowering.bt.lanes import lanes_of_function
from symir.compiler.lowering import lower_to_stablehlo
from symir.operator.ir import SymbolicOperatorIR
from symir.runtime.traceable import TraceableKernel
from symir.spans import spanned

_ORIGINS_SHOWN = 8
"""Profilers show no more places of an op than this; terms that are fused have many."""


def _from_text(ir: SymbolicOperatorIR, branch_tensors: str) -> Kernel:
    return Kernel(ir, parse_module(branch_tensors))


class Kernel:
    """The kernel of a compiled operator, for all values of its parameters.

    Kernels are compared by what they compute, the operator and its branch tensors, so
    that two equal compilations share traces and executables, and no others do.
    """

    def __init__(self, ir: SymbolicOperatorIR, branch_tensors: ModuleOp):
        self.name = ir.operator_name
        self.space = ir.space
        self.dtype = np.dtype(ir.dtype_str)
        self.parameter_names = ir.free_symbols
        self.parameter_dtypes = ir.parameter_dtypes
        self.check_parameters = ir.check_parameters
        lanes = lanes_of_function(branch_tensors)
        self.lanes = ir.max_conn_size if lanes is None else lanes
        self.ir = ir
        self._static_fingerprint = ir.static_fingerprint()
        # Those that are known to hold configurations
        self.state_dtypes = set[np.dtype]()
        # A copy: whoever holds the module may rewrite it
        self._branch_tensors = branch_tensors.clone()
        self._texts: dict[tuple[int, str], str] = {}
        self._traceables: dict[tuple[int, str], TraceableKernel] = {}
        self._lock = threading.Lock()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kernel) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __reduce__(self):
        # What has been specialised is cheap to make again. As text: a module is a list
        # of ops linked to each other, too deep for pickle
        return (_from_text, (self.ir, print_module(self._branch_tensors)))

    def __repr__(self) -> str:
        return f"Kernel({self.name!r}, {self.fingerprint[:12]})"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what the kernel computes."""
        return self._digest()

    def _digest(self) -> str:
        digest = hashlib.sha256(self._static_fingerprint.encode())
        digest.update(print_module(self._branch_tensors).encode())
        return digest.hexdigest()

    @property
    def is_hermitian(self) -> bool:
        """Whether the operator is Hermitian, as far as that is known."""
        return self.ir.is_hermitian

    @property
    def branch_tensors(self) -> ModuleOp:
        """A copy of the `bt` level that it is specialised from."""
        return self._branch_tensors.clone()

    def stablehlo(self, batch: int, dtype: np.dtype) -> str:
        """Return the text of the kernel for a batch size and dtype, as `@main`."""
        key = (batch, state_type(dtype))
        with self._lock:
            if key not in self._texts:
                self._texts[key] = self._specialise(*key)
            return self._texts[key]

    def traceable(self, batch: int, dtype: np.dtype) -> TraceableKernel:
        """Return the kernel for a batch size and dtype as a function of JAX."""
        key = (batch, state_type(dtype))
        with self._lock:
            if key not in self._traceables:
                module = self._lowered(*key)
                self._traceables[key] = TraceableKernel(module, self.name)
            return self._traceables[key]

    def _lowered(self, batch: int, state: str) -> ModuleOp:
        return lower_to_stablehlo(self._branch_tensors, batch, state)

    @spanned("kernel", "kernel", operator="name")
    def _specialise(self, batch: int, state: str) -> str:
        module = self._lowered(batch, state)
        for function in module.body.block.ops:
            if isinstance(function, FuncOp):
                function.sym_name = StringAttr("main")
        return located_text(module)


def located_text(module: ModuleOp) -> str:
    """Return the text of a kernel that nobody else has, with short locations.

    XLA's metadata and profilers show the term and the user's line.
    """
    for op in module.walk():
        op.location = _shortened(op.location)
    return print_module(module, locations=True)


def _shortened(location: LocationAttr) -> LocationAttr:
    """Return a location that names a few origins only: text has one for each op."""
    if not isinstance(location, FusedLoc):
        return location
    places = cast("ArrayAttr[Attribute]", location.locations).data
    return FusedLoc(places[:_ORIGINS_SHOWN], location.metadata)
