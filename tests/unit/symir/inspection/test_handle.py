"""One handle for every level: stages, entry from text, numbers, errors of stages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import jax
import numpy as np
import pytest

import symir as sym
from dialects.text import print_module
from symir import models
from symir.compiler.lowering import KERNEL_PIPELINE, LoweringPipeline
from symir.compiler.trace import level_of
from tests.unit.symir.compiler.test_diagnostics import MODELS
from tests.unit.symir.inspection.handles import (
    OPTIONS,
    energy,
    handle,
    ising,
    lowered_energy,
    lowered_ising,
    operator,
)
from tests.unit.symir.traced import untraced

LEVELS = ("sym", "bt", "stablehlo")

# region Stages


@pytest.mark.parametrize("name", MODELS)
def test_stages_are_those_of_a_compilation(name: str) -> None:
    lowered = handle(name)
    artifact = sym.SymbolicCompiler().compile(operator(name), OPTIONS)
    assert lowered.at("sym").text == print_module(artifact.operator_ir.module)
    assert lowered.at("bt").text == artifact.ir("bt")
    kernel = artifact.ir("stablehlo", batch=2, state=lowered.state)
    assert lowered.at("stablehlo").text == kernel
    expected = [one.pass_name for one in artifact.pass_reports if one.ops_after]
    kernel_passes = LoweringPipeline.parse(KERNEL_PIPELINE.format(batch=2, state="i8"))
    assert [one.name for one in lowered.stages[1:]] == [*expected, *kernel_passes.names]


@pytest.mark.parametrize("name", MODELS)
def test_each_stage_is_what_its_report_says(name: str) -> None:
    lowered = handle(name)
    assert lowered.stage is lowered.stages[-1]
    assert lowered.levels == LEVELS
    assert [one.number for one in lowered.stages] == list(range(len(lowered.stages)))
    for stage in lowered.stages[1:]:
        assert stage.report is not None
        ops = sum(1 for _ in stage.module.walk()) - 1
        assert stage.report.ops_after == ops
        assert stage.level == level_of(stage.module)
        assert untraced(stage.module) == []


def test_stages_by_level_name_and_number() -> None:
    lowered = handle("tfim")
    assert lowered.at("sym") is lowered.stages[0] is lowered.at(0)
    assert lowered.at("stablehlo") is lowered.stages[-1] is lowered.at(-1)
    assert lowered.at("bt").name == "cse"
    assert lowered.stages[lowered.at("bt").number + 1].name == "bt-specialize"
    assert lowered.at("bt-prune").name == "bt-prune"
    last = max(one.number for one in lowered.stages if one.name == "cse")
    assert lowered.at("cse").number == last


def test_a_handle_prints_its_stages() -> None:
    lowered = handle("tfim")
    assert repr(lowered) == (
        f"LoweredOperator('transverse_field_ising', {len(lowered.stages)} stages, "
        "sym -> bt -> stablehlo)"
    )
    first, *lines = str(lowered).splitlines()
    assert first == repr(lowered)
    assert len(lines) == len(lowered.stages)
    assert re.search(r"bt +convert-sym-to-bt +\d+ -> \d+ ops", str(lowered))


def test_lowering_may_stop_early() -> None:
    lowered = sym.lower(ising(), to="bt")
    assert lowered.levels == ("sym", "bt")
    assert lowered.level == "bt"
    assert lowered.at("bt").text == lowered_ising().at("bt").text


def test_the_precision_is_that_of_a_compilation_where_jax_can_run_it() -> None:
    text = ising().to_ir().text()
    with jax.enable_x64(False):
        with pytest.warns(sym.PrecisionWarning):
            assert "f32" in sym.lower(ising()).at("bt").text
        # A text states its dtype. One can look at it all the same
        double = sym.lower(text)
        assert "f64" in double.at("bt").text
        with pytest.raises(sym.SymbolicCompilerError, match="C004"):
            double.compile()


def test_options_are_those_of_the_compiler() -> None:
    names = {one.name for one in sym.lower(ising(), without=["canonicalize"]).stages}
    assert "cse" in names
    assert "canonicalize" not in names
    with pytest.raises(sym.SymbolicCompilerError, match="C006"):
        sym.lower(ising(), opt_level=17)
    own = sym.lower(ising(), lowering="sym-expand-updates,convert-sym-to-bt", to="bt")
    assert [one.name for one in own.stages[1:]] == [
        "sym-expand-updates",
        "convert-sym-to-bt",
    ]


# endregion
# region Local energies


def test_stages_of_a_local_energy() -> None:
    lowered = lowered_energy()
    names = [one.name for one in lowered.stages]
    assert lowered.at("bt").name == "write-parts"
    assert names.index("convert-sym-to-bt") < names.index("bt-local-energy")
    assert "bt.local_energy" in lowered.at("bt").text
    assert "bt.map_states" in lowered.at("lower-local-energy").text
    assert "bt." not in lowered.at("stablehlo").text
    assert lowered.level == "stablehlo"
    fused, w, x = energy()
    program = fused.program(w, x.dtype)
    assert lowered.at("bt").text == print_module(program.module)
    remarks = [
        one
        for stage in lowered.stages[1:]
        if stage.report
        for one in stage.report.remarks
    ]
    assert any("log" in one.message for one in remarks)
    assert lowered.compile() is fused


def test_a_local_energy_is_inspected() -> None:
    lowered = lowered_energy()
    lanes = {one.name: one.lanes for one in lowered.specs(["sym", "bt"])}
    assert lanes == {"sym": 8, "write-parts": 4}
    assert "bt.local_energy" in lowered.inspect("bt", stats=True)
    assert lowered.diff("bt-local-energy", "bt").removed
    assert lowered.lanes_of_terms("bt") is None
    assert sym.lower(lowered.at("bt").text).levels == ("bt",)


def test_a_local_energy_needs_its_arguments() -> None:
    fused, w, x = energy()
    cases: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        ((w,), {}),
        ((w, x), {"opt_level": 1}),
    ]
    for arguments, options in cases:
        with pytest.raises(
            sym.StageError, match=r"symir\.lower\(energy, parameters, x"
        ):
            sym.lower(fused, *arguments, **options)


# endregion
# region Entry from text


@pytest.mark.parametrize("name", MODELS)
def test_every_level_is_entered_from_text(name: str) -> None:
    lowered = handle(name)
    for level in LEVELS:
        entered = sym.parse(lowered.at(level).text)
        assert entered.levels == (level,)
        assert entered.name == lowered.name
        assert entered.stage.text == lowered.at(level).text
        if level == "bt":
            further = sym.lower(entered, state=lowered.state)
            assert further.level == "stablehlo"


def test_lowering_goes_on_from_branch_tensors() -> None:
    plain = sym.lower(ising(), to="bt")
    further = sym.lower(plain.at("bt").text, coalesce="static", opt_level=3)
    assert "bt-coalesce-static" in [one.name for one in further.stages]
    assert further.specs("bt")["bt"].lanes == 5
    specialised = plain.at("bt").text
    kernel = sym.lower(sym.lower(specialised).at("bt-specialize").text)
    names = [one.name for one in kernel.stages]
    assert names[:2] == ["bt", "bt-narrow"]
    assert kernel.stage.text == lowered_ising().stage.text


def test_a_text_goes_by_its_level() -> None:
    text = lowered_ising().at("bt").text
    with pytest.raises(sym.StageError) as caught:
        sym.parse(text, "sym")
    assert caught.value.code == "C060"
    assert caught.value.expected == "a text of the level sym"
    assert caught.value.got == "one of the level bt"
    with pytest.raises(sym.StageError, match="sym or bt or stablehlo"):
        sym.parse(text, "mlir")


@pytest.mark.parametrize("level", LEVELS)
def test_a_text_that_does_not_parse_is_located(level: str) -> None:
    text = lowered_ising().at(level).text
    lines = text.splitlines()
    number = next(n for n, line in enumerate(lines) if "stablehlo.negate" in line)
    column = lines[number].index("stablehlo.negate") + 1
    broken = text.replace("stablehlo.negate", "stablehlo.negat", 1)
    with pytest.raises(sym.DefinitionError) as caught:
        sym.parse(broken, file="mine.mlir")
    error = caught.value
    assert error.code == "D028"
    assert error.location is not None
    assert (error.location.file, error.location.line) == ("mine.mlir", number + 1)
    # The parser knows it behind the name
    found = error.location.column
    assert found == column + len("stablehlo.negat ")
    assert f"mine.mlir:{number + 1}:{found}" in str(error)
    assert "stablehlo.negat is not registered" in error.message


def test_a_text_that_does_not_verify_is_located() -> None:
    text = sym.lower(ising(), coalesce="static").at("bt").text
    lines = enumerate(text.splitlines(), 1)
    line = next(number for number, one in lines if "bt.lanes<" in one)
    broken = text.replace("bt.lanes<", "bt.lanes<0, ", 1)
    assert broken != text
    with pytest.raises(sym.DefinitionError) as caught:
        sym.parse(broken)
    assert caught.value.code == "D029"
    assert caught.value.location is not None
    assert caught.value.location.line == line
    assert caught.value.location.column is not None


# endregion
# region Calls that do not fit


def test_what_a_handle_does_not_have() -> None:
    lowered = handle("tfim")
    for where in (
        "bt-nothing",
        len(lowered.stages),
        -len(lowered.stages) - 1,
        True,
        None,
    ):
        with pytest.raises(sym.StageError) as caught:
            lowered.at(where)  # pyright: ignore[reportArgumentType]
        error = caught.value
        assert isinstance(error, sym.SymirError)
        assert error.code == "C060"
        assert error.operator == "transverse_field_ising"
        assert "bt-prune" in (error.expected or "")
        assert error.got == repr(where)
        assert error.hint


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda text: sym.parse(text).at("bt"), "entered at bt or above"),
        (lambda text: sym.parse(text).inspect("sym"), "entered at sym or above"),
        (lambda text: sym.parse(text).inspect(formula=True), "entered at sym or above"),
        (lambda text: sym.parse(text).specs(["bt"]), "entered at bt or above"),
        (lambda text: sym.parse(text).diff("sym", "stablehlo"), "entered at sym"),
        (lambda text: sym.parse(text).compile(), "a handle that was entered at sym"),
        (lambda text: sym.lower(text, to="bt"), "a level from stablehlo on"),
        (lambda text: sym.diff(text, ising(), "bt"), "entered at bt or above"),
        (
            lambda text: sym.diff(text, cast("Any", 3)),
            "an operator, the text of a level",
        ),
        (lambda _: sym.lower(ising(), to="mlir"), "sym or bt or stablehlo"),
        (lambda _: sym.lower(ising(), to="bt").at("stablehlo"), "lowered to stablehlo"),
        (lambda _: sym.lower(ising(), 3), "no argument without a name"),
        (lambda _: sym.lower(ising(), batch=cast("Any", 1.5)), "a number of samples"),
        (lambda _: sym.lower(ising(), batch=True), "a number of samples"),
        (lambda _: sym.lower(ising(), batch=-1), "a number of samples"),
        (lambda _: sym.lower(ising(), state="int8"), "i1 or i8 or i16"),
        (lambda _: sym.lower(ising(), state=cast("Any", np.int8)), "i1 or i8 or i16"),
        (
            lambda _: sym.lower(cast("Any", ising().compile())),
            "an operator that was built",
        ),
        (lambda _: sym.lower(cast("Any", sym.DOperator(sym.qubit(2)))), "was built"),
    ],
)
def test_calls_that_do_not_fit_a_stage(
    call: Callable[[str], object], expected: str
) -> None:
    with pytest.raises(sym.StageError) as caught:
        call(lowered_ising().at("stablehlo").text)
    assert caught.value.code == "C060"
    assert expected in (caught.value.expected or "")
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_a_stage_error_says_what_it_was_given() -> None:
    error = sym.StageError("this", "that", "do so")
    assert (error.code, error.expected, error.got, error.hint) == (
        "C060",
        "this",
        "that",
        "do so",
    )


# endregion
# region Numbers and text


@pytest.mark.parametrize("name", MODELS)
def test_numbers_of_every_level(name: str) -> None:
    lowered = handle(name)
    specs = lowered.specs()
    assert [one.level for one in specs] == list(LEVELS)
    compiled = sym.SymbolicCompiler().compile(operator(name), OPTIONS)
    lanes = [operator(name).max_conn_size, compiled.lanes, compiled.lanes]
    assert [one.lanes for one in specs] == lanes
    assert [one.samples for one in specs] == [1, 1, 2]
    for one in specs:
        module = lowered.stages[one.stage].module
        assert one.op_count == sum(1 for _ in module.walk()) - 1
        assert one.tensor_bytes > 0
        assert one.constant_bytes > 0
        assert f"{one.flops}" in str(specs)


def test_bytes_and_flops_are_counted() -> None:
    text = """
    func.func @f(%x: tensor<?x4x!bt.state>) -> tensor<?xf32> {
      %t = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
      %v = bt.gather %x[%t] : (tensor<?x4x!bt.state>, tensor<3xi32>) -> tensor<?x3xf32>
      %w = stablehlo.multiply %v, %v : tensor<?x3xf32>
      %s = bt.reduce sum %w : tensor<?x3xf32> -> tensor<?xf32>
      func.return %s : tensor<?xf32>
    }
    """
    (spec,) = sym.parse(text).specs()
    assert spec.ops == {
        "func.func": 1,
        "stablehlo.constant": 1,
        "bt.gather": 1,
        "stablehlo.multiply": 1,
        "bt.reduce": 1,
        "func.return": 1,
    }
    assert spec.constant_bytes == 3 * 4
    assert spec.tensor_bytes == 4 * (3 + 3 + 1)
    assert spec.flops == 3 + 3
    assert spec.lanes is None
    assert spec.as_dict()["ops"] == dict(spec.ops)


def test_rows_count_at_the_sym_level() -> None:
    few, many = (
        sym.lower(
            sym.DOperator(sym.qubit(9), "z")
            .for_each("i", over=[(n,) for n in range(rows)])
            .emit(amplitude=2.0 * sym.site("i").value)
            .build(),
            to="sym",
        ).specs("sym")["sym"]
        for rows in (1, 7)
    )
    assert few.flops == 1
    assert many.flops == 7
    assert many.tensor_bytes == 7 * few.tensor_bytes


@pytest.mark.parametrize("name", MODELS)
def test_every_level_is_inspected(name: str) -> None:
    lowered = handle(name)
    for level in LEVELS:
        shown = lowered.inspect(level, stats=True, formula=True)
        assert shown.startswith(f"operator '{lowered.name}'")
        assert "<x|O|x'> =" in shown
        assert "tensor bytes" in shown
        assert lowered.inspect(level) in shown
    assert lowered.inspect() == lowered.inspect("stablehlo")
    assert "func.func" in lowered.inspect("bt-prune")


def test_long_tables_lose_their_middle() -> None:
    rows = [(n, n + 1) for n in range(149)]
    long = sym.lower(models.heisenberg(150, rows))
    assert "more ..." in long.inspect("sym")
    assert "more ..." not in long.at("sym").text
    for level in ("sym", "bt"):
        assert len(long.inspect(level)) < len(long.at(level).text)


def test_lanes_of_terms() -> None:
    lowered = sym.lower(ising(), coalesce="static")
    assert lowered.lanes_of_terms("sym") == {"bonds": 4, "field": 4}
    for level in ("bt", "stablehlo"):
        assert lowered.lanes_of_terms(level) == {"bonds": 1, "field": 4}
    assert sym.parse(lowered.at("bt").text).lanes_of_terms() is None


# endregion
# region Compiling


def test_a_handle_compiles_to_what_the_operator_does() -> None:
    x = np.array([[1, 1, -1, 1], [1, 1, 1, 1]], np.int8)
    lowered = sym.lower(ising(), coalesce="static")
    expected = ising().compile(coalesce="static").get_conn_padded(x)
    for found, wanted in zip(
        lowered.compile().get_conn_padded(x), expected, strict=True
    ):
        np.testing.assert_array_equal(found, wanted)
    text = sym.lower(lowered.at("sym").text)
    assert text.compile().kernel == ising().compile().kernel


# endregion
