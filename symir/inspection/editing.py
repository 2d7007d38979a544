"""IR that was written by hand: lowered further, and run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from xdsl.dialects.builtin import FunctionType, ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute

from lowering.energy.extraction import energies_in
from symir.compiler.trace import Stage, lanes_in
from symir.errors import StageError, SymbolicCompilerError
from symir.inspection.handle import LoweredOperator
from symir.inspection.lowered import handle_of, lower, passed, read
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.symbolic_operator import SymbolicOperator


def replaced(
    handle: LoweredOperator, level: str | int, text: str, *, file: str = "<string>"
) -> LoweredOperator:
    """Return a handle with the IR of a stage replaced: see `LoweredOperator`."""
    stage = handle.at(level)
    module = read(text, stage.level, file=file)
    if stage.number == 0:
        return _entered_anew(handle, module)
    _check_energy(handle, stage, module)
    _check_declared(handle, stage, module)
    edited = replace(stage, module=module, report=None, edited=True)
    later = handle.stages[stage.number + 1 :]
    stages = [*handle.stages[: stage.number], edited]
    stages = passed(stages, [one.applied for one in later if one.applied is not None])
    result = replace(handle, stages=tuple(stages))
    if isinstance(handle.source, SymbolicOperator):
        _check_kernels(handle, result)
    return result


def _entered_anew(handle: LoweredOperator, module: ModuleOp) -> LoweredOperator:
    """Return the handle of an edited beginning, lowered as it was."""
    source, entered = handle.source, handle_of(module)
    if isinstance(source, SymbolicOperator):
        ir = SymbolicOperatorIR(module)
        is_same = ir.space == source.to_ir().space
        operator = SymbolicOperator.from_ir(ir, source.hilbert if is_same else None)
        entered = replace(entered, source=operator)
    elif source is not None:
        raise _before_the_energy(handle)
    options = dict(handle.options)
    return lower(
        entered, batch=handle.batch, state=handle.state, to=handle.level, **options
    )


def _check_energy(handle: LoweredOperator, stage: Stage, module: ModuleOp) -> None:
    """Raise where the stage of a local energy cannot be lowered anew."""
    energies = [one.number for one in handle.stages if energies_in(one.module)]
    if not energies or stage.number > energies[-1]:
        return
    if stage.number < energies[0]:
        raise _before_the_energy(handle)
    if len(energies_in(module)) != 1:
        raise SymbolicCompilerError(
            "C061",
            "the edited IR is no local energy",
            operator=handle.name,
            expected="one bt.local_energy",
            found=str(len(energies_in(module))),
        )


_DECLARED = ("space", "element", "parameter_names", "defaults")


def _check_declared(handle: LoweredOperator, stage: Stage, module: ModuleOp) -> None:
    """Raise for an operator on its way with another space or parameters (C061).

    What runs has those that it had at its beginning.
    """
    if stage.level != "sym":
        return
    before, after = (SymbolicOperatorIR(one).operator for one in (stage.module, module))
    for name in _DECLARED:
        known, found = before.properties[name], after.properties[name]
        if known != found:
            raise SymbolicCompilerError(
                "C061",
                "the edited IR is of another operator",
                operator=handle.name,
                expected=f"{name} {known}",
                found=str(found),
                hint="edit it at the beginning: replace_ir('sym', text)",
            )


def _before_the_energy(handle: LoweredOperator) -> StageError:
    return StageError(
        "a stage from bt-local-energy on",
        "one of the operator, which has not met the wavefunction there",
        "edit the operator at sym, and make a LocalEnergy of what that compiles to",
        operator=handle.name,
    )


# region Running


def compiled(handle: LoweredOperator) -> Any:
    """Return what runs a handle: see `LoweredOperator.compile`."""
    edited = [stage.number for stage in handle.stages if stage.edited]
    source = handle.source
    if not edited and isinstance(source, SymbolicOperator):
        return source.compile(**handle.options)
    if source is None:
        raise StageError(
            "a handle that was entered at sym",
            f"one that was entered at {handle.entered}, which knows no local values",
            "symir.lower(operator).replace_ir('bt', text) runs branch tensors",
            operator=handle.name,
        )
    if not isinstance(source, SymbolicOperator):
        if not edited:
            return source
        raise StageError(
            "a local energy as it was compiled",
            f"one whose stage {edited[0]} was edited",
            "edited local energies are for looking at; edit the operator to run it",
            operator=handle.name,
        )
    from symir.runtime.edited import edited_operator

    is_fixed = edited[-1] > handle.last_of["bt"]
    return edited_operator(
        SymbolicOperatorIR(handle.at("sym").module),
        handle.at("bt").module,
        source.hilbert,
        (handle.batch, handle.state, handle.at("stablehlo").module)
        if is_fixed
        else None,
    )


def _check_kernels(before: LoweredOperator, after: LoweredOperator) -> None:
    """Raise where what runs has other arguments or results, but for lanes (C061)."""
    levels = [level for level in ("bt", "stablehlo") if level in after.last_of]
    counts = [lanes_in(after.at(level).module) for level in levels]
    for level, lanes in zip(levels, counts, strict=True):
        expected = _types(before.at(level).module, lanes)
        found = _types(after.at(level).module, lanes)
        if found != expected or lanes != counts[0]:
            raise SymbolicCompilerError(
                "C061",
                "the edited IR is no kernel of the operator",
                operator=after.name,
                expected=f"at {level} one function of type {expected}",
                found=str(found) if lanes == counts[0] else f"{counts} lanes",
                hint="keep the arguments, and the results but for the number of lanes",
            )


def _types(module: ModuleOp, lanes: int | None) -> FunctionType | None:
    """Return the type of the only function of a module, with so many lanes."""
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    if len(functions) != 1:
        return None
    kind = functions[0].function_type
    if lanes_in(module) is None or lanes is None:
        return kind
    outputs = [cast("TensorType[Attribute]", one) for one in kind.outputs]
    shapes = [[one.get_shape()[0], lanes, *one.get_shape()[2:]] for one in outputs]
    return FunctionType.from_lists(
        kind.inputs.data,
        [
            TensorType(one.get_element_type(), shape)
            for one, shape in zip(outputs, shapes, strict=True)
        ],
    )


# endregion
