"""Gathers that are halved and shared: the same columns, whatever the tables are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.builder import Builder
from xdsl.dialects.builtin import FunctionType, ModuleOp, i8, i32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.rewriter import InsertPoint
from xdsl_jax.dialects import stablehlo as hlo

from dialects.interpreters.kernel import run_kernel
from dialects.stablehlo import AddOp, constant, gather_columns, tensor
from dialects.verification import fault_in
from lowering.stablehlo import stablehlo_arrange_gathers
from symir import (
    SymbolicCompiler,
    SymbolicCompilerOptions,
    lower_to_bt,
    lower_to_stablehlo,
    models,
)
from symir.compiler.lowering import LoweringPipeline, run_passes
from symir.compiler.trace import Trace

PASS = "stablehlo-arrange-gathers"
SITES = 5

Tables = Sequence[Sequence[int]]

X = np.array(list(product((-1, 0, 1), repeat=SITES)), np.int8)


def kernel_of(tables: Tables, readers: Sequence[int]) -> ModuleOp:
    """Return a kernel that gathers columns, and reads each of them several times."""
    state = tensor(i8, X.shape)
    function = FuncOp("kernel", FunctionType.from_lists([state], []))
    build = Builder(InsertPoint.at_end(function.body.block))
    results: list[Any] = []
    for table, count in zip(tables, readers, strict=True):
        numbers = build.insert(constant(np.array(table), i32)).output
        columns = build.insert(gather_columns(function.args[0], numbers)).result
        for _ in range(count):
            results.append(build.insert(AddOp(columns, columns)).result)
    build.insert(ReturnOp(*results))
    function.update_function_type()
    return ModuleOp([function])


def count(module: ModuleOp, kind: type) -> int:
    return sum(isinstance(op, kind) for op in module.walk())


def ran(module: ModuleOp) -> list[npt.NDArray[Any]]:
    return [np.asarray(one) for one in run_kernel(module, [X])]


# -1 is no site, and is read as the first one
numbers = st.lists(st.integers(-1, SITES), min_size=1, max_size=6)
several = st.lists(st.tuples(numbers, st.integers(0, 3)), min_size=1, max_size=5)


@given(several)
def test_the_columns_stay_what_they_are(asked: list[tuple[list[int], int]]) -> None:
    tables, readers = zip(*asked, strict=True)
    module = kernel_of(tables, readers)
    arranged = run_passes(module, PASS)
    assert fault_in(arranged) is None
    for before, after in zip(ran(module), ran(arranged), strict=True):
        np.testing.assert_array_equal(before, after)


def test_part_of_a_table_is_a_slice_at_its_place() -> None:
    module = kernel_of([[3, 1], [1, 4, 3, 1, 2], [0, 1, 4]], [1, 1, 1])
    arranged = run_passes(module, f"{PASS},dce")
    assert count(arranged, hlo.SliceOp) == 1
    assert count(arranged, hlo.GatherOp) == 3
    for before, after in zip(ran(module), ran(arranged), strict=True):
        np.testing.assert_array_equal(before, after)


def test_numbers_are_found_as_wholes() -> None:
    # 1 begins with a byte in the middle of 256, as it is stored
    def as_bytes(table: list[int]) -> bytes:
        return np.array(table, np.int32).tobytes()

    larger, part = [256, 256, 256], [1, 1]
    assert as_bytes(part) in as_bytes(larger)
    module = kernel_of([part, larger], [1, 1])
    assert str(run_passes(module, PASS)) == str(module)


def test_few_tables_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stablehlo_arrange_gathers, "MAX_SHARED", 1)
    module = kernel_of([[0, 1, 2, 3], [4, 3, 2], [3, 2], [1, 2]], [1, 1, 1, 1])
    arranged = run_passes(module, f"{PASS},dce")
    assert count(arranged, hlo.SliceOp) == 1


def test_a_pass_says_what_it_did() -> None:
    trace = Trace()
    module = kernel_of([[0, 2], [1, 2]], [2, 1])
    LoweringPipeline.parse(PASS).run(module, trace=trace)
    ((one,),) = (report.remarks for report in trace.reports)
    assert one.done
    assert one.message == "2 columns with several readers lie row by row"


@pytest.mark.parametrize("name", ["heisenberg", "t_j"])
def test_kernels_of_models(name: str) -> None:
    bonds = [(0, 1), (1, 2), (2, 0)]
    module = lower_to_bt(getattr(models, name)(3, bonds).to_ir().module)
    x = np.array(list(product((-1, 1), repeat=3)), np.int8)
    kernel = lower_to_stablehlo(module, len(x), "i8")
    text = "bt-specialize{batch=8 state=i8},bt-narrow,convert-bt-to-stablehlo,cse,dce"
    plain = run_passes(module, text)
    assert count(kernel, hlo.GatherOp) != count(plain, hlo.GatherOp)
    for ours, theirs in zip(
        run_kernel(kernel, [x]), run_kernel(plain, [x]), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("options", "arranged"),
    [
        ({}, True),
        ({"opt_level": 1}, True),
        ({"opt_level": 0}, False),
        ({"without": (PASS,)}, False),
    ],
)
def test_kernels_are_arranged_unless_it_is_switched_off(
    options: dict[str, Any], arranged: bool
) -> None:
    op = models.heisenberg(4, [(0, 1), (1, 2), (2, 3), (3, 0)])
    asked = SymbolicCompilerOptions(coalesce="static", **options)
    kernel = SymbolicCompiler().compile(op, asked).ir("stablehlo", batch=4)
    assert ("stablehlo.concatenate" in kernel) is arranged
