"""The `sym` level, read literally: one op at a time, at every point.

This is the oracle of all tests. A point is one sample with one row of a term: where the
compiler gathers, concatenates and folds, each op here says what it does to the points,
and the scalar mathematics is left to the StableHLO interpreter. Nothing of it is used
by a pass.

A configuration is a read-only (points, N) array of the real type of the operator's
element type, a site an array of integers, a set of sites an integer array of shape
(points, largest size) with `NO_SITE` after its last element. A scalar is an array with
one number per point, or a 0-d one that is the same at all of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Flag
from fractions import Fraction
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp, TensorType, UnitAttr
from xdsl.interpreter import (
    Interpreter,
    InterpreterFunctions,
    OpImplResult,
    PythonValues,
    ReturnedValues,
    TerminatorValue,
    impl,
    impl_terminator,
    register_impls,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.interpreters.numbers import (
    FLOATS,
    Numbers,
    as_array,
    interpret_with,
    numbers_of,
)
from dialects.interpreters.stablehlo import StableHLOFunctions
from dialects.stablehlo import dtype_of, to_numpy
from dialects.tables import NO_SITE, LocalSpace, SiteSum, largest_place

MAX_DENSE_STATES = 2**13
"""`dense_matrix` refuses spaces of more configurations than this."""

MAX_NUMBERS = 2**20
"""Local values that are computed together: points times sites."""

Array = npt.NDArray[Any]
Parameters = Mapping[str, complex]


class Branch(NamedTuple):
    """Contribution of one emission for one row of a term.

    Attributes:
        config: x', an (N,) array of real values; x where the branch is invalid.
        amplitude: the matrix element <x|O|x'>, a 0-d array of the operator's dtype; 0
            where the branch is invalid.
        term: the name of the term.
        row: the number of the row in the term's table; -1 for a lane that pads the
            valid branches of a term up to its fanout.
        emission: the number of the emission in the term; -1 where the row is.
        valid: whether the predicate holds and x' stays in the space.
    """

    config: Array
    amplitude: Array
    term: str
    row: int
    emission: int
    valid: bool


@dataclass(frozen=True)
class Partial:
    """A value that is not defined at every point: a branch that needs it is not valid.

    Attributes:
        values: as those of a value that is; anything at points where it is not defined.
        defined: one bool per point.
    """

    values: Array
    defined: Array


def _limited(values: Array, defined: Array) -> Array | Partial:
    return values if np.all(defined) else Partial(values, as_array(defined))


def defined_of(value: Any) -> Any:
    """Return where a value is defined: `True` for one that is everywhere."""
    return value.defined if isinstance(value, Partial) else True


def values_of(value: Any) -> Any:
    """Return a value, with anything where it is not defined."""
    return value.values if isinstance(value, Partial) else value


# region Implementations


class Guards(Flag):
    """Faults that make a branch invalid though its predicate allows it.

    The passes `sym-guard-undefined` and `sym-guard-space` say so in predicates. Behind
    them the guards can be left out, to see whether nothing has been forgotten: then an
    undefined value is anything, and x' may be anywhere.
    """

    NONE = 0
    UNDEFINED = 1
    SPACE = 2
    ALL = UNDEFINED | SPACE


class _Lanes(NamedTuple):
    """The branches of some samples, with axes (samples, lanes, ..).

    Attributes:
        config: x', (samples, lanes, N).
        amplitude: the matrix elements.
        valid: whether a lane is valid.
        row: the number of its row.
        emission: the number of its emission.
    """

    config: Array
    amplitude: Array
    valid: Array
    row: Array
    emission: Array


@dataclass
class _Run:
    """Evaluation of an operator at some samples: inputs and outputs.

    Attributes:
        real: the dtype that local values are read in.
        samples: the configurations, (samples, N).
        source: that of each point of the rows that are looked at now.
        emitted: the emissions of these points: x', amplitudes and validity.
        terms: the lanes of each term so far.
        guards: what makes a branch invalid beside its predicate.
    """

    space: LocalSpace
    real: np.dtype[Any]
    numbers: Numbers
    is_projected: bool
    samples: Array
    parameters: tuple[Array, ...]
    source: Array = field(default_factory=lambda: np.empty((0, 0)))
    emitted: list[tuple[Array, Array, Array]] = field(
        default_factory=list[tuple[Array, Array, Array]]
    )
    terms: list[_Lanes] = field(default_factory=list[_Lanes])
    guards: Guards = Guards.ALL

    def place(self, value: Array, site: Array) -> tuple[Array, Array]:
        """Return the place of a value among the allowed ones, and if it has one."""
        return self.numbers.place(self.space, self.real, value, site)

    def value_at(self, place: Array, site: Array) -> Array:
        """Return the allowed value at a place, modulo their number."""
        return self.numbers.value_at(self.space, self.real, place, site)

    def emit(self, config: Array, amplitude: Array, predicate: Array) -> None:
        points = len(self.source)
        amplitude = np.broadcast_to(amplitude, (points,))
        valid = np.broadcast_to(predicate, (points,))
        if Guards.SPACE in self.guards:
            arguments = config, self.source
            inside = self.numbers.is_inside(self.space, self.real, *arguments)
            valid = valid & inside
            leaves = valid & ~self.numbers.conserves(self.space, *arguments, valid)
            # A mistake in the operator, unless it is to be projected.
            valid = valid & ~(leaves & (self.is_projected | (amplitude == 0)))
            amplitude = np.where(leaves, np.asarray(np.nan, amplitude.dtype), amplitude)
        amplitude = np.where(valid, amplitude, np.zeros((), amplitude.dtype))
        config = np.where(valid[:, None], config, self.source)
        self.emitted.append((config, amplitude, valid))


@register_impls
class SymFunctions(InterpreterFunctions):
    """Meaning of the ops of `sym` at every point.

    `sym.operator` and `sym.term` have no operands: the samples are kept in the data of
    the interpreter (see `branches`). To override the meaning of an op, subclass, and
    register an instance on the interpreter with `override=True`.
    """

    @impl(sym.OperatorOp)
    def run_operator(
        self, interpreter: Interpreter, op: sym.OperatorOp, args: PythonValues
    ) -> PythonValues:
        interpreter.push_scope(op.sym_name.data)
        parameters = _run_of(interpreter).parameters
        interpreter.set_values(zip(op.body.block.args, parameters, strict=True))
        for term in op.terms:
            interpreter.run_op(term)
        interpreter.pop_scope()
        return ()

    @impl(sym.TermOp)
    def run_term(
        self, interpreter: Interpreter, op: sym.TermOp, args: PythonValues
    ) -> PythonValues:
        run = _run_of(interpreter)
        samples, sites = run.samples.shape
        parts = [_no_lanes(op, run)]
        for rows in _chunks(op.rows.data.rows if samples else 0, samples * sites):
            _run_body(interpreter, op, rows)
            parts.append(_lanes(run, rows))
        found = _Lanes(*(np.concatenate(part, axis=1) for part in zip(*parts)))
        run.terms.append(_compacted(op, found, run))
        return ()

    @impl(sym.EmitOp)
    def run_emit(
        self, interpreter: Interpreter, op: sym.EmitOp, args: PythonValues
    ) -> PythonValues:
        config, amplitude, *predicate = map(values_of, args)
        run = _run_of(interpreter)
        valid = _joint(args) if Guards.UNDEFINED in run.guards else True
        for value in predicate:
            valid = valid & value
        run.emit(config, amplitude, as_array(valid))
        return ()

    @impl(sym.ReadOp)
    def run_read(
        self, interpreter: Interpreter, op: sym.ReadOp, args: PythonValues
    ) -> PythonValues:
        config, site = args
        return (_value(interpreter, config, site),)

    @impl(sym.IndexOp)
    def run_index(
        self, interpreter: Interpreter, op: sym.IndexOp, args: PythonValues
    ) -> PythonValues:
        (site,) = args
        return (as_array(site).astype(np.int32),)

    @impl(sym.AllowedOp)
    def run_allowed(
        self, interpreter: Interpreter, op: sym.AllowedOp, args: PythonValues
    ) -> PythonValues:
        value, site = args
        _, found = _run_of(interpreter).place(value, site)
        return (found | (site == NO_SITE),)

    @impl(sym.WriteOp)
    def run_write(
        self, interpreter: Interpreter, op: sym.WriteOp, args: PythonValues
    ) -> PythonValues:
        config, site, value = args
        return (_with_value(interpreter, config, site, value),)

    @impl(sym.ShiftOp)
    def run_shift(
        self, interpreter: Interpreter, op: sym.ShiftOp, args: PythonValues
    ) -> PythonValues:
        config, site, amount = args
        with np.errstate(all="ignore"):
            return (
                _with_value(
                    interpreter,
                    config,
                    site,
                    _value(interpreter, config, site) + amount,
                ),
            )

    @impl(sym.SwapOp)
    def run_swap(
        self, interpreter: Interpreter, op: sym.SwapOp, args: PythonValues
    ) -> PythonValues:
        config, i, j = args
        first, second = _value(interpreter, config, i), _value(interpreter, config, j)
        return (
            _with_value(
                interpreter, _with_value(interpreter, config, i, second), j, first
            ),
        )

    @impl(sym.SelectOp)
    def run_select(
        self, interpreter: Interpreter, op: sym.SelectOp, args: PythonValues
    ) -> PythonValues:
        predicate, on_true, on_false = cast(tuple[Array, Array, Array], args)
        chosen = np.where(predicate[..., None], on_true, on_false)
        return (_read_only(chosen),)

    # region Values that may be undefined

    @impl(sym.SiteOp)
    def run_site(
        self, interpreter: Interpreter, op: sym.SiteOp, args: PythonValues
    ) -> PythonValues:
        (number,) = args
        sites = sym.operator_of(op).space.data.sites
        return (_limited(*numbers_of(interpreter).entry(number, sites)),)

    @impl(sym.ElementOp)
    def run_element(
        self, interpreter: Interpreter, op: sym.ElementOp, args: PythonValues
    ) -> PythonValues:
        (sites,) = args
        position = op.position.value.data
        if position < sites.shape[-1]:
            return (sites[:, position],)
        return (np.full(len(sites), NO_SITE),)

    @impl(sym.InvalidOp)
    def run_invalid(
        self, interpreter: Interpreter, op: sym.InvalidOp, args: PythonValues
    ) -> PythonValues:
        source = _run_of(interpreter).source
        return (Partial(source, np.zeros(len(source), bool)),)

    @impl(sym.LocalIndexOp)
    def run_local_index(
        self, interpreter: Interpreter, op: sym.LocalIndexOp, args: PythonValues
    ) -> PythonValues:
        value, site = args
        place, found = _run_of(interpreter).place(value, site)
        nowhere = site == NO_SITE
        places = np.where(nowhere, 0, place).astype(value.dtype)
        return (_limited(places, found | nowhere),)

    @impl(sym.LocalValueOp)
    def run_local_value(
        self, interpreter: Interpreter, op: sym.LocalValueOp, args: PythonValues
    ) -> PythonValues:
        place, site = args
        nowhere = site == NO_SITE
        run = _run_of(interpreter)
        value = np.where(nowhere, 0, run.value_at(place, site)).astype(place.dtype)
        return (_limited(value, _is_countable(run, place) | nowhere),)

    @impl(sym.OwnRuleOp)
    def run_own_rule(
        self, interpreter: Interpreter, op: sym.OwnRuleOp, args: PythonValues
    ) -> PythonValues:
        return args

    @impl(sym.LookupOp)
    def run_lookup(
        self, interpreter: Interpreter, op: sym.LookupOp, args: PythonValues
    ) -> PythonValues:
        (index,) = args
        values = to_numpy(op.table)
        run = _run_of(interpreter)
        table = run.numbers.given(values, op)
        number, found = run.numbers.entry(index, len(table))
        padded = np.concatenate([table, np.zeros(1, table.dtype)])
        return (_limited(run.numbers.items(padded, (number,)), found),)

    @impl(sym.DefinedOp)
    def run_defined(
        self, interpreter: Interpreter, op: sym.DefinedOp, args: PythonValues
    ) -> PythonValues:
        return (np.asarray(True),)

    @impl(sym.ShiftModOp)
    def run_shift_mod(
        self, interpreter: Interpreter, op: sym.ShiftModOp, args: PythonValues
    ) -> PythonValues:
        config, site, amount = args
        run = _run_of(interpreter)
        place, found = run.place(_value(interpreter, config, site), site)
        whole = _is_countable(run, amount) & run.numbers.is_whole(amount)
        shifted = run.value_at(place + np.where(whole, amount, 0), site)
        defined = (found & whole) | (site == NO_SITE)
        return (_limited(_with_value(interpreter, config, site, shifted), defined),)

    # endregion

    @impl(sym.AffineOp)
    def run_affine(
        self, interpreter: Interpreter, op: sym.AffineOp, args: PythonValues
    ) -> PythonValues:
        config, site, scale, bias = args
        with np.errstate(all="ignore"):
            value = scale * _value(interpreter, config, site) + bias
            return (_with_value(interpreter, config, site, value),)

    @impl(sym.PermuteOp)
    def run_permute(
        self, interpreter: Interpreter, op: sym.PermuteOp, args: PythonValues
    ) -> PythonValues:
        config, *sites = args
        following = [*sites[1:], sites[0]]
        result = config
        for site, source in zip(sites, following, strict=True):
            result = _with_value(
                interpreter, result, site, _value(interpreter, config, source)
            )
        return (result,)

    @impl(sym.ReduceOp)
    def run_reduce(
        self, interpreter: Interpreter, op: sym.ReduceOp, args: PythonValues
    ) -> PythonValues:
        run = _run_of(interpreter)
        points = len(run.source)
        kind = run.numbers.dtype(dtype_of(op.result.type.element_type))
        combination = op.kind.data.combination
        total = np.full(points, combination.neutral, kind)
        defined = np.ones(points, bool)
        for site, counts in _sites_of(op, args):
            (value,) = interpreter.run_ssacfg_region(op.body, (site,), "reduce")
            defined = defined & (~counts | defined_of(value))
            with np.errstate(all="ignore"):
                combined = as_array(combination.combine(total, values_of(value)))
                combined = combined.astype(kind, copy=False)
            total = np.where(counts, combined, total)
        return (_limited(total, defined),)

    @impl_terminator(sym.YieldOp)
    def run_yield(
        self, interpreter: Interpreter, op: sym.YieldOp, args: PythonValues
    ) -> tuple[TerminatorValue, PythonValues]:
        return ReturnedValues(args), ()


def _run_body(interpreter: Interpreter, op: sym.TermOp, rows: Array) -> None:
    """Run the body of a term at some rows of all samples."""
    run = _run_of(interpreter)
    run.source = np.repeat(run.samples, len(rows), axis=0)
    run.emitted = []
    others = _arguments(op, rows, len(run.samples), run.numbers)
    interpreter.run_ssacfg_region(op.body, (run.source, *others), op.sym_name.data)


def run_rows(
    interpreter: Interpreter,
    term: sym.TermOp,
    samples: Any,
    parameters: Sequence[Any],
    rows: Array,
) -> None:
    """Run the body of one term alone, at some of its rows: for who watches its ops."""
    operator = sym.operator_of(term)
    run = _new_run(operator, samples, tuple(parameters), interpreter)
    interpreter.set_data(SymFunctions, "run", run)
    interpreter.push_scope(operator.sym_name.data)
    arguments = operator.body.block.args
    interpreter.set_values(zip(arguments, run.parameters, strict=True))
    _run_body(interpreter, term, rows)
    interpreter.pop_scope()


def _chunks(rows: int, numbers: int) -> Iterator[Array]:
    """Split rows, by their numbers; each of them has so many local values."""
    size = max(1, MAX_NUMBERS // max(1, numbers))
    for start in range(0, rows, size):
        yield np.arange(start, min(rows, start + size))


def _arguments(
    op: sym.TermOp, rows: Array, samples: int, numbers: Numbers
) -> Iterator[Array]:
    """Yield what stands after x: sites, data and sets, at the points of some rows."""
    for label in range(op.rows.data.labels):
        yield np.tile(op.rows.data.array[rows, label], samples)
    for column in op.data_columns:
        values = to_numpy(column.values)[rows]
        yield np.tile(numbers.given(values), samples)
    for table in op.site_sets:
        yield np.tile(table.data.array[rows], (samples, 1))


def _no_lanes(op: sym.TermOp, run: _Run) -> _Lanes:
    samples, sites = run.samples.shape
    lanes = op.branches if not samples else 0
    none = np.zeros((samples, lanes), int)
    return _Lanes(
        np.zeros((samples, lanes, sites), run.samples.dtype),
        none.astype(run.numbers.dtype(dtype_of(sym.operator_of(op).element))),
        none.astype(bool),
        none,
        none,
    )


def _lanes(run: _Run, rows: Array) -> _Lanes:
    """Return the emissions of some rows as lanes: rows major, emissions minor."""
    samples, sites = run.samples.shape
    emissions = np.arange(len(run.emitted))
    count = len(rows) * len(emissions)
    config, amplitude, valid = (np.stack(part, 1) for part in zip(*run.emitted))
    shape = (samples, count)
    return _Lanes(
        config.reshape(samples, count, sites),
        amplitude.reshape(shape),
        valid.reshape(shape),
        np.broadcast_to(np.repeat(rows, len(emissions)), shape),
        np.broadcast_to(np.tile(emissions, len(rows)), shape),
    )


def _compacted(op: sym.TermOp, found: _Lanes, run: _Run) -> _Lanes:
    """Keep the valid branches of a term, in as many lanes as it promises.

    Where there are more valid ones its matrix elements are NaN.
    """
    if op.lanes == op.branches:
        return found
    numbers = run.numbers
    parts = found.config, found.amplitude, found.row, found.emission
    valid, kept, broken = numbers.compacted(found.valid, op.lanes, parts)
    config, amplitude, row, emission = kept
    nan = np.asarray(np.nan, amplitude.dtype)
    return _Lanes(
        np.where(valid[..., None], config, run.samples[:, None]),
        np.where(broken[:, None], nan, amplitude),
        valid,
        np.where(valid, row, -1),
        np.where(valid, emission, -1),
    )


def _sites_of(op: sym.ReduceOp, args: PythonValues) -> Iterator[tuple[Array, Array]]:
    """Yield each site, and at which points it is one of those combined."""
    if op.sites is not None:
        for site in np.moveaxis(args[0], -1, 0):
            yield site, site != NO_SITE
        return
    lattice = range(sym.operator_of(op).space.data.sites)
    start, stop = args if op.start is not None else (0, len(lattice))
    for site in lattice:
        inside = as_array(as_array(start) <= site) & (site < as_array(stop))
        yield np.asarray(site), inside


def _is_countable(run: _Run, place: Array) -> Array:
    return np.abs(place) <= largest_place(run.real)


def _value(interpreter: Interpreter, config: Array, site: Array) -> Array:
    """Return the local value at a site; 0 where there is none."""
    site = np.broadcast_to(site, len(config))
    value = numbers_of(interpreter).items(config, (np.arange(len(config)), site))
    return np.where(site == NO_SITE, np.zeros((), config.dtype), value)


def _with_value(
    interpreter: Interpreter, config: Array, site: Array, value: Array
) -> Array:
    """Return configurations with another value at a site, if there is one."""
    points = len(config)
    site, value = np.broadcast_to(site, points), np.broadcast_to(value, points)
    changed = config.copy()
    numbers_of(interpreter).write(changed, site, value, site != NO_SITE)
    return _read_only(changed)


def _read_only(values: Any) -> Any:
    if type(values) is np.ndarray:
        values.flags.writeable = False
    return values


def _joint(args: PythonValues) -> Any:
    """Return the points at which all of some values are defined."""
    joint: Any = True
    for value in args:
        joint = joint & defined_of(value)
    return joint


class SymInterpreter(Interpreter):
    """An interpreter in which undefined values spread to what needs them.

    A choice needs the side that it chooses, `and` and `or` need their second operand
    where the first does not decide, a reduction needs its value at every site that it
    is over, everything else needs all of its operands.
    """

    def _run_op(self, op: Operation, inputs: PythonValues) -> OpImplResult:
        if isinstance(op, sym.EmitOp | sym.YieldOp):
            return super()._run_op(op, inputs)
        plain = tuple(map(values_of, inputs))
        if op.dialect_name() == "stablehlo" and len(plain) > 1:
            plain = tuple(np.broadcast_arrays(*plain))
        if not any(isinstance(value, Partial) for value in inputs):
            return super()._run_op(op, plain)
        for listener in self.listeners:
            listener.will_interpret_op(op, inputs)
        result = self._impls.run(self, op, plain)
        needed = _needed(op, inputs)
        values = tuple(
            _limited(values_of(value), needed & defined_of(value))
            for value in result.values
        )
        if isinstance(op, sym.DefinedOp):
            values = (_joint(inputs),)
        for listener in self.listeners:
            listener.did_interpret_op(op, values)
        return OpImplResult(values, None)


def _needed(op: Operation, inputs: PythonValues) -> Any:
    """Return the points at which all operands that an op needs there are defined."""
    match op:
        case hlo.SelectOp() | sym.SelectOp():
            predicate, on_true, on_false = inputs
            holds, yes, no = (
                values_of(predicate),
                defined_of(on_true),
                defined_of(on_false),
            )
            return defined_of(predicate) & as_array(np.where(holds, yes, no))
        case hlo.AndOp() if op.results[0].type == sym.PREDICATE:
            first, second = inputs
            return defined_of(first) & (defined_of(second) | ~values_of(first))
        case hlo.OrOp() if op.results[0].type == sym.PREDICATE:
            first, second = inputs
            return defined_of(first) & (defined_of(second) | values_of(first))
        case _:
            return _joint(inputs)


def _run_of(interpreter: Interpreter) -> _Run:
    return interpreter.get_data(SymFunctions, "run", _no_run)


def _no_run() -> _Run:
    raise ValueError("start an operator with dialects.interpreters.sym.branches")


# endregion
# region Evaluation


def interpreter_of(
    operator: sym.OperatorOp | ModuleOp,
    *listeners: Interpreter.Listener,
    numbers: Numbers = FLOATS,
) -> Interpreter:
    """Return an interpreter of `sym` and StableHLO that tells listeners what it does.

    Implementations registered on it with `override=True` replace the reference ones.
    """
    top = operator.get_toplevel_object()
    module = top if isinstance(top, ModuleOp) else ModuleOp([])
    interpreter = SymInterpreter(module, listeners=listeners)
    interpreter.register_implementations(StableHLOFunctions())
    interpreter.register_implementations(SymFunctions())
    return interpret_with(interpreter, numbers)


def branches(
    operator: sym.OperatorOp | ModuleOp,
    x: npt.ArrayLike,
    parameters: Parameters | None = None,
    *,
    interpreter: Interpreter | None = None,
) -> list[Branch]:
    """Return every lane of an operator at one sample, the invalid ones too.

    Lanes are in order: terms as in the IR, rows major, emissions minor. A term with a
    fanout yields its valid branches in this order, and then invalid ones. `x` has shape
    (N,) and any integer, boolean or floating dtype; parameters without a value take
    their default. A module must hold one operator.

    Raises:
        ValueError: for an x of another shape or dtype, for missing and unknown
            parameters, and for values that do not fit their type.
    """
    operator = the_operator(operator)
    chosen = interpreter or interpreter_of(operator)
    numbers = numbers_of(chosen)
    config = _as_configurations(operator, x, numbers)
    if config.ndim != 1:
        raise _bad_shape(operator, config.shape, f"({operator.space.data.sites},)")
    bound = _bind_parameters(operator, parameters or {}, numbers)
    names = [term.sym_name.data for term in operator.terms]
    return [
        Branch(_read_only(x), np.asarray(amplitude), name, row, emission, valid)
        for name, lanes in zip(names, _terms(operator, config[None], bound, chosen))
        for x, amplitude, valid, row, emission in zip(
            lanes.config[0],
            lanes.amplitude[0],
            lanes.valid[0].tolist(),
            lanes.row[0].tolist(),
            lanes.emission[0].tolist(),
        )
    ]


def connections(
    operator: sym.OperatorOp | ModuleOp,
    x: npt.ArrayLike,
    parameters: Parameters | None = None,
    *,
    interpreter: Interpreter | None = None,
    guards: Guards = Guards.ALL,
) -> tuple[Array, Array]:
    """Return the connected configurations and matrix elements of a batch.

    `x` has shape (..., N); the answer is `xp` of shape (..., K, N) with the dtype of x,
    and `mels` of shape (..., K) with the operator's dtype, K being the number of lanes.
    An invalid lane has x and 0. `guards` says what makes a lane invalid beside its
    predicate.

    Raises:
        ValueError: as `branches` does.
    """
    operator = the_operator(operator)
    given = as_array(x)
    chosen = interpreter or interpreter_of(operator)
    numbers = numbers_of(chosen)
    batch = _as_configurations(operator, given, numbers)
    bound = _bind_parameters(operator, parameters or {}, numbers)
    lanes = sum(term.lanes for term in operator.terms)
    shape = given.shape[:-1]
    count, sites = math.prod(shape), given.shape[-1]
    own, flat = given.reshape(count, 1, sites), batch.reshape(count, sites)
    dtype = numbers.dtype(dtype_of(operator.element))
    xp, mels = [np.repeat(own[:0], lanes, axis=1)], [np.zeros((0, lanes), dtype)]
    for samples in _samples(operator, flat):
        here = own[samples]
        config, amplitude = [here[:, :0]], [np.zeros((len(here), 0), dtype)]
        for found in _terms(operator, flat[samples], bound, chosen, guards):
            # Sites that did not change keep the value of x in its own dtype.
            changed = found.config != flat[samples, None]
            with np.errstate(all="ignore"):
                converted = found.config.astype(given.dtype)
            config.append(np.where(changed, converted, here))
            amplitude.append(found.amplitude)
        xp.append(np.concatenate(config, axis=1))
        mels.append(np.concatenate(amplitude, axis=1))
    shape = *shape, lanes
    joined = np.concatenate(xp), np.concatenate(mels)
    return joined[0].reshape(*shape, sites), joined[1].reshape(shape)


def dense_matrix(
    operator: sym.OperatorOp | ModuleOp,
    parameters: Parameters | None = None,
    *,
    interpreter: Interpreter | None = None,
) -> Array:
    """Return the matrix <x|O|x'> over all configurations of the space.

    They are in lexicographic order: local values ascend, the last site is the fastest.

    Those whose conserved sums are others are left out.

    Raises:
        ValueError: as `branches` does, for a space that is too large, and where a
            branch leaves it.
    """
    operator = the_operator(operator)
    space = operator.space.data
    size = math.prod(len(space.at(site)) for site in range(space.sites))
    if size > MAX_DENSE_STATES:
        raise ValueError(
            f"operator @{operator.sym_name.data} has {size} configurations; a dense "
            f"matrix may have at most {MAX_DENSE_STATES}"
        )
    chosen = interpreter or interpreter_of(operator)
    numbers = numbers_of(chosen)
    bound = _bind_parameters(operator, parameters or {}, numbers)
    local_values = [space.at(site) for site in range(space.sites)]
    listed = [
        state
        for state in itertools.product(*local_values)
        if all(_sum_of(conserved, state) == conserved.total for conserved in space.sums)
    ]
    given = np.array(listed).reshape(-1, space.sites)
    states = _as_configurations(operator, given, numbers)
    number = {tuple(state): n for n, state in enumerate(states.tolist())}
    dtype = numbers.dtype(dtype_of(operator.element))
    matrix = np.zeros((len(states), len(states)), dtype)
    for samples in _samples(operator, states):
        terms = _terms(operator, states[samples], bound, chosen)
        for term, found in zip(operator.terms, terms):
            for row, lane in np.ndindex(found.valid.shape):
                connected = found.config[row, lane].tolist()
                column = number.get(tuple(connected))
                if column is None:
                    raise ValueError(
                        f"term @{term.sym_name.data} of operator "
                        f"@{operator.sym_name.data} leaves the space: from "
                        f"{states[samples][row].tolist()} to {connected}"
                    )
                matrix[samples.start + row, column] += found.amplitude[row, lane]
    return matrix


def _sum_of(conserved: SiteSum, state: Sequence[float]) -> Fraction:
    terms = zip(conserved.weights, state, strict=True)
    return sum((Fraction(w) * Fraction(value) for w, value in terms), Fraction(0))


def _samples(operator: sym.OperatorOp, x: Array) -> Iterator[slice]:
    """Split a batch, so that the rows of every term fit at once, if possible."""
    rows = max((term.rows.data.rows for term in operator.terms), default=1)
    size = max(1, MAX_NUMBERS // max(1, rows * x.shape[-1]))
    for start in range(0, len(x), size):
        yield slice(start, min(len(x), start + size))


def _new_run(
    operator: sym.OperatorOp,
    samples: Array,
    parameters: tuple[Array, ...],
    interpreter: Interpreter,
    guards: Guards = Guards.ALL,
) -> _Run:
    is_projected = operator.projected is not None
    space, real = operator.space.data, _real(operator)
    numbers = numbers_of(interpreter)
    return _Run(space, real, numbers, is_projected, samples, parameters, guards=guards)


def _terms(
    operator: sym.OperatorOp,
    samples: Array,
    parameters: tuple[Array, ...],
    interpreter: Interpreter,
    guards: Guards = Guards.ALL,
) -> list[_Lanes]:
    run = _new_run(operator, samples, parameters, interpreter, guards)
    interpreter.set_data(SymFunctions, "run", run)
    interpreter.run_op(operator)
    return run.terms


# endregion
# region Arguments


def the_operator(op: sym.OperatorOp | ModuleOp) -> sym.OperatorOp:
    if isinstance(op, sym.OperatorOp):
        return op
    operators = [inner for inner in op.walk() if isinstance(inner, sym.OperatorOp)]
    if len(operators) == 1:
        return operators[0]
    names = ", ".join(f"@{inner.sym_name.data}" for inner in operators) or "none"
    raise ValueError(f"expected a module with one sym.operator, found {names}")


def _real(operator: sym.OperatorOp) -> np.dtype[Any]:
    return dtype_of(sym.real_type(operator.element))


def _as_configurations(
    operator: sym.OperatorOp, x: npt.ArrayLike, numbers: Numbers
) -> Array:
    """Return samples as read-only real values of the operator's type."""
    given = as_array(x)
    sites = operator.space.data.sites
    if given.ndim == 0 or given.shape[-1] != sites:
        raise _bad_shape(operator, given.shape, f"(..., {sites})")
    if given.dtype.kind in numbers.refused:
        raise ValueError(
            f"operator @{operator.sym_name.data} acts on configurations of real "
            f"numbers, got dtype {given.dtype}"
        )
    values = numbers.taken(given, _real(operator))
    # A copy: the caller's own array stays writable, and may be written to later
    return _read_only(values.copy() if type(values) is np.ndarray else values)


