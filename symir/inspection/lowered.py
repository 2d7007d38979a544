"""Lowering while every stage is kept, from any level on, and comparing stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

import numpy as np
from xdsl.dialects.builtin import DYNAMIC_INDEX, ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from lowering.bt.bt_specialize import STATE_TYPES, state_type
from lowering.energy.extraction import energies_in
from symir.compiler.compiler import default_symbolic_compiler
from symir.compiler.context import SymbolicCompilationContext
from symir.compiler.garbage_collection import collector_paused
from symir.compiler.lowerers import planned_module
from symir.compiler.lowering import LoweringPipeline, kernel_pipeline
from symir.compiler.options import OptionsByName, SymbolicCompilerOptions
from symir.compiler.trace import Stage, Trace, level_of, name_of
from symir.errors import StageError, SymbolicCompilerError
from symir.inspection.difference import Difference
from symir.inspection.handle import LEVELS, LoweredOperator, difference
from symir.language.scalars import is_count, shortened
from symir.operator.ir import SymbolicOperatorIR, check_valid, parsed
from symir.operator.symbolic_operator import SymbolicOperator
from symir.provenance import name_terms

if TYPE_CHECKING:
    from symir.runtime.local_energy import LocalEnergy
    from symir.runtime.local_energy.program import EnergyProgram


class LowerOptions(OptionsByName, total=False):
    """The keyword arguments of `lower`."""

    batch: int
    state: str | None
    to: str


def lower(
    what: SymbolicOperator | LocalEnergy | LoweredOperator | str,
    *arguments: Any,
    batch: int = 1,
    state: str | None = None,
    to: str = "stablehlo",
    **options: Unpack[OptionsByName],
) -> LoweredOperator:
    """Lower an operator, and keep what every pass leaves.

    Args:
        what: an operator; a `symir.LocalEnergy`, followed by parameters of the network
            and configurations x (.., N), of which only the dtype counts; a text of any
            level, or what `parse` made of it: then the passes behind that level run.
        arguments: the parameters and x of a local energy.
        batch: the number of samples that the kernel is for.
        state: the type of a local value of x in the kernel, such as "i8" or "f64"; by
            default the narrowest one that holds the local values, of a text "i8".
        to: the last level.
        options: fields of `SymbolicCompilerOptions`, such as `opt_level`, `coalesce`
            and `without`: by default the process-wide compiler's. A local energy has
            its own.

    The stages are those of a compilation with the same options: the passes are the
    same, and so is the precision, unless JAX is missing or set to fewer bits than the
    operator asks for. Every stage is a copy of the IR; a compilation makes none.

    Raises:
        StageError: for something without stages, such as a compiled operator (C060).
        DefinitionError: for a text that is no IR (D028, D029).
        SymbolicCompilerError: where a pass or an option is wrong, as of a compilation.
    """
    if to not in LEVELS:
        raise StageError(" or ".join(LEVELS), repr(to), "say to='bt', for example")
    _check_kernel_options(batch, state)
    if arguments and isinstance(what, SymbolicOperator | LoweredOperator | str):
        raise StageError(
            "no argument without a name, but for a LocalEnergy",
            f"{len(arguments)} more",
            "symir.lower(operator, opt_level=3)",
        )
    given: dict[str, Any] = {**options}
    with collector_paused():
        match what:
            case SymbolicOperator():
                return _lowered_operator(what, given, batch, state, to)
            case LoweredOperator():
                return _lowered_further(what, given, batch, state, to)
            case str():
                return _lowered_further(parse(what), given, batch, state, to)
            case _ if hasattr(what, "logpsi"):
                return _lowered_energy(what, arguments, given, batch, to)
            case _:
                raise StageError(
                    "an operator that was built, a LocalEnergy, or the text of a level",
                    f"{type(what).__name__}: {what!r}"[:200],
                    "lower what build() returns, and not what compile() does",
                )


def parse(
    text: str, level: str | None = None, *, file: str = "<string>"
) -> LoweredOperator:
    """Return the handle of a text, with one stage: `lower` goes on from there.

    `level` is found from the text where it is not given. `file` is what messages call
    the text.

    Raises:
        DefinitionError: for a text that is no valid IR (D028, D029), with its place,
            and for one of "sym" that is not one operator (D030).
        StageError: for a text of another level (C060).
    """
    return handle_of(read(text, level, file=file))


def handle_of(module: ModuleOp) -> LoweredOperator:
    """Return the handle of a module that nobody else holds, with one stage.

    Raises:
        DefinitionError: for a module of "sym" that is not one operator (D030).
    """
    level = level_of(module)
    handle = LoweredOperator(
        name_of(module), (Stage(0, level, module),), last_of={level: 0}
    )
    if level != "sym":
        return handle
    operator = SymbolicOperator.from_ir(SymbolicOperatorIR.owning(module))
    return replace(
        handle, source=operator, state=state_type(operator.space.default_dtype())
    )


def read(text: str, level: str | None = None, *, file: str = "<string>") -> ModuleOp:
    """Return the valid module of a text.

    Raises:
        DefinitionError: for a text that is no valid IR (D028, D029), with its place.
        StageError: for a text of another level than is given (C060).
    """
    if level is not None and level not in LEVELS:
        raise StageError(" or ".join(LEVELS), repr(level), "leave the level out")
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise StageError("the text of a level", shortened(text), "stage.text is one")
    # What JAX made of a wavefunction is in private functions
    module = parsed(text, file, foreign="func.func private" in text)
    check_valid(module)
    found = level_of(module)
    if level in (None, found):
        return module
    raise StageError(
        f"a text of the level {level}",
        f"one of the level {found}",
        f"parse(text, level={found!r}), or leave the level out",
    )


def _check_kernel_options(batch: Any, state: Any) -> None:
    if not is_count(batch):
        raise StageError("a number of samples, such as batch=16", shortened(batch))
    if state is not None and (not isinstance(state, str) or state not in STATE_TYPES):
        raise StageError(" or ".join(STATE_TYPES), shortened(state), "say state='i8'")


# region From operators


def _lowered_operator(
    operator: SymbolicOperator,
    options: Mapping[str, Any],
    batch: int,
    state: str | None,
    to: str,
) -> LoweredOperator:
    context = _analysed(operator, options)
    state = state or state_type(operator.space.default_dtype())
    planned = planned_module(context.ir, context.analysis("fusion_groups", ()))
    first = Stage(0, "sym", context.ir.module)
    for module in (planned, first.module):
        name_terms(module)
    levels = LEVELS[: LEVELS.index(to) + 1]
    above = list(context.lowering) if "bt" in levels else []
    _, *others = passed([Stage(0, "sym", planned)], above)
    stages = [first, *others]
    if "stablehlo" in levels:
        below = kernel_pipeline(batch, state, stages[-1].module)
        stages = passed(stages, below)
    last_of = {"sym": 0, "bt": len(above), "stablehlo": len(stages) - 1}
    return LoweredOperator(
        operator.name,
        tuple(stages),
        operator,
        options,
        batch,
        state,
        {level: last_of[level] for level in levels},
    )


def _analysed(
    operator: SymbolicOperator, options: Mapping[str, Any]
) -> SymbolicCompilationContext:
    """Return what a compilation would begin to lower."""
    compiler = default_symbolic_compiler()
    options = {"diagnostics": "off", **options}
    try:
        return compiler.analysed(operator, options)
    except SymbolicCompilerError as error:
        if error.code not in ("C004", "C005"):
            raise
    # One can look at what JAX, as it is set, cannot run, and where JAX is missing
    return compiler.analysed(operator, {**options, "backend_preference": "reference"})


def passed(stages: Iterable[Stage], passes: Iterable[ModulePass]) -> list[Stage]:
    """Run passes on the last of some stages, and return all stages."""
    trace = Trace([*stages])
    LoweringPipeline(passes).run(trace.stages[-1].module, verified=True, trace=trace)
    return trace.stages


# endregion
# region From texts


def _lowered_further(
    handle: LoweredOperator,
    options: Mapping[str, Any],
    batch: int,
    state: str | None,
    to: str,
) -> LoweredOperator:
    """Return the handle of what `parse` made of a text, lowered to the last level."""
    if any(stage.edited for stage in handle.stages):
        raise StageError(
            "a handle as it was parsed or lowered",
            "one whose IR was edited, which would be lost",
            "replace_ir has lowered it already; lower first, and then edit",
            operator=handle.name,
        )
    options = {**handle.options, **options}
    if handle.entered == "sym" and isinstance(handle.source, SymbolicOperator):
        return _lowered_operator(handle.source, options, batch, state, to)
    first = handle.stages[0]
    if LEVELS.index(to) < LEVELS.index(first.level):
        raise StageError(
            f"a level from {first.level} on",
            f"to={to!r}, of a text at {first.level}",
            "passes go down only",
            operator=handle.name,
        )
    state = state or handle.state
    if first.level == "stablehlo" or energies_in(first.module):
        return replace(handle, stages=(first,), options=options, state=state)
    above = _passes_on_bt(first.module, options)
    kernel = kernel_pipeline(batch, state, first.module)
    below = list(kernel) if to == "stablehlo" else []
    if not _is_dynamic(first.module):
        # It is specialised already
        below = below[1:]
    stages = passed([first], [*above, *below])
    last_of = {"bt": len(above)}
    if below:
        last_of["stablehlo"] = len(stages) - 1
    return LoweredOperator(
        handle.name, tuple(stages), None, options, batch, state, last_of
    )


def _passes_on_bt(module: ModuleOp, options: Mapping[str, Any]) -> list[ModulePass]:
    """Return the passes of the operator's pipeline that take branch tensors."""
    if not _is_dynamic(module):
        return []
    lowering = SymbolicCompilerOptions.from_mapping(options).operator_pipeline()
    passes = list(LoweringPipeline.parse(lowering))
    names = [one.name for one in passes]
    return passes[names.index("convert-sym-to-bt") + 1 :]


