"""The whole way down: jaxlib accepts the kernels, and JAX computes what `sym` says.

Random small operators run on all of their configurations, compiled and interpreted.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.interpreters import mlir
from xdsl.dialects.builtin import ModuleOp

from dialects.interpreters import sym as reference
from dialects.text import parse_module, print_module
from lowering.bt_specialize import STATE_TYPES
from symir.compiler.pipeline import lower_to_bt, lower_to_stablehlo
from symir.ir import SymbolicOperatorIR
from symir.runtime.kernel import Kernel
from symir.runtime.primitive import connections
from tests.unit.lowering.programs import Program, programs

Array = npt.NDArray[Any]

run_kernel = jax.jit(connections, static_argnums=2)

# Each example is one compilation by XLA.
few = settings(max_examples=40)


def compile_and_run(module: ModuleOp, x: Array) -> tuple[Array, Array]:
    """Lower an operator, compile it and run it on a batch."""
    operator = SymbolicOperatorIR(module)
    kernel = Kernel(operator, lower_to_bt(module))
    with jax.enable_x64(True):
        parameters = tuple(
            jnp.asarray(operator.defaults[name], dtype)
            for name, dtype in zip(
                kernel.parameter_names, kernel.parameter_dtypes, strict=True
            )
        )
        states, elements = run_kernel(jnp.asarray(x), parameters, kernel)
        return np.asarray(states), np.asarray(elements)


def assert_compiled_is_interpreted(module: ModuleOp, x: Array) -> None:
    states, elements = compile_and_run(module, x)
    expected, expected_elements = reference.connections(module, x)
    assert states.dtype == x.dtype == expected.dtype
    assert elements.dtype == expected_elements.dtype
    np.testing.assert_array_equal(states, expected)
    double = np.finfo(elements.dtype).bits == 64
    np.testing.assert_allclose(
        elements, expected_elements, rtol=1e-12 if double else 1e-6
    )


def accept(text: str) -> None:
    """Parse and verify a module with the parser and the verifiers of jaxlib."""
    module = mlir.ir.Module.parse(text, context=mlir.make_ir_context())
    assert module.operation.verify()


# ---- random operators ----


@few
@given(programs(("f64", "complex<f64>")))
def test_compiled_kernels_connect_what_the_operator_says(program: Program) -> None:
    assert_compiled_is_interpreted(program.module(), program.configurations)


@few
@given(programs(("f32", "complex<f32>")))
def test_kernels_in_single_precision(program: Program) -> None:
    assert_compiled_is_interpreted(program.module(), program.configurations)


@given(
    programs(("f64", "f32", "complex<f64>", "complex<f32>")),
    st.integers(0, 3),
    st.sampled_from(list(STATE_TYPES)),
)
def test_jaxlib_accepts_every_kernel(program: Program, batch: int, state: str) -> None:
    branch_tensors = lower_to_bt(program.module())
    accept(print_module(lower_to_stablehlo(branch_tensors, batch, state)))


# ---- large tables, where masks are computed ----


LARGE = """
sym.operator @o() space #sym.space<{sites} x [0, 1, 2]> element f64 {{
  sym.term @hop over #sym.rows<{rows}> {{
  ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %minus = stablehlo.constant dense<-1.0> : tensor<f64>
    %n = sym.read %x[%i] : tensor<f64>
    %y = sym.shift %x[%i] by %minus : tensor<f64>
    %z = sym.shift %y[%j] by %one : tensor<f64>
    sym.emit %z, %n : tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }}
}}
"""


@pytest.mark.parametrize("sites", [100, 700])
def test_constant_masks_and_computed_ones_agree_with_the_reference(sites: int) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, sites, (50, 2)).tolist()
    rows[7] = [3, 3]
    table = ", ".join(map(str, rows))
    module = parse_module(LARGE.format(sites=sites, rows=table))
    kernel = print_module(lower_to_stablehlo(lower_to_bt(module), 2, "i8"))
    assert ("stablehlo.iota" in kernel) == (100 * sites > 64 * 1024)
    x = rng.integers(0, 3, (2, sites)).astype(np.int8)
    assert_compiled_is_interpreted(module, x)
