"""`denote`: what every value of an operator is on some samples, at any level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import StringIO
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast, overload

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp, StringAttr, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.interpreter import (
    Interpreter,
    InterpreterFunctions,
    OpImplResult,
    PythonValues,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.utils.exceptions import InterpretationError

from dialects import bt, sym, text
from dialects.interpreters import bt as branch_tensors
from dialects.interpreters import kernel
from dialects.interpreters.calls import MissingOracle, Oracle
from dialects.interpreters.stablehlo import StableHLOFunctions
from dialects.interpreters.sym import Partial, SymFunctions, SymInterpreter, connections
from dialects.stablehlo import dtype_of, shape_of
from lowering.energy.lower_local_energy import LowerLocalEnergyPass
from symir.compiler.artifact import lane_origins
from symir.compiler.trace import Trace, level_of
from symir.errors import InputError
from symir.language.scalars import items_of, shortened
from symir.operator.ir import SymbolicOperatorIR, as_parameter
from symir.operator.symbolic_operator import SymbolicOperator
from symir.provenance import origins, place_of, term_around
from symir.validation.energies import EnergySubject
from symir.validation.table import Value, ValueTable

if TYPE_CHECKING:
    from symir.runtime.local_energy import LocalEnergy

Array = npt.NDArray[Any]
Parameters: TypeAlias = Mapping[str, Any] | Sequence[Any]

# region Interpreters that remember what every value was


class _Entry(NamedTuple):
    """Record of a value at one evaluation.

    Attributes:
        sample: the number of the sample, at `sym`, where they run one by one.
        rows: which rows of a term ran together; none outside of terms.
        places: the turn of each loop around it, such as that of a reduction.
        result: the value itself.
    """

    sample: int
    rows: slice
    places: tuple[int, ...]
    result: Any


class _Recorder(Interpreter):
    """Interprets functions; `entries` has what each value was, in order.

    A listener would not do: it is told of ops, so neither of block arguments nor of
    where in a loop an op runs.
    """

    def __init__(self, module: ModuleOp, functions: Iterable[InterpreterFunctions]):
        super().__init__(module)
        for one in functions:
            self.register_implementations(one)
        self.entries: dict[SSAValue, list[_Entry]] = {}
        self.sample = 0
        self._rows = slice(0, 0)
        self._places: tuple[int, ...] = ()
        self._turns: dict[Region, int] = {}

    def set_values(self, pairs: Iterable[tuple[SSAValue, Any]]) -> None:
        listed = list(pairs)
        for value, result in listed:
            entry = _Entry(self.sample, self._rows, self._places, result)
            self.entries.setdefault(value, []).append(entry)
        super().set_values(listed)

    def run_ssacfg_region(
        self, region: Region, args: PythonValues, name: str = "unknown"
    ) -> PythonValues:
        if isinstance(region.parent, FuncOp):
            return super().run_ssacfg_region(region, args, name)
        before = self._rows, self._places
        turn = self._turns.get(region, 0)
        if isinstance(region.parent, sym.TermOp):
            # Many rows at once: x, the first argument, has been repeated for each
            self._rows = slice(turn, turn + len(args[0]))
            self._turns[region] = self._rows.stop
        else:
            self._turns[region] = turn + 1
            self._places = (*self._places, turn)
        results = super().run_ssacfg_region(region, args, name)
        self._rows, self._places = before
        return results

    def _run_op(self, op: Operation, inputs: PythonValues) -> OpImplResult:
        for region in op.regions:
            self._turns[region] = 0
        return super()._run_op(op, inputs)


class _SymRecorder(_Recorder, SymInterpreter):
    """Interprets operators, one sample in each run."""


# endregion
# region Where values come from


def _printed_names(module: ModuleOp) -> dict[SSAValue, str]:
    """Return the name of each value in the text of a module, without the `%`."""
    printer = _NamingPrinter(StringIO())
    printer.print_op(module)
    return printer.names


class _NamingPrinter(text.Printer):
    """A printer that notes the names of values, and leaves out attributes."""

    def __init__(self, stream: StringIO):
        super().__init__(stream)
        self.names: dict[SSAValue, str] = {}

    def print_ssa_value(self, value: SSAValue) -> str:
        name = super().print_ssa_value(value)
        self.names.setdefault(value, name)
        return name

    def print_attribute(self, attribute: Attribute) -> None:
        """Print nothing: only names are of interest, and tables are long."""


@dataclass
class _Naming:
    """Gives each value its entry in the table, but for the array."""

    module: ModuleOp
    operator: str

    def __post_init__(self) -> None:
        self.printed = _printed_names(self.module)

    def entry(
        self,
        value: SSAValue,
        axes: tuple[str, ...],
        array: Array,
        part: str = "",
        function: FuncOp | str = "",
    ) -> Value:
        """Return the entry of a value; functions that are called have a name."""
        if isinstance(function, FuncOp):
            function = f"{function.sym_name.data}/"
        owner = value.owner
        op = owner if isinstance(owner, Operation) else _parent(value)
        found = () if op is None else origins(op)
        places = [one.location for one in found if one.location is not None]
        own = term_around(_parent(value))
        terms = [self._term(one.path) for one in found]
        if own is not None:
            terms = [own.sym_name.data]
        named = dict.fromkeys(term for term in terms if term)
        return Value(
            f"%{function}{self.printed[value]}{part}",
            owner.name if isinstance(owner, Operation) else "argument",
            "+".join(named) or None,
            tuple(dict.fromkeys(places)),
            axes,
            array,
        )

    def _term(self, path: str | None) -> str | None:
        """Return the term in the path "operator/term/.." of an op."""
        if path is None:
            return None
        own = path.removeprefix(f"{self.operator}/")
        if own == path:  # a function that has been renamed, or the operator itself
            own = path.partition("/")[2]
        return own.partition("/")[0] or None


def _parent(value: SSAValue) -> Operation | None:
    """Return the op in whose region a value is."""
    return value.owner.parent_op()


def _values_in(op: Operation) -> Iterator[SSAValue]:
    """Yield all values inside of an op, in the order of the text."""
    for region in op.regions:
        for block in region.blocks:
            yield from block.args
            for inner in block.ops:
                yield from inner.results
                yield from _values_in(inner)


# endregion
# region Arrays at `sym`


def _sym_values(
    operator: sym.OperatorOp, recorder: _SymRecorder, samples: int
) -> Iterator[tuple[SSAValue, tuple[str, ...], Array]]:
    """Yield each value with its axes and numbers."""
    for value in _values_in(operator):
        entries = recorder.entries.get(value, [])
        axes, rows = _loops_around(value)
        turns = [max(turn) + 1 for turn in zip(*(entry.places for entry in entries))]
        turns += [0] * (len(axes) - 2 - len(turns))
        own, shape, dtype = _kind(value, operator)
        sizes = (samples, rows, *turns)[: len(axes)]
        array = np.zeros((*sizes, *shape), dtype)
        defined = np.zeros(sizes, np.bool_)
        for entry in entries:
            at = (entry.sample, entry.rows, *entry.places)[: len(axes)]
            result, known = entry.result, True
            if isinstance(result, Partial):
                result, known = result.values, result.defined
            array[at], defined[at] = result, known
        if not defined.all():
            missing = ~defined.reshape(*sizes, *[1] * len(shape))
            array = np.ma.MaskedArray(array, np.broadcast_to(missing, array.shape))
        yield value, (*axes, *own), array


def _loops_around(value: SSAValue) -> tuple[tuple[str, ...], int]:
    """Return what is gone through around a value, and how many rows that are."""
    axes, rows = (), 0
    op = _parent(value)
    while op is not None and not isinstance(op, sym.OperatorOp):
        if isinstance(op, sym.TermOp):
            rows = op.rows.data.rows
            axes = ("row", *axes)
        else:
            axes = ("place", *axes)
        op = op.parent_op()
    return ("sample", *axes), rows


def _kind(
    value: SSAValue, operator: sym.OperatorOp
) -> tuple[tuple[str, ...], tuple[int, ...], np.dtype[Any]]:
    """Return the axes, shape and dtype of what a value is in one row."""
    match value.type:
        case sym.ConfigType():
            real = dtype_of(sym.real_type(operator.element))
            return ("site",), (operator.space.data.sites,), real
        case sym.SiteType():
            return (), (), np.dtype(np.int32)
        case sym.SitesType():
            # The width of the largest set; the others end in -1
            table = cast(sym.TermOp, _parent(value)).set_of(value)
            width = 0 if table is None else table.width
            return ("member",), (width,), np.dtype(np.int32)
        case _:
            kind = cast(TensorType[Attribute], value.type)
            return (), (), dtype_of(kind.element_type)


# endregion
# region Arrays of a function


def _function_values(
    function: FuncOp, recorder: _Recorder, samples: int, level: str
) -> Iterator[tuple[SSAValue, tuple[str, ...], Array, str]]:
    """Yield each value with its axes and numbers; branches as their parts."""
    of_x = _depends_on_x(function)
    for value in _values_in(function):
        entries = recorder.entries.get(value, [])
        if not entries:  # in the body of a loop that never ran
            continue
        if isinstance(value.type, bt.BranchesType):
            lanes = ("sample", "lane")
            results = [cast(branch_tensors.Branches, one.result) for one in entries]
            for name, axes in (
                ("sites", (*lanes, "write")),
                ("values", (*lanes, "write")),
                ("amplitude", lanes),
                ("valid", lanes),
            ):
                # Of many chunks of samples one after the other
                parts = [getattr(one, name) for one in results]
                yield value, axes, np.concatenate(parts), f".{name}"
            continue
        if entries[0].places or len(entries) > 1:
            array = np.stack([np.asarray(entry.result) for entry in entries])
            inner = tuple(f"axis{k}" for k in range(1, array.ndim))
            turn = "place" if entries[0].places else "call"
            yield value, (turn, *inner), array, ""
            continue
        array = np.asarray(entries[0].result)
        has_samples = array.ndim > 0 and (
            shape_of(value)[0] == bt.BATCH
            or (value in of_x and array.shape[0] == samples)
        )
        yield value, _axes(value, array.ndim, has_samples, level), array, ""


def _depends_on_x(function: FuncOp) -> set[SSAValue]:
    """Return the values that are computed from the configurations."""
    found: set[SSAValue] = {*function.body.block.args[:1]}
    for op in function.body.block.ops:
        if any(operand in found for operand in op.operands):
            found.update(op.results)
    return found


def _axes(value: SSAValue, rank: int, has_samples: bool, level: str) -> tuple[str, ...]:
    head = ("sample",) if has_samples else ()
    rest = rank - len(head)
    if isinstance(value.owner, Block) and head and rest == 1:
        return (*head, "site")
    if isinstance(value.owner, bt.ConnectionsOp):
        return (*head, *("lane", "site")[:rest])
    is_given = isinstance(value.owner, Block) and not head
    if level == "bt" and rest <= 2 and not is_given:
        return (*head, *("lane", "place")[:rest])
    return (*head, *[f"axis{k}" for k in range(len(head), rank)])


# endregion
# region Running


@overload
def denote(
    operator: SymbolicOperator | SymbolicOperatorIR | ModuleOp,
    x: npt.ArrayLike,
    parameters: Parameters | None = None,
    *,
    oracles: Mapping[str, Oracle] | None = None,
) -> ValueTable: ...


@overload
def denote(
    operator: LocalEnergy, x: Any, parameters: npt.ArrayLike, /
) -> ValueTable: ...


def denote(
    operator: Any,
    x: Any,
    parameters: Any = None,
    *,
    oracles: Mapping[str, Oracle] | None = None,
) -> ValueTable:
    """Interpret an operator on some samples, and return what every value is.

    ```text
    denote(operator, x, parameters=None)
    denote(energy, parameters, x)
    ```

    An operator is interpreted at `sym`; a module at the level that it is at: a
    `sym.operator`, a function on branch tensors, or a kernel of StableHLO. `x` has
    shape (.., N) and any real dtype; a kernel, and what `bt-specialize` has bound,
    takes its own batch size and dtype only. `parameters` are values by name, or all
    values in order; at `sym` those that are left out have their defaults. `oracles` are
    Python functions of arrays, by the names by which a kernel calls what it does not
    have: functions that are only declared, and custom calls.

    A local energy is interpreted behind `lower-local-energy`, with all samples as one
    chunk: its lanes, the caches and ratios of parts, and what each function that is
    called computes, as `%function/value`. Its network is called by JAX.

    Raises:
        InputError: for something else than one operator (V001), for an x (V002) or
            parameters (V003) that do not fit, for an op that the interpreters of the
            level do not know (V004), and for an oracle that is missing (V014).
    """
    if hasattr(operator, "logpsi"):
        return _denote_energy(operator, x, parameters)
    module = module_of(operator)
    (only,) = _denotable(module)
    given: Parameters | None = parameters
    is_by_name = given is None or isinstance(given, Mapping)
    if not is_by_name and items_of(given) is None:
        name = "" if not isinstance(only, sym.OperatorOp) else only.sym_name.data
        raise bad_parameters(f"they are {shortened(given)}", name)
    if isinstance(only, sym.OperatorOp):
        return _denote_operator(module, only, x, given)
    return _denote_function(module, only, x, given, oracles)


def samples_of(
    x: npt.ArrayLike, sites: int, operator: str, *, exact: bool = False
) -> Array:
    """Return configurations (.., N) as an array, of rational numbers where `exact`.

    Raises:
        InputError: for anything else (V002).
    """
    try:
        array = np.asarray(x)
        found = f"{array.dtype} {array.shape}"
        is_real = array.dtype.kind in "biuf"
        if exact and array.dtype == object:
            is_real = all(isinstance(value, Real) for value in array.flat)
        if is_real and array.ndim and array.shape[-1] == sites:
            return array
    except ValueError as error:
        found = str(error)
    raise InputError(
        "V002",
        "x is no array of configurations",
        operator=operator,
        expected=f"real numbers of shape (.., {sites})",
        found=found,
    )


def module_of(operator: object) -> ModuleOp:
    if isinstance(operator, SymbolicOperator):
        operator = operator.to_ir()
    if isinstance(operator, SymbolicOperatorIR):
        return operator.module
    if isinstance(operator, ModuleOp):
        return operator
    raise InputError(
        "V001",
        "only operators have values",
        expected="an operator, its IR, or a module at any level",
        found=type(operator).__name__,
        hint="end its definition with .build()" if hasattr(operator, "build") else None,
    )


def _denotable(module: ModuleOp) -> list[sym.OperatorOp | FuncOp]:
    private = StringAttr("private")
    found = [
        op
        for op in module.ops
        if isinstance(op, sym.OperatorOp | FuncOp)
        and op.properties.get("sym_visibility") != private
    ]
    is_one = len(found) == 1 and (
        isinstance(found[0], sym.OperatorOp) or _takes_configurations(found[0])
    )
    if is_one:
        return found
    names = [f"{op.name} @{op.sym_name.data}" for op in found]
    raise InputError(
        "V001",
        "a module is not one operator",
        expected="one sym.operator, or one function of configurations and parameters "
        "that returns x' and the matrix elements, or energies",
        found=", ".join(names) or "an empty module",
    )


ENERGIES = [2, 1]
"""Ranks of x and of the result of a function that finds energies."""


def _takes_configurations(function: FuncOp) -> bool:
    return _ranks(function) in ([2, 3, 2], ENERGIES) and bool(function.body.blocks)


def _ranks(function: FuncOp) -> list[int | None]:
    """Return the ranks of the first argument and of the results of a function."""
    kind = function.function_type
    return [
        len(cast(TensorType[Attribute], one).get_shape())
        if isinstance(one, TensorType)
        else None
        for one in (*list(kind.inputs)[:1], *kind.outputs)
    ]


def _denote_operator(
    module: ModuleOp,
    operator: sym.OperatorOp,
    x: npt.ArrayLike,
    parameters: Parameters | None,
) -> ValueTable:
    name = operator.sym_name.data
    sites = operator.space.data.sites
    x = samples_of(x, sites, name)
    flat = x.reshape(-1, sites)
    names = [one.data for one in operator.parameter_names]
    bound = _by_name(parameters, names, name)
    recorder = _SymRecorder(module, [StableHLOFunctions(), SymFunctions()])
    try:
        results = connections(operator, x, bound)
        for recorder.sample, sample in enumerate(flat):
            connections(operator, sample, bound, interpreter=recorder)
    except InterpretationError as error:
        raise _unknown_op(error, name, "sym") from error
    except ValueError as error:
        raise bad_parameters(str(error), name) from error
    naming = _Naming(module, name)
    values = [
        naming.entry(value, axes, array)
        for value, axes, array in _sym_values(operator, recorder, len(flat))
    ]
    emitted_at = {
        (term.sym_name.data, number): place_of(emit)
        for term in operator.terms
        for number, emit in enumerate(term.emissions)
    }
    lanes = tuple(lane_origins(module))
    return ValueTable("sym", name, flat, tuple(values), results, lanes, emitted_at)


def _denote_function(
    module: ModuleOp,
    function: FuncOp,
    x: npt.ArrayLike,
    parameters: Parameters | None,
    oracles: Mapping[str, Oracle] | None,
) -> ValueTable:
    name = function.sym_name.data
    config, *others = function.body.block.args
    batch, sites = shape_of(config)
    x = samples_of(x, sites, name)
    flat = x.reshape(-1, sites)
    element = cast(TensorType[Attribute], config.type).element_type
    own_dtype = flat.dtype if isinstance(element, bt.StateType) else dtype_of(element)
    if flat.dtype != own_dtype or batch not in (bt.BATCH, len(flat)):
        raise InputError(
            "V002",
            "x does not have the batch size and dtype that the function is bound to",
            operator=name,
            expected=f"{own_dtype} ({batch}, {sites})".replace("-1", ".."),
            found=f"{x.dtype} {x.shape}",
        )
    values = _in_order(parameters, others, name)
    level, is_energy = level_of(module), _ranks(function) == ENERGIES
    functions = kernel.functions_of(oracles)
    if level == "bt":
        functions = branch_tensors.functions_of(len(flat), flat.dtype, oracles)
    run = partial(kernel.run_kernel, module, [flat, *values])
    if level == "bt" and not is_energy:
        run = partial(branch_tensors.run_branches, module, flat, values)
    recorder = _Recorder(module, functions)
    try:
        with np.errstate(all="ignore"):
            results = run(interpreter=recorder)
    except MissingOracle as error:
        raise InputError(
            "V014",
            f"@{error.name} is called, and is not in the module",
            operator=name,
            expected=error.expected,
        ) from error
    except InterpretationError as error:
        raise _unknown_op(error, name, level) from error
    naming = _Naming(module, name)
    entries = [
        naming.entry(value, axes, array, part, "" if one is function else one)
        for one in module.ops
        if isinstance(one, FuncOp) and one.body.blocks
        for value, axes, array, part in _function_values(
            one, recorder, len(flat), level
        )
        if value in naming.printed  # what a region does not use need not be
    ]
    if is_energy:
        # Of one lane, which leads back to x
        results = flat[:, None], results[0][:, None]
    connected, elements = results
    shaped = (
        connected.reshape(*x.shape[:-1], *connected.shape[1:]),
        elements.reshape(*x.shape[:-1], *elements.shape[1:]),
    )
    return ValueTable(level, name, flat, tuple(entries), shaped, is_energy=is_energy)


def _denote_energy(energy: LocalEnergy, parameters: Any, x: Any) -> ValueTable:
    subject, trace = EnergySubject.of(energy, parameters, x, None), Trace()
    subject.lower(subject.plan(trace), trace, chunk=len(subject.x), pairs=None)
    names = [stage.name for stage in trace.stages]
    lowered = trace.stages[names.index(LowerLocalEnergyPass.name)].module
    module, oracles = subject.with_oracles(lowered)
    (main,) = _denotable(module)
    own = energy.operator.parameters.items()
    couplings = {name: np.asarray(value).item() for name, value in own}
    given = [*subject.operands(couplings), *subject.leaves]
    return _denote_function(module, cast(FuncOp, main), subject.x, given, oracles)


def _by_name(
    parameters: Parameters | None, names: Sequence[str], operator: str
) -> Mapping[str, complex]:
    if parameters is None:
        return {}
    if isinstance(parameters, Mapping):
        return parameters
    if len(parameters) != len(names):
        raise bad_parameters(f"{len(parameters)} values", operator, names)
    return dict(zip(names, parameters, strict=True))


def _in_order(
    parameters: Parameters | None, arguments: Sequence[SSAValue], operator: str
) -> list[Array]:
    """Return the arguments after x; a name is that of the argument in the IR."""
    names = [value.name_hint or str(k) for k, value in enumerate(arguments, start=1)]
    given = () if parameters is None else parameters
    if isinstance(given, Mapping):
        if set(given) != set(names):
            raise bad_parameters(", ".join(given) or "none", operator, names)
        given = [given[name] for name in names]
    if len(given) != len(names):
        raise bad_parameters(f"{len(given)} values", operator, names)
    return [
        _as_argument(value, argument, operator)
        for value, argument in zip(given, arguments, strict=True)
    ]


def _as_argument(value: Any, argument: SSAValue, operator: str) -> Array:
    kind = cast(TensorType[Attribute], argument.type)
    dtype = dtype_of(kind.element_type)
    if kind.get_shape():
        array = np.asarray(value)
        if array.shape == kind.get_shape() and np.can_cast(array.dtype, dtype):
            return array.astype(dtype)
        found = f"{array.dtype} {array.shape} for %{argument.name_hint} : {kind}"
        raise bad_parameters(found, operator)
    number = as_parameter(value, dtype)
    if number is not None:
        return np.asarray(number, dtype)
    raise bad_parameters(
        f"{value!r} for %{argument.name_hint} : {argument.type}", operator
    )


def bad_parameters(
    found: str, operator: str, names: Sequence[str] | None = None
) -> InputError:
    return InputError(
        "V003",
        "the parameters do not fit",
        operator=operator,
        expected=None if names is None else f"values for {', '.join(names) or 'none'}",
        found=found,
    )


def _unknown_op(error: Exception, operator: str, level: str) -> InputError:
    return InputError(
        "V004",
        f"the interpreters of level {level} cannot run this",
        operator=operator,
        found=str(error).partition("\n")[0],
        hint="lower it to a level whose ops are known: sym, bt or stablehlo",
    )


# endregion