def _is_dynamic(module: ModuleOp) -> bool:
    """Whether the functions of a module are for any number of samples."""
    return any(
        isinstance(kind, TensorType) and DYNAMIC_INDEX in kind.get_shape()
        for function in module.ops
        if isinstance(function, FuncOp)
        for kind in function.function_type.inputs
    )


# endregion
# region From local energies


def _lowered_energy(
    energy: LocalEnergy,
    arguments: tuple[Any, ...],
    options: Mapping[str, Any],
    batch: int,
    to: str,
) -> LoweredOperator:
    """Return the stages of a local energy, down to its kernel for a batch."""
    if len(arguments) != 2 or options:
        raise StageError(
            "symir.lower(energy, parameters, x)",
            f"{len(arguments)} more arguments, options {', '.join(options) or 'none'}",
            "a LocalEnergy knows its options: LocalEnergy(op, logpsi, without=..)",
        )
    parameters, x = arguments
    operator = energy.operator
    if energy.is_edited:
        raise StageError(
            "a local energy as it was compiled",
            "one whose IR was edited",
            "the handle that it is from has its stages",
            operator=operator.name,
        )
    samples = operator._checked(x)  # pyright: ignore[reportPrivateUsage]
    dtype = np.dtype(samples.dtype)
    program = energy.program(parameters, dtype, samples.reshape(-1, samples.shape[-1]))
    trace = Trace()
    passed_energy(program, trace)
    stages = trace.stages
    last_of = {"sym": 0, "bt": len(stages) - 1}
    if to == "stablehlo":
        stages = passed(stages, program.kernel_pipeline(batch, None))
        last_of["stablehlo"] = len(stages) - 1
    name, state = program.kernel.name, state_type(dtype)
    return LoweredOperator(
        name, tuple(stages), energy, {}, batch, state, last_of, program
    )


