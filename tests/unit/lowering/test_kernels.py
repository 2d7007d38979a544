"""The whole way down: jaxlib accepts the kernels, and JAX computes what `sym` says.

Random small operators run on all of their configurations, compiled and interpreted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.extend.backend
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jax.interpreters import mlir
from xdsl.dialects.builtin import (
    Float32Type,
    Float64Type,
    FunctionType,
    ModuleOp,
    StringAttr,
)
from xdsl.dialects.func import FuncOp, ReturnOp

from dialects import bt, sym
from dialects.interpreters import sym as reference
from dialects.stablehlo import constant_of, dense
from dialects.text import parse_module, print_module
from lowering.bt.bt_specialize import STATE_TYPES
from lowering.stablehlo.convert_bt_to_stablehlo import MAX_MASK_ELEMENTS
from symir.compiler.lowering import (
    KERNEL_PIPELINE,
    OPERATOR_PIPELINE,
    lower_to_bt,
    lower_to_stablehlo,
)
from symir.operator.ir import SymbolicOperatorIR
from symir.runtime.kernel import Kernel
from symir.runtime.primitive import connections
from tests.unit.lowering.programs import HOP, Program, programs
from tests.unit.lowering.test_meaning import BEFORE_GUARD, NORMAL_FORM, run

Array = npt.NDArray[Any]

REAL = {"f32": Float32Type(), "f64": Float64Type()}

run_kernel = jax.jit(connections, static_argnums=2)

# Each example is one compilation by XLA.
few = settings(max_examples=30)


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


def run_text(text: str, *inputs: Array) -> list[Array]:
    """Compile the text of a kernel named @main, and run it."""
    backend = jax.extend.backend.get_backend("cpu")
    device = backend.devices()[0]
    executable = backend.compile_and_load(text, (device,))
    with jax.enable_x64(True):
        buffers = [jax.device_put(value, device) for value in inputs]
        return [np.asarray(result) for result in executable.execute(buffers)]


def accept(text: str) -> None:
    """Parse and verify a module with the parser and the verifiers of jaxlib."""
    module = mlir.ir.Module.parse(text, context=mlir.make_ir_context())
    assert module.operation.verify()


# ---- random operators ----


def assert_kernel_is_that_of(program: Program, batch: int, state: str) -> None:
    """Compare branches, and have jaxlib accept a kernel of any batch and type of x."""
    module = program.module()
    assert_compiled_is_interpreted(module, program.configurations)
    accept(print_module(lower_to_stablehlo(lower_to_bt(module), batch, state)))


@settings(max_examples=30)
@given(
    programs(("f64", "complex<f64>", "f32", "complex<f32>")),
    st.integers(0, 3),
    st.sampled_from(list(STATE_TYPES)),
)
@example(HOP, 1, "i8")
def test_compiled_kernels_connect_what_the_operator_says(
    program: Program, batch: int, state: str
) -> None:
    assert_kernel_is_that_of(program, batch, state)


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


@pytest.mark.parametrize("sites", [100, 2700])
def test_constant_masks_and_computed_ones_agree_with_the_reference(sites: int) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, sites, (50, 2)).tolist()
    rows[7] = [3, 3]
    table = ", ".join(map(str, rows))
    module = parse_module(LARGE.format(sites=sites, rows=table))
    kernel = print_module(lower_to_stablehlo(lower_to_bt(module), 2, "i8"))
    assert ("stablehlo.iota" in kernel) == (100 * sites > MAX_MASK_ELEMENTS)
    x = rng.integers(0, 3, (2, sites)).astype(np.int8)
    assert_compiled_is_interpreted(module, x)


# ---- the invariant of the branches: later wins, and the deltas add up ----


def writes_kernel(module: ModuleOp, batch: int) -> tuple[str, list[bt.BranchesOp]]:
    """Return a kernel of the values that all branches write, and the branches.

    A function on branch tensors that returns connections is made to return the operands
    of its branches instead.
    """
    module = module.clone()
    (function,) = (op for op in module.walk() if isinstance(op, FuncOp))
    branches = [op for op in function.walk() if isinstance(op, bt.BranchesOp)]
    values = [value for op in branches for value in op.values]
    kinds = [value.type for value in values]
    arguments = [argument.type for argument in function.body.block.args]
    function.function_type = FunctionType.from_lists(arguments, kinds)
    function.sym_name = StringAttr("main")

    last = function.body.block.last_op
    assert isinstance(last, ReturnOp)
    last.operands = values
    joins = bt.BranchesOp | bt.JoinOp | bt.ConnectionsOp
    for op in reversed(list(function.body.block.ops)):
        if isinstance(op, joins):
            op.detach()
    return print_module(lower_to_stablehlo(module, batch, "f64")), branches


@few
@given(programs(with_parameters=False))
@example(HOP)
def test_the_deltas_of_all_writes_add_up(program: Program) -> None:
    module = program.module()
    x = program.configurations.astype(np.float64)
    # Neither canonicalized nor CSE'd: one bt.branches for each emission, in order
    branch_tensors = run(module, f"{NORMAL_FORM},sym-guard-space,convert-sym-to-bt")
    kernel, emissions = writes_kernel(branch_tensors, len(x))
    values = iter(run_text(kernel, x))
    written = [[next(values) for _ in op.values] for op in emissions]

    (operator,) = (op for op in module.walk() if isinstance(op, sym.OperatorOp))
    lowered = iter(zip(emissions, written, strict=True))
    of_emission = {
        (term.sym_name.data, number): next(lowered)
        for term in operator.terms
        for number in range(len(term.emissions))
    }
    for sample, source in enumerate(x):
        for branch in reference.branches(operator, source):
            if not branch.valid:
                continue
            op, values_of = of_emission[branch.term, branch.emission]
            found = source.copy()
            for site, value in zip(op.sites, values_of, strict=True):
                table = constant_of(site)
                assert table is not None
                lanes = np.broadcast_to(value, (len(x), len(table)))
                target = table[branch.row]
                found[target] += lanes[sample, branch.row] - source[target]
            np.testing.assert_array_equal(found, branch.config)


# ---- sites that are computed, at the level of branch tensors ----


SITES = """
func.func public @main(%x: tensor<?x3x!bt.state>, %i: tensor<{i}xi32>, %j: tensor<{j}xi32>, %v: tensor<?x4xf64>, %p: tensor<?x4xi1>) -> (tensor<?x{lanes}x3x!bt.state>, tensor<?x{lanes}xf64>) {{
  %b = bt.branches [%i, %j] = [%v, %v] amplitude %v valid %p : [tensor<{i}xi32>, tensor<{j}xi32>] [tensor<?x4xf64>, tensor<?x4xf64>] tensor<?x4xf64>, tensor<?x4xi1> -> !bt.branches<4 x 2>
  %c = bt.branches [%j] = [%v] amplitude %v : [tensor<{j}xi32>] [tensor<?x4xf64>] tensor<?x4xf64> -> !bt.branches<4 x 1>
  %both = bt.{join} %b, %c : !bt.branches<4 x 2>, !bt.branches<4 x 1> -> !bt.branches<8 x 2>
  %xp, %mels = bt.connections %x, %both : (tensor<?x3x!bt.state>, !bt.branches<8 x 2>) -> (tensor<?x8x3x!bt.state>, tensor<?x8xf64>)
  func.return %xp, %mels : tensor<?x8x3x!bt.state>, tensor<?x8xf64>
}}
"""  # noqa: E501


@pytest.mark.parametrize("join", ["concat", "interleave"])
@pytest.mark.parametrize("per_sample", [(), ("i",), ("j",), ("i", "j")])
def test_tables_of_sites_may_be_arguments(
    per_sample: tuple[str, ...], join: str
) -> None:
    rng = np.random.default_rng(3)
    batch = 5
    sites = {
        # -1 is no site: that write does nothing
        name: rng.integers(-1, 3, (batch, 4) if name in per_sample else (4,), np.int32)
        for name in "ij"
    }
    x = rng.integers(0, 5, (batch, 3)).astype(np.int8)
    v = rng.integers(5, 9, (batch, 4)).astype(np.float64)
    p = rng.random((batch, 4)) < 0.7

    shapes = {n: "?x4" if n in per_sample else "4" for n in "ij"}
    module = parse_module(SITES.format(**shapes, join=join, lanes=8))
    kernel = print_module(lower_to_stablehlo(module, batch, "i8"))
    accept(kernel)
    states, elements = run_text(kernel, x, sites["i"], sites["j"], v, p)

    expected = np.repeat(x[:, None, :], 8, axis=1)
    amplitudes = np.zeros((batch, 8))
    for sample, row in np.ndindex(batch, 4):
        tables = {n: np.broadcast_to(sites[n], (batch, 4))[sample, row] for n in "ij"}
        first, second = (row, 4 + row) if join == "concat" else (2 * row, 2 * row + 1)
        if p[sample, row]:
            write(expected[sample, first], tables["i"], v[sample, row])
            write(expected[sample, first], tables["j"], v[sample, row])
            amplitudes[sample, first] = v[sample, row]
        write(expected[sample, second], tables["j"], v[sample, row])
        amplitudes[sample, second] = v[sample, row]
    np.testing.assert_array_equal(states, expected)
    np.testing.assert_array_equal(elements, amplitudes)


def write(config: Array, site: Array, value: Array) -> None:
    if site >= 0:
        config[site] = value


# ---- what is allowed, to the last bit ----


MEMBERSHIP = """
sym.operator @o() space #sym.space<2 x {space}> element {real} {{
  sym.term @t over #sym.rows<{rows}> data [#sym.column<"v", {values}>] {{
  ^bb0(%x: !sym.config, %i: !sym.site, %v: tensor<{real}>):
    %n = sym.read %x[%i] : tensor<{real}>
    %zero = stablehlo.subtract %n, %n : tensor<{real}>
    %w = stablehlo.add %zero, %v : tensor<{real}>
    %y = sym.write %x[%i], %w : tensor<{real}>
    sym.emit %y, %v : tensor<{real}>
  }}
}}
"""


@pytest.mark.parametrize("real", ["f32", "f64"])
@pytest.mark.parametrize(
    "local_states",
    [
        [[-1, 1]],
        [[0, 1, 2, 3, 4]],
        [[-4, -2, 0, 2, 4]],
        [[-1, -0.5, 0, 0.5, 1]],
        [[0.1, 0.2, 0.3, 0.4, 0.5]],
        [[0, 1, 2, 4, 7]],
        [[100000.25, 100000.5, 100000.75, 100001, 100001.25]],
        [[0, 1, 2, 3, 4, 5], [-1, 1]],
        [[0, 3, 6, 9, 12], [0.5, 1, 1.5]],
        [[0, 1], [0, 1, 2]],
        # 49 times the inverse of 49 is less than 1 in f32
        [[0, 49, 98, 147, 196]],
    ],
    ids=str,
)
def test_a_value_near_an_allowed_one_is_not_allowed(
    local_states: list[list[float]], real: str
) -> None:
    dtype = np.dtype(f"float{real[1:]}")
    states = np.unique([value for site in local_states for value in site]).astype(dtype)
    near = np.concatenate(
        [
            states,
            np.nextafter(states, dtype.type(np.inf)),
            np.nextafter(states, dtype.type(-np.inf)),
            (states[1:] + states[:-1]) / 2,
            np.array([-0.0, 1e-17, -1e-17, 1e30, -1e30], dtype),
        ]
    )
    # XLA's CPU back end takes subnormal numbers for zero
    near = near[(near == 0) | (np.abs(near) >= np.finfo(dtype).tiny)]
    text = MEMBERSHIP.format(
        space=", ".join(map(str, local_states)),
        real=real,
        rows=", ".join(f"[{site}]" for site in (0, 1) for _ in near),
        values=dense(np.tile(near, 2), REAL[real]),
    )
    x = np.array([[local_states[0][0], local_states[-1][0]]], dtype)
    assert_compiled_is_interpreted(parse_module(text), x)


# ---- the pipelines ----


def test_the_pipelines_are_those_that_are_tested_pass_by_pass() -> None:
    fused = ["sym-gather-terms", "sym-fuse-terms"]
    before = ",".join([*fused, *BEFORE_GUARD, "sym-guard-space", "convert-sym-to-bt"])
    assert OPERATOR_PIPELINE.startswith(before)
    lit = Path(__file__).parents[2] / "lit" / "lowering" / "pipeline.mlir"
    kernel = KERNEL_PIPELINE.format(batch=5, state="i8")
    assert f'-p "{OPERATOR_PIPELINE},{kernel}" |' in lit.read_text()
