"""IR that was written by hand: lowered further, and run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

from xdsl.dialects.builtin import FunctionType, ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute
from xdsl.passes import ModulePass

from lowering.energy.bt_local_energy import NETWORK
from lowering.energy.extraction import energies_in, wavefunctions_in
from lowering.energy.lower_local_energy import unfused
from lowering.energy.write_parts import tabled
from symir.compiler.local_energy import with_network
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
    if handle.program is not None and stage.number < handle.last_of["bt"]:
        count = handle.last_of["bt"] - stage.number
        stages = passed(stages, _passes_of(later[:count]))
        handle.program.declared.write(stages[-1].module)
        later = later[count:]
    stages = passed(stages, _passes_of(later))
    result = replace(handle, stages=tuple(stages))
    if isinstance(handle.source, SymbolicOperator):
        _check_kernels(handle, result)
    elif handle.source is not None:
        _check_functions(handle, result)
    return result


def _passes_of(stages: Iterable[Stage]) -> list[ModulePass]:
    return [one.applied for one in stages if one.applied is not None]


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


def networked(handle: LoweredOperator) -> LoweredOperator:
    """Return the handle of an energy with its network: see `LoweredOperator`."""
    if handle.program is None or "stablehlo" not in handle.last_of:
        raise StageError(
            "the kernel of a local energy",
            f"a handle of '{handle.name}' at {', '.join(handle.levels)}",
            "symir.lower(energy, parameters, x).with_network()",
            operator=handle.name,
        )
    module = with_network(
        handle.at("stablehlo").module, handle.program.imported.parent_op()
    )
    last = Stage(len(handle.stages), NETWORK, module)
    return replace(
        handle,
        stages=(*handle.stages, last),
        last_of={**handle.last_of, "stablehlo": last.number},
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
    is_fixed = bool(edited) and edited[-1] > handle.last_of["bt"]
    if not isinstance(source, SymbolicOperator):
        if not edited:
            return source
        from symir.runtime.local_energy.edited import edited_energy

        fixed = (handle.batch, handle.at("stablehlo").module) if is_fixed else None
        planned = handle.at("bt").module
        return edited_energy(source, handle.program, planned, fixed)
    from symir.runtime.edited import edited_operator

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


def _check_functions(before: LoweredOperator, after: LoweredOperator) -> None:
    """Raise where what runs of an energy is called, or calls, in another way (C061)."""
    for level in ("bt", "stablehlo"):
        if level not in after.last_of:
            continue
        known, found = (one.at(level).module for one in (before, after))
        declared = {*_signatures(known, called=True)}
        unknown = {*_signatures(found, called=True)} - declared
        pairs = [_signatures(one, called=False) for one in (known, found)]
        if pairs[0] != pairs[1] or unknown:
            told = [*(pairs[1] if pairs[0] != pairs[1] else unknown)]
            raise SymbolicCompilerError(
                "C061",
                "the edited IR is no kernel of the local energy",
                operator=after.name,
                expected=f"at {level} {_listed(pairs[0])} and declarations that were "
                f"there: {_listed(declared) or 'none'}",
                found=_listed(told) or "no public function",
                hint="what is declared alone is called by JAX: give others a body",
            )
    _check_network(before, after)


def _check_network(before: LoweredOperator, after: LoweredOperator) -> None:
    """Raise for another text of a network that JAX calls as it is (C061)."""
    modules = [one.at("bt").module for one in (before, after)]
    known, found = (
        {one.sym_name.data: one for one in wavefunctions_in(module)}
        for module in modules
    )
    (energy,) = energies_in(modules[1])
    if energy.plan is not None and unfused(energy, tabled(energy)) is None:
        return
    for name in known.keys() & found.keys():
        if not known[name].clone().is_structurally_equivalent(found[name]):
            raise SymbolicCompilerError(
                "C061",
                "the text of a network that is called does not count",
                operator=after.name,
                expected=f"@{name} as JAX has written it",
                found="an edited one",
                hint="LocalEnergy(op, logpsi) with another logpsi, or a body for the "
                "declared networks at the level stablehlo",
            )


def _signatures(module: ModuleOp, *, called: bool) -> list[tuple[str, FunctionType]]:
    """Return names and types of the functions that others give, or that others call."""
    return [
        (op.sym_name.data, op.function_type)
        for op in module.ops
        if isinstance(op, FuncOp)
        and (op.is_declaration if called else op.sym_visibility is None)
    ]


def _listed(signatures: Iterable[tuple[str, FunctionType]]) -> str:
    return ", ".join(f"@{name} : {kind}" for name, kind in signatures)


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