def passed_energy(
    program: EnergyProgram, trace: Trace, *, strict: bool = False
) -> ModuleOp:
    """Run the passes of a local energy as far as its plan, which is returned.

    An empty trace gets the stages, from "sym" to "bt". With `strict` a pass that only
    makes something faster, and fails, is an error.
    """
    trace.stages.append(Stage(0, "sym", program.kernel.ir.module))
    planned = program.planned(trace, strict=strict)
    program.declared.write(planned)
    trace.stages[-1] = replace(trace.stages[-1], module=planned)
    return planned


# endregion


# region Comparing

Comparable: TypeAlias = SymbolicOperator | LoweredOperator | str | tuple[Any, Any, Any]


def diff(
    first: Comparable,
    second: Comparable,
    level: str | int | None = None,
    **options: Unpack[LowerOptions],
) -> Difference:
    """Return what is different between two operators, texts of IR, or handles.

    Terms with other lanes come first: "J2 term added: +128 lanes". Then come ops that
    were added, removed or rewritten, each with the term and the line of yours that it
    is from. Names of values and the order of ops do not count.

    Args:
        first: an operator, the text of a level, or what `lower` or `parse` returned; a
            local energy with its arguments, (energy, parameters, x).
        second: likewise.
        level: where to look, as `LoweredOperator.at` has it; by default the level that
            the first one begins at, of a local energy "bt", with its plan. Operators
            and texts are lowered that far.
        options: those of `lower`, for operators and texts.

    Raises:
        StageError: for something else, and where one of them has no such stage (C060).
        DefinitionError: for a text that is no IR (D028, D029).
    """
    begun = [_begun(one, options) for one in (first, second)]
    if level is None:
        level = begun[0].entered if begun[0].program is None else "bt"
    handles = [_reached(handle, level, options) for handle in begun]
    before, after = ((handle, handle.at(level)) for handle in handles)
    return difference(before, after)


def _begun(what: Comparable, options: LowerOptions) -> LoweredOperator:
    """Return a handle, of operators and texts with one stage."""
    match what:
        case LoweredOperator():
            return what
        case SymbolicOperator():
            return lower(what, to="sym")
        case str():
            return parse(what)
        case (energy, parameters, x) if hasattr(energy, "logpsi"):
            return lower(energy, parameters, x, **options)
        case _:  # pyright: ignore[reportUnnecessaryComparison]
            raise StageError(
                "an operator, the text of a level, or a handle",
                f"{type(what).__name__}: {what!r}"[:200],
                "symir.diff(symir.lower(a), symir.lower(b))",
            )


def _reached(
    handle: LoweredOperator, level: str | int, options: LowerOptions
) -> LoweredOperator:
    """Return a handle that has a stage; one of a single stage is lowered to have it."""
    is_there = level in handle.levels or level == 0
    return handle if is_there or len(handle.stages) > 1 else lower(handle, **options)


# endregion
