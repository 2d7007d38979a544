"""The `sym` level, read literally: one sample, one row, one emission at a time.

This is the oracle of all tests. It loops where the compiler vectorises, and leaves the
scalar mathematics to the StableHLO interpreter; nothing of it is used by a pass.

A configuration is a read-only array of the real type of the operator's element type, a
site is a Python int, every scalar is a 0-d array.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
from dialects.interpreters.stablehlo import StableHLOFunctions
from dialects.stablehlo import dtype_of, to_numpy
from dialects.tables import NO_SITE, LocalSpace, SiteSum, largest_place

__all__ = [
    "Branch",
    "Parameters",
    "SymFunctions",
    "branches",
    "connections",
    "dense_matrix",
    "interpreter_of",
]

MAX_DENSE_STATES = 2**13
"""`dense_matrix` refuses spaces of more configurations than this."""

Array = npt.NDArray[Any]
Parameters = Mapping[str, complex]


class Branch(NamedTuple):
    """What one emission contributes for one row of a term.

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


# region Implementations


@dataclass
class _Run:
    """One evaluation of an operator at one sample: what goes in and what comes out."""

    space: LocalSpace
    is_projected: bool
    source: Array
    parameters: tuple[Array, ...]
    branches: list[Branch] = field(default_factory=list[Branch])
    term: str = ""
    row: int = 0
    emission: int = 0

    def emit(self, config: Array, amplitude: Array, predicate: bool) -> None:
        valid = predicate and self._stays_in_space(config)
        if valid and not self._conserves(config):
            # A mistake in the operator, unless it is to be projected.
            valid = not self.is_projected and amplitude != 0
            amplitude = np.full_like(amplitude, np.nan)
        if not valid:
            config, amplitude = self.source, np.zeros_like(amplitude)
        branch = Branch(
            config, amplitude, self.term, self.row, self.emission, bool(valid)
        )
        self.branches.append(branch)
        self.emission += 1

    def compact(self, term: sym.TermOp, first: int) -> None:
        """Keep the valid branches of a term, in as many lanes as it promises.

        `first` is the number of its first branch. Where there are more valid ones the
        matrix elements of the term are NaN.
        """
        if term.lanes == term.branches:
            return
        found = [branch for branch in self.branches[first:] if branch.valid]
        kept = found[: term.lanes]
        zero = np.zeros((), dtype_of(_element(term)))
        if len(found) > term.lanes:
            broken = np.full_like(zero, np.nan)
            kept = [branch._replace(amplitude=broken) for branch in kept]
        padding = Branch(self.source, zero, self.term, -1, -1, False)
        missing = term.lanes - len(kept)
        self.branches[first:] = [*kept, *[padding] * missing]

    def _stays_in_space(self, config: Array) -> bool:
        # A site as it was is not this operator's doing, whatever its value.
        changed = np.flatnonzero(config != self.source)
        return all(config[site] in self.space.at(site) for site in changed.tolist())

    def _conserves(self, config: Array) -> bool:
        """Whether every conserved sum is that of x, without rounding."""
        changed = np.flatnonzero(config != self.source).tolist()
        return all(
            0
            == sum(
                Fraction(conserved.weights[site])
                * (Fraction(float(config[site])) - Fraction(float(self.source[site])))
                for site in changed
            )
            for conserved in self.space.sums
        )