def _bad_shape(
    operator: sym.OperatorOp, found: tuple[int, ...], expected: str
) -> ValueError:
    return ValueError(
        f"operator @{operator.sym_name.data} acts on {operator.space.data.sites} "
        f"sites: expected x of shape {expected}, got {found}"
    )


def _bind_parameters(
    operator: sym.OperatorOp, given: Parameters, numbers: Numbers
) -> tuple[Array, ...]:
    """Return the value of each parameter, in the order of the block arguments."""
    names = [name.data for name in operator.parameter_names]
    defaults = {
        name: to_numpy(default)
        for name, default in zip(names, operator.defaults, strict=True)
        if not isinstance(default, UnitAttr)
    }
    missing = [name for name in names if name not in given and name not in defaults]
    unknown = [name for name in given if name not in names]
    if missing or unknown:
        faults = [("missing", missing), ("unknown", unknown)]
        raise ValueError(
            f"parameters of operator @{operator.sym_name.data}: "
            + ", ".join(f"{what} {found}" for what, found in faults if found)
            + f"; it has {names}"
        )
    bound = [
        _as_scalar(name, given[name], argument) if name in given else defaults[name]
        for name, argument in zip(names, operator.body.block.args, strict=True)
    ]
    return tuple(numbers.taken(value, value.dtype) for value in bound)


def _as_scalar(name: str, value: complex, argument: SSAValue) -> Array:
    dtype = dtype_of(cast(TensorType[Attribute], argument.type).element_type)
    scalar = np.asarray(value)
    fits = scalar.dtype.kind in "biuf" + dtype.kind
    if scalar.shape != () or not fits:
        raise ValueError(f'parameter "{name}" is a scalar of {dtype}, got {value!r}')
    with np.errstate(all="ignore"):
        converted = scalar.astype(dtype)
    if np.isfinite(scalar) and not np.isfinite(converted):
        raise ValueError(f'parameter "{name}" does not fit into {dtype}: {value!r}')
    return converted


# endregion
