"""What verification finds, and that what it remembers hides nothing from it."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import pytest
from xdsl.dialects.builtin import FunctionType, ModuleOp, TensorType, f32, f64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, OpResult, Region, SSAValues
from xdsl.rewriter import Rewriter
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt, sym, verification
from dialects.tables import LocalSpace
from dialects.text import parse_module
from dialects.verification import Invalidity, Seen, fault_in
from lowering.energy.extraction import function_named
from symir.compiler.lowering import LoweringPipeline

KERNEL = """
func.func @kernel(%a: tensor<4xf64>) -> tensor<4xf64> {
  %b = stablehlo.add %a, %a : tensor<4xf64>
  %c = stablehlo.add %a, %b : tensor<4xf64>
  %d = stablehlo.multiply %b, %c : tensor<4xf64>
  func.return %d : tensor<4xf64>
}
"""

BRANCHES = """
func.func @connections(%x: tensor<?x4x!bt.state>)
    -> (tensor<?x3x4x!bt.state>, tensor<?x3xf64>) {
  %site = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %one = stablehlo.constant dense<1.0> : tensor<f64>
  %other = stablehlo.constant dense<1.0> : tensor<f32>
  %b = bt.branches [%site] = [%one] amplitude %one
    : [tensor<3xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<3 x 1>
  %xp, %mels = bt.connections %x, %b
    : (tensor<?x4x!bt.state>, !bt.branches<3 x 1>)
    -> (tensor<?x3x4x!bt.state>, tensor<?x3xf64>)
  func.return %xp, %mels : tensor<?x3x4x!bt.state>, tensor<?x3xf64>
}
"""

Change = Callable[[ModuleOp], None]


def first(module: ModuleOp, kind: type[Operation]) -> Operation:
    return next(op for op in module.walk() if isinstance(op, kind))


def retype_operand(module: ModuleOp) -> None:
    product = first(module, hlo.MultiplyOp)
    Rewriter.replace_value_with_new_type(product.operands[0], TensorType(f32, [4]))


def use_before_definition(module: ModuleOp) -> None:
    sums = [op for op in module.walk() if isinstance(op, hlo.AddOp)]
    sums[0].operands[1] = sums[1].result


def drop_the_return(module: ModuleOp) -> None:
    block = first(module, FuncOp).regions[0].block
    assert block.last_op is not None
    block.last_op.detach()


def empty_the_block(module: ModuleOp) -> None:
    block = first(module, FuncOp).regions[0].block
    for op in reversed(list(block.ops)):
        op.detach()


def add_a_property(module: ModuleOp) -> None:
    first(module, hlo.MultiplyOp).properties["odd"] = f64


def change_the_amplitude(module: ModuleOp) -> None:
    constants = [op for op in module.walk() if isinstance(op, hlo.ConstantOp)]
    first(module, bt.BranchesOp).operands[2] = constants[-1].results[0]


@pytest.mark.parametrize(
    ("text", "change", "blamed"),
    [
        (KERNEL, retype_operand, "stablehlo.multiply"),
        (KERNEL, use_before_definition, "stablehlo.add"),
        (KERNEL, drop_the_return, "stablehlo.multiply"),
        (KERNEL, empty_the_block, "func.func"),
        (KERNEL, add_a_property, "stablehlo.multiply"),
        # Another op is at fault than the one that was changed
        (BRANCHES, change_the_amplitude, "bt.connections"),
    ],
)
def test_what_was_valid_before_a_change_is_found(
    text: str, change: Change, blamed: str
) -> None:
    module = parse_module(text)
    seen = Seen()
    assert fault_in(module, seen) is None
    assert seen.units
    change(module)
    again, anew = fault_in(module, seen), fault_in(module)
    assert again is not None
    assert anew is not None
    assert again.op.name == blamed
    assert again.op is anew.op
    assert str(again.error) == str(anew.error)


def test_invalid_ops_are_not_remembered() -> None:
    module = parse_module(KERNEL)
    add_a_property(module)
    seen = Seen()
    faults = [fault_in(module, seen) for _ in range(2)]
    assert all(isinstance(fault, Invalidity) for fault in faults)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the ops that are verified."""
    names: list[str] = []
    own = Operation.verify
    monkeypatch.setattr(verification, "_VALID", set[Hashable]())

    def verify(op: Operation, verify_nested_ops: bool = True) -> None:
        names.append(op.name)
        own(op, verify_nested_ops)

    monkeypatch.setattr(Operation, "verify", verify)
    return names


def test_equal_ops_are_looked_at_once(verified: list[str]) -> None:
    module = parse_module(KERNEL)
    verified.clear()
    seen = Seen()
    for _ in range(2):
        assert fault_in(module, seen) is None
        # Something else has changed
        first(module, FuncOp).attributes["note"] = f64
    assert verified.count("stablehlo.add") == 1
    assert verified.count("func.return") == 2


def test_ops_that_are_valid_elsewhere_are_not_looked_at(verified: list[str]) -> None:
    one, other = parse_module(KERNEL), parse_module(KERNEL)
    verified.clear()
    assert fault_in(one) is None
    assert "stablehlo.multiply" in verified
    verified.clear()
    assert fault_in(other) is None
    assert "stablehlo.multiply" not in verified


def test_functions_that_are_what_they_were_are_not_looked_at(
    verified: list[str],
) -> None:
    module = parse_module(KERNEL + KERNEL.replace("@kernel", "@other"))
    seen = Seen()
    assert fault_in(module, seen) is None
    verified.clear()
    assert fault_in(module, seen) is None
    assert verified == []
    retype_operand(module)
    fault = fault_in(module, seen)
    assert fault is not None
    assert fault.op is first(module, hlo.MultiplyOp)


OPERATOR = """
sym.operator @two() space #sym.space<2 x [-1, 1]> element f64 {
  sym.term @a over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
  sym.term @b over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %v = sym.read %x[%i] : tensor<f64>
    sym.emit %x, %v : tensor<f64>
  }
}
"""


def reverse_the_terms(module: ModuleOp) -> None:
    operator = first(module, sym.OperatorOp)
    term = first(module, sym.TermOp)
    term.detach()
    operator.regions[0].block.add_op(term)


def drop_an_emission(module: ModuleOp) -> None:
    Rewriter.erase_op(first(module, sym.EmitOp))


def retype_the_element(module: ModuleOp) -> None:
    first(module, sym.OperatorOp).properties["element"] = f32


def shrink_the_space(module: ModuleOp) -> None:
    space = sym.SpaceAttr(LocalSpace(1, ((-1.0, 1.0),)))
    first(module, sym.OperatorOp).properties["space"] = space


def test_terms_that_are_what_they_were_are_not_looked_at(verified: list[str]) -> None:
    module = parse_module(OPERATOR)
    seen = Seen.of(module)
    verified.clear()
    assert fault_in(module, seen) is None
    assert verified == []
    reverse_the_terms(module)
    assert fault_in(module, seen) is None
    assert verified == ["sym.operator"]


@pytest.mark.parametrize(
    "change", [drop_an_emission, retype_the_element, shrink_the_space]
)
def test_terms_see_what_is_around_them(change: Change) -> None:
    module = parse_module(OPERATOR)
    seen = Seen.of(module)
    change(module)
    again, anew = fault_in(module, seen), fault_in(module)
    assert again is not None
    assert anew is not None
    assert again.op is anew.op
    assert str(again.error) == str(anew.error)


WAVEFUNCTION = """
func.func private @logpsi(%x: tensor<1x4xf64>) -> tensor<1xf64> {
  %one = stablehlo.constant dense<1.0> : tensor<1xf64>
  func.return %one : tensor<1xf64>
}
"""


def retype_the_callee(module: ModuleOp) -> None:
    inner = list(module.ops)[-1]
    assert isinstance(inner, FuncOp)
    kind = TensorType(f32, [4])
    inner.function_type = FunctionType.from_lists(
        [kind], list(inner.function_type.outputs)
    )
    Rewriter.replace_value_with_new_type(inner.body.block.args[0], kind)


def move_a_property(module: ModuleOp) -> None:
    function = first(module, FuncOp)
    name, value = list(function.properties.items())[-1]
    del function.properties[name]
    function.attributes = {name: value, **function.attributes}


def add_a_region(module: ModuleOp) -> None:
    first(module, hlo.AddOp).add_region(Region())


def replace_a_result(module: ModuleOp) -> None:
    op = first(module, hlo.AddOp)
    op.results = SSAValues([OpResult(op.results[0].type, op, 0)])


CALLED = """
func.func private @logpsi(%x: tensor<4xf64>) -> tensor<4xf64> {
  %a = func.call @inner(%x) : (tensor<4xf64>) -> tensor<4xf64>
  func.return %a : tensor<4xf64>
}
func.func private @inner(%x: tensor<4xf64>) -> tensor<4xf64> {
  %one = stablehlo.constant dense<1.0> : tensor<4xf64>
  func.return %one : tensor<4xf64>
}
"""


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (CALLED, retype_the_callee),
        (KERNEL, move_a_property),
        (KERNEL, add_a_region),
        (KERNEL, replace_a_result),
    ],
)
def test_nothing_hides_in_what_looks_the_same(text: str, change: Change) -> None:
    module = parse_module(text)
    seen = Seen()
    assert fault_in(module, seen) is None
    change(module)
    again, anew = fault_in(module, seen), fault_in(module)
    assert again is not None
    assert anew is not None
    assert str(again.error) == str(anew.error)


def test_what_a_function_refers_to_may_be_gone() -> None:
    separate = parse_module(BRANCHES + WAVEFUNCTION)
    module = LoweringPipeline.parse("bt-local-energy").run(separate)
    seen = Seen()
    assert fault_in(module, seen) is None
    function_named(module, "logpsi").detach()
    fault = fault_in(module, seen)
    assert fault is not None
    assert isinstance(fault.op, bt.LocalEnergyOp)


def test_an_op_belongs_to_the_block_that_holds_it() -> None:
    module = parse_module(KERNEL)
    function = first(module, FuncOp)
    first(module, hlo.MultiplyOp).parent = module.body.block
    fault = fault_in(module)
    assert fault is not None
    assert fault.op is function