@register_impls
class SymFunctions(InterpreterFunctions):
    """What the ops of `sym` do to one sample.

    `sym.operator` and `sym.term` have no operands: the sample is kept in the data of
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
        run.term, first = op.sym_name.data, len(run.branches)
        columns = [to_numpy(column.values) for column in op.data_columns]
        for row, sites in enumerate(op.rows.data):
            run.row, run.emission = row, 0
            data = [np.asarray(column[row]) for column in columns]
            sets = [tuple(table.data.row(row)) for table in op.site_sets]
            arguments = (run.source, *sites, *data, *sets)
            interpreter.run_ssacfg_region(op.body, arguments, run.term)
        run.compact(op, first)
        return ()

    @impl(sym.EmitOp)
    def run_emit(
        self, interpreter: Interpreter, op: sym.EmitOp, args: PythonValues
    ) -> PythonValues:
        config, amplitude, *predicate = args
        run = _run_of(interpreter)
        if any(value is UNDEFINED for value in args):
            run.emit(run.source, np.zeros((), dtype_of(_element(op))), False)
        else:
            run.emit(config, amplitude, all(predicate))
        return ()

    @impl(sym.ReadOp)
    def run_read(
        self, interpreter: Interpreter, op: sym.ReadOp, args: PythonValues
    ) -> PythonValues:
        config, site = args
        return (_value(config, site),)

    @impl(sym.IndexOp)
    def run_index(
        self, interpreter: Interpreter, op: sym.IndexOp, args: PythonValues
    ) -> PythonValues:
        (site,) = args
        return (np.asarray(site, np.int32),)

    @impl(sym.AllowedOp)
    def run_allowed(
        self, interpreter: Interpreter, op: sym.AllowedOp, args: PythonValues
    ) -> PythonValues:
        value, site = args
        space = sym.operator_of(op).space.data
        return (np.asarray(site == NO_SITE or value[()] in space.at(site)),)

    @impl(sym.WriteOp)
    def run_write(
        self, interpreter: Interpreter, op: sym.WriteOp, args: PythonValues
    ) -> PythonValues:
        config, site, value = args
        return (_with_values(config, {site: value}),)

    @impl(sym.ShiftOp)
    def run_shift(
        self, interpreter: Interpreter, op: sym.ShiftOp, args: PythonValues
    ) -> PythonValues:
        config, site, amount = args
        if site == NO_SITE:
            return (config,)
        with np.errstate(all="ignore"):
            return (_with_values(config, {site: config[site] + amount}),)

    @impl(sym.SwapOp)
    def run_swap(
        self, interpreter: Interpreter, op: sym.SwapOp, args: PythonValues
    ) -> PythonValues:
        config, i, j = args
        first, second = _value(config, i), _value(config, j)
        return (_with_values(config, {i: second, j: first}),)

    @impl(sym.SelectOp)
    def run_select(
        self, interpreter: Interpreter, op: sym.SelectOp, args: PythonValues
    ) -> PythonValues:
        predicate, on_true, on_false = args
        return (on_true if predicate else on_false,)

    # region Values that may be undefined

    @impl(sym.SiteOp)
    def run_site(
        self, interpreter: Interpreter, op: sym.SiteOp, args: PythonValues
    ) -> PythonValues:
        (number,) = args
        sites = sym.operator_of(op).space.data.sites
        if number in range(sites):
            return (int(number),)
        return (UNDEFINED,)

    @impl(sym.ElementOp)
    def run_element(
        self, interpreter: Interpreter, op: sym.ElementOp, args: PythonValues
    ) -> PythonValues:
        (sites,) = args
        position = op.position.value.data
        return (sites[position] if position < len(sites) else NO_SITE,)

    @impl(sym.InvalidOp)
    def run_invalid(
        self, interpreter: Interpreter, op: sym.InvalidOp, args: PythonValues
    ) -> PythonValues:
        return (UNDEFINED,)

    @impl(sym.LocalIndexOp)
    def run_local_index(
        self, interpreter: Interpreter, op: sym.LocalIndexOp, args: PythonValues
    ) -> PythonValues:
        value, site = args
        if site == NO_SITE:
            return (np.zeros_like(value),)
        place = _place(op, value, site)
        return (UNDEFINED if place is None else np.asarray(place, value.dtype),)

    @impl(sym.LocalValueOp)
    def run_local_value(
        self, interpreter: Interpreter, op: sym.LocalValueOp, args: PythonValues
    ) -> PythonValues:
        place, site = args
        if site == NO_SITE:
            return (np.zeros_like(place),)
        if not _is_countable(place):
            return (UNDEFINED,)
        return (_value_at(op, place, site),)

    @impl(sym.LookupOp)
    def run_lookup(
        self, interpreter: Interpreter, op: sym.LookupOp, args: PythonValues
    ) -> PythonValues:
        (index,) = args
        table = to_numpy(op.table)
        if index in range(len(table)):
            return (np.asarray(table[int(index)]),)
        return (UNDEFINED,)

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
        if site == NO_SITE:
            return (config,)
        place = _place(op, config[site], site)
        if place is None or not _is_countable(amount) or amount != np.floor(amount):
            return (UNDEFINED,)
        return (_with_values(config, {site: _value_at(op, place + amount, site)}),)

    # endregion

    @impl(sym.AffineOp)
    def run_affine(
        self, interpreter: Interpreter, op: sym.AffineOp, args: PythonValues
    ) -> PythonValues:
        config, site, scale, bias = args
        if site == NO_SITE:
            return (config,)
        with np.errstate(all="ignore"):
            return (_with_values(config, {site: scale * config[site] + bias}),)

    @impl(sym.PermuteOp)
    def run_permute(
        self, interpreter: Interpreter, op: sym.PermuteOp, args: PythonValues
    ) -> PythonValues:
        config, *sites = args
        following = [*sites[1:], sites[0]]
        result = config
        for site, source in zip(sites, following, strict=True):
            result = _with_values(result, {site: _value(config, source)})
        return (result,)

    @impl(sym.ReduceOp)
    def run_reduce(
        self, interpreter: Interpreter, op: sym.ReduceOp, args: PythonValues
    ) -> PythonValues:
        values = [
            interpreter.run_ssacfg_region(op.body, (site,), "reduce")[0]
            for site in _sites_of(op, args)
        ]
        if any(value is UNDEFINED for value in values):
            return (UNDEFINED,)
        kind = dtype_of(op.result.type.element_type)
        return (_REDUCTIONS[op.kind.data](values, kind),)

    @impl_terminator(sym.YieldOp)
    def run_yield(
        self, interpreter: Interpreter, op: sym.YieldOp, args: PythonValues
    ) -> tuple[TerminatorValue, PythonValues]:
        return ReturnedValues(args), ()


def _sites_of(op: sym.ReduceOp, args: PythonValues) -> Iterable[int]:
    if op.sites is not None:
        return args[0]
    lattice = range(sym.operator_of(op).space.data.sites)
    if op.start is not None:
        start, stop = args
        return [site for site in lattice if start <= site < stop]
    return lattice


def _sum(values: Sequence[Array], kind: np.dtype[Any]) -> Array:
    total = np.zeros((), kind)
    with np.errstate(all="ignore"):
        for value in values:
            total = total + value
    return np.asarray(total, kind)


def _prod(values: Sequence[Array], kind: np.dtype[Any]) -> Array:
    total = np.ones((), kind)
    with np.errstate(all="ignore"):
        for value in values:
            total = total * value
    return np.asarray(total, kind)


_REDUCTIONS: dict[sym.Reduction, Callable[[Sequence[Array], np.dtype[Any]], Array]] = {
    sym.Reduction.SUM: _sum,
    sym.Reduction.PROD: _prod,
    sym.Reduction.ANY: lambda values, _: np.asarray(any(values)),
    sym.Reduction.ALL: lambda values, _: np.asarray(all(values)),
    sym.Reduction.PARITY: lambda values, _: np.asarray(sum(map(bool, values)) % 2 == 1),
}


def _element(op: Operation) -> Attribute:
    return sym.operator_of(op).element


def _place(op: Operation, value: Array, site: int) -> int | None:
    """Return the place of a value among the allowed ones of a site, or None."""
    allowed = sym.operator_of(op).space.data.at(site)
    return allowed.index(value) if value in allowed else None


def _is_countable(place: Array) -> bool:
    return bool(abs(place) <= largest_place(place.dtype))


def _value_at(op: Operation, place: Array, site: int) -> Array:
    """Return the allowed value at a place, which is taken modulo their number."""
    allowed = sym.operator_of(op).space.data.at(site)
    real = dtype_of(sym.real_type(_element(op)))
    return np.asarray(allowed[int(np.floor(place)) % len(allowed)], real)


def _value(config: Array, site: int) -> Array:
    """Return the local value at a site; 0 where there is none."""
    return np.asarray(0 if site == NO_SITE else config[site], config.dtype)


def _with_values(config: Array, values: Mapping[int, Any]) -> Array:
    changed = config.copy()
    for site, value in values.items():
        if site != NO_SITE:
            changed[site] = value
    changed.flags.writeable = False
    return changed


class Undefined:
    """The type of `UNDEFINED`."""


UNDEFINED = Undefined()
"""What a value is that does not exist: a branch that needs one is not valid."""


class SymInterpreter(Interpreter):
    """An interpreter in which undefined values spread to what needs them.

    A choice needs the side that it chooses, `and` and `or` need their second operand
    where the first does not decide, a reduction needs its value at every site that it
    is over, everything else needs all of its operands.
    """

    def _run_op(self, op: Operation, inputs: PythonValues) -> OpImplResult:
        takes_all = isinstance(op, sym.EmitOp | sym.YieldOp)
        if takes_all or not any(v is UNDEFINED for v in inputs):
            return super()._run_op(op, inputs)
        return OpImplResult((self._undefined(op, inputs),) * len(op.results), None)

    def _undefined(self, op: Operation, inputs: PythonValues) -> Any:
        match op:
            case hlo.SelectOp() | sym.SelectOp() if inputs[0] is not UNDEFINED:
                return inputs[1] if inputs[0] else inputs[2]
            case sym.DefinedOp():
                return np.asarray(False)
            case hlo.AndOp() if _decides(op, inputs[0], False):
                return inputs[0]
            case hlo.OrOp() if _decides(op, inputs[0], True):
                return inputs[0]
            case _:
                return UNDEFINED


def _decides(op: Operation, first: Any, decisive: bool) -> bool:
    """Whether the first of two predicates makes the second unneeded."""
    if first is UNDEFINED or op.results[0].type != sym.PREDICATE:
        return False
    return bool(first) is decisive


def _run_of(interpreter: Interpreter) -> _Run:
    return interpreter.get_data(SymFunctions, "run", _no_run)


def _no_run() -> _Run:
    raise ValueError("start an operator with dialects.interpreters.sym.branches")


# endregion
# region Evaluation


def interpreter_of(
    operator: sym.OperatorOp | ModuleOp, *listeners: Interpreter.Listener
) -> Interpreter:
    """Return an interpreter of `sym` and StableHLO that tells listeners what it does.

    Implementations registered on it with `override=True` replace the reference ones.
    """
    top = operator.get_toplevel_object()
    module = top if isinstance(top, ModuleOp) else ModuleOp([])
    interpreter = SymInterpreter(module, listeners=listeners)
    interpreter.register_implementations(StableHLOFunctions())
    interpreter.register_implementations(SymFunctions())
    return interpreter


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
    operator = _the_operator(operator)
    config = _as_configurations(operator, x)
    if config.ndim != 1:
        raise _bad_shape(operator, config.shape, f"({operator.space.data.sites},)")
    bound = _bind_parameters(operator, parameters or {})
    chosen = interpreter or interpreter_of(operator)
    return _branches(operator, config, bound, chosen)


def connections(
    operator: sym.OperatorOp | ModuleOp,
    x: npt.ArrayLike,
    parameters: Parameters | None = None,
    *,
    interpreter: Interpreter | None = None,
) -> tuple[Array, Array]:
    """Return the connected configurations and matrix elements of a batch.

    `x` has shape (..., N); the answer is `xp` of shape (..., K, N) with the dtype of x,
    and `mels` of shape (..., K) with the operator's dtype, K being the number of lanes.
    An invalid lane has x and 0.

    Raises:
        ValueError: as `branches` does.
    """
    operator = _the_operator(operator)
    given = np.asarray(x)
    batch = _as_configurations(operator, given)
    bound = _bind_parameters(operator, parameters or {})
    chosen = interpreter or interpreter_of(operator)
    lanes = sum(term.lanes for term in operator.terms)
    xp = np.repeat(given[..., None, :], lanes, axis=-2)
    mels = np.zeros((*given.shape[:-1], lanes), dtype_of(operator.element))
    for index in np.ndindex(given.shape[:-1]):
        for lane, branch in enumerate(_branches(operator, batch[index], bound, chosen)):
            # Sites that did not change keep the value of x in its own dtype.
            changed = branch.config != batch[index]
            with np.errstate(all="ignore"):
                xp[*index, lane, changed] = branch.config[changed]
            mels[*index, lane] = branch.amplitude
    return xp, mels


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
    operator = _the_operator(operator)
    space = operator.space.data
    size = math.prod(len(space.at(site)) for site in range(space.sites))
    if size > MAX_DENSE_STATES:
        raise ValueError(
            f"operator @{operator.sym_name.data} has {size} configurations; a dense "
            f"matrix may have at most {MAX_DENSE_STATES}"
        )
    bound = _bind_parameters(operator, parameters or {})
    chosen = interpreter or interpreter_of(operator)
    local_values = [space.at(site) for site in range(space.sites)]
    listed = [
        state
        for state in itertools.product(*local_values)
        if all(_sum_of(conserved, state) == conserved.total for conserved in space.sums)
    ]
    states = _as_configurations(operator, np.array(listed).reshape(-1, space.sites))
    number = {tuple(state): n for n, state in enumerate(states.tolist())}
    matrix = np.zeros((len(states), len(states)), dtype_of(operator.element))
    for row, state in enumerate(states):
        for branch in _branches(operator, state, bound, chosen):
            connected = tuple(branch.config.tolist())
            if connected not in number:
                raise ValueError(
                    f"term @{branch.term} of operator @{operator.sym_name.data} "
                    f"leaves the space: from {state.tolist()} to {list(connected)}"
                )
            matrix[row, number[connected]] += branch.amplitude
    return matrix


def _sum_of(conserved: SiteSum, state: Sequence[float]) -> Fraction:
    terms = zip(conserved.weights, state, strict=True)
    return sum((Fraction(w) * Fraction(value) for w, value in terms), Fraction(0))


def _branches(
    operator: sym.OperatorOp,
    source: Array,
    parameters: tuple[Array, ...],
    interpreter: Interpreter,
) -> list[Branch]:
    is_projected = operator.projected is not None
    run = _Run(operator.space.data, is_projected, source, parameters)
    interpreter.set_data(SymFunctions, "run", run)
    interpreter.run_op(operator)
    return run.branches


# endregion
# region Arguments


def _the_operator(op: sym.OperatorOp | ModuleOp) -> sym.OperatorOp:
    if isinstance(op, sym.OperatorOp):
        return op
    operators = [inner for inner in op.walk() if isinstance(inner, sym.OperatorOp)]
    if len(operators) == 1:
        return operators[0]
    names = ", ".join(f"@{inner.sym_name.data}" for inner in operators) or "none"
    raise ValueError(f"expected a module with one sym.operator, found {names}")


def _as_configurations(operator: sym.OperatorOp, x: npt.ArrayLike) -> Array:
    """Return samples as read-only real values of the operator's type."""
    given = np.asarray(x)
    sites = operator.space.data.sites
    if given.ndim == 0 or given.shape[-1] != sites:
        raise _bad_shape(operator, given.shape, f"(..., {sites})")
    if given.dtype.kind in "cOSUMm":
        raise ValueError(
            f"operator @{operator.sym_name.data} acts on configurations of real "
            f"numbers, got dtype {given.dtype}"
        )
    with np.errstate(all="ignore"):
        values = given.astype(dtype_of(sym.real_type(operator.element)))
    values.flags.writeable = False
    return values


def _bad_shape(
    operator: sym.OperatorOp, found: tuple[int, ...], expected: str
) -> ValueError:
    return ValueError(
        f"operator @{operator.sym_name.data} acts on {operator.space.data.sites} "
        f"sites: expected x of shape {expected}, got {found}"
    )


def _bind_parameters(operator: sym.OperatorOp, given: Parameters) -> tuple[Array, ...]:
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
    return tuple(
        _as_scalar(name, given[name], argument) if name in given else defaults[name]
        for name, argument in zip(names, operator.body.block.args, strict=True)
    )


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
