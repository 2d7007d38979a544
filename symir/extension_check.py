"""Whether an extension is what its author says: `check_extension`.

Small operators are made of it. On all configurations of a small space their branches
are compared with a reference in NumPy, as the reference interpreter has them and as the
compiled kernel does.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from dialects.interpreters.sym import connections
from symir import spaces
from symir.errors import PrecisionWarning, SymbolicCompilerError, SymirError
from symir.ir import SymbolicOperatorIR
from symir.language import clauses
from symir.language.builder import DOperator
from symir.language.expressions import Expr, here, site
from symir.language.extensions import (
    Function,
    UpdateMacro,
    available_function_names,
    available_update_names,
    registered_function,
    registered_update,
)
from symir.language.functions import real, where
from symir.language.reductions import sum_
from symir.language.scalars import shortened
from symir.language.updates import write
from symir.operator import SymbolicOperator
from symir.spaces import Space

__all__ = ["Extension", "ExtensionReport", "check_extension"]

Array: TypeAlias = npt.NDArray[Any]
Extension: TypeAlias = Function | UpdateMacro | type[clauses.AbstractIteratorClause]
Lane: TypeAlias = "tuple[Any, Array] | None"
"""A matrix element and x'; None where the branch is not valid."""

_DTYPES = ("float32", "float64", "complex64", "complex128")
_TOLERANCE = {32: 2e-5, 64: 1e-11}
"""By the bits of a real number: some ulps of a function and of its sums."""

_MAX_STATES = 64
_MAX_POINTS = 512


@dataclass(frozen=True)
class ExtensionReport:
    """What `check_extension` looked at, all of it in order.

    Attributes:
        name: the name of the extension.
        kind: "function", "update" or "iterator".
        space: the space.
        configurations: how many of its configurations.
        checks: what was compared.
        skipped: what was not, and why.
    """

    name: str
    kind: str
    space: str
    configurations: int
    checks: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"{self.kind} {self.name!r}: {len(self.checks)} checks at "
            f"{self.configurations} configurations of {self.space}"
        ]
        lines += [f"  ok       {check}" for check in self.checks]
        lines += [f"  skipped  {reason}" for reason in self.skipped]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Subject:
    """An extension on a space: how it is used, and what is to come of it.

    Attributes:
        extension: what messages call it.
        name: its name.
        kind: "function", "update" or "iterator".
        build: makes an operator of a dtype (None: the default) that uses it.
        expected: the lanes that a dtype's operator is to have at x.
        wrong: the same after the reference was spoiled.
        may_be_complex: whether a complex operator uses it with complex arguments.
        is_complex: whether only complex operators can use it.
    """

    name: str
    kind: str
    space: Space
    build: Callable[[str | None], SymbolicOperator]
    expected: Callable[[str, Array], list[Lane]]
    wrong: Callable[[str, Array], list[Lane]]
    is_complex: bool = False


@dataclass
class _Findings:
    """What the checks have found so far."""

    checks: list[str] = field(default_factory=list[str])
    skipped: list[str] = field(default_factory=list[str])


def check_extension(
    extension: str | Extension,
    *,
    space: object = None,
    samples: int = _MAX_STATES,
    dtypes: Sequence[str] = _DTYPES,
    arguments: Sequence[Any] = (),
    options: Mapping[str, Any] | None = None,
) -> ExtensionReport:
    """Check a registered function, update or iterator against its reference.

    For each dtype the operator that uses it is compared with the reference, as the
    interpreter runs it and, where JAX is installed, as it is compiled, for
    configurations of int8 and of floats; its IR is printed and parsed back, and made
    twice. In the end the reference is spoiled, which the comparison has to see.

    Args:
        extension: its name, or itself.
        space: where to check it; by default a few sites with the values -1, 0 and 2.
        samples: at how many configurations; all of the space if it has no more.
        dtypes: the dtypes of the operators.
        arguments: what an iterator is called with.
        options: the same by name.

    Raises:
        SymbolicCompilerError: for what cannot be checked (C020), at the first
            disagreement (C021), and where a wrong reference would pass (C022).
    """
    checked = _extension_of(extension)
    local = _space_for(checked) if space is None else spaces.as_space(space)
    findings = _Findings()
    match checked:
        case Function() as function:
            subject = _function_subject(function, local, findings)
        case UpdateMacro() as update:
            subject = _update_subject(update, local)
        case clause:
            subject = _iterator_subject(clause(), local, arguments, options or {})
    states = _states(local, samples)
    used = [dtype for dtype in dtypes if dtype[0] == "c" or not subject.is_complex]
    if not used:
        raise _unchecked(subject.name, "a complex dtype", shortened(tuple(dtypes)))
    for dtype in used:
        interpreted = _check_dtype(subject, dtype, states, findings)
        if dtype == used[-1]:
            _check_the_check(subject, dtype, states, interpreted, findings)
    _check_default_dtype(subject, states, findings)
    return ExtensionReport(
        subject.name,
        subject.kind,
        repr(local),
        len(states),
        tuple(findings.checks),
        tuple(findings.skipped),
    )


# region What is checked


def _extension_of(extension: object) -> Extension:
    if isinstance(extension, str):
        return _registered(extension)
    if isinstance(extension, Function | UpdateMacro):
        return extension
    if isinstance(extension, type) and issubclass(
        extension, clauses.AbstractIteratorClause
    ):
        return extension
    expected = "a function, an update or an iterator, or the name of one"
    shown = shortened(cast(object, extension))
    raise _unchecked(shown, expected, shown)


def _registered(name: str) -> Extension:
    clause = clauses.registered(name)
    if clause is not None and not issubclass(clause, clauses.AbstractIteratorClause):
        clause = None
    candidates = (registered_function(name), registered_update(name), clause)
    found = [candidate for candidate in candidates if candidate is not None]
    if len(found) == 1:
        return found[0]
    names = [
        *available_function_names(),
        *available_update_names(),
        *clauses.available_iterator_clause_names(),
    ]
    raise _unchecked(
        shortened(name),
        " or ".join(map(repr, names)) or "a name, and none is registered",
        f"{len(found)} extensions of that name",
        "pass what was registered itself" if found else None,
    )


def _space_for(extension: Extension) -> Space:
    match extension:
        case Function():
            sites = 2
        case UpdateMacro():
            sites = max(3, extension.sites)
        case _:
            sites = 4
    return spaces.space([-1, 0, 2], sites)


def _states(space: Space, samples: int) -> Array:
    """Return all configurations (n, N), or so many random ones."""
    if space.n_states <= samples:
        return space.all_states()
    return np.unique(space.random_states(samples, seed=0), axis=0)


def _unchecked(
    name: str, expected: str, found: str, hint: str | None = None
) -> SymbolicCompilerError:
    return SymbolicCompilerError(
        "C020",
        f"{name} cannot be checked",
        expected=expected,
        found=found,
        hint=hint,
    )


def _no_reference(name: str, kind: str, hint: str) -> SymbolicCompilerError:
    return _unchecked(name, "a reference to compare with", f"{kind} without one", hint)


# endregion
# region Functions


_PLAIN = (1, 0)
_HALF = (0.5, 0.25)
_COMPLEX = (0.5 + 0.25j, -0.25j)
"""Arguments are scale * x + bias of local values x, without rounding."""


def _arguments_at(
    arity: int, start: Expr | int, sites: int, scale: complex, bias: complex
) -> list[Expr]:
    """Return the arguments of a function: the local values from a site on."""
    places: list[Expr | int] = [start, *((start + k) % sites for k in range(1, arity))]
    values = [site(place).value for place in places]
    if (scale, bias) == _PLAIN:
        return [*values]
    return [value * scale + bias for value in values]


def _function_subject(
    function: Function, space: Space, findings: _Findings
) -> _Subject:
    reference = function.reference
    if reference is None:
        hint = f"register_function({function.name!r}, .., reference=..)"
        raise _no_reference(function.name, "a function", hint)
    takes_complex = _takes_complex(function, space, findings)
    free = space.unconstrained
    cases = _FunctionCases(function, reference, free, takes_complex)

    def spoiled(*arguments: Any) -> Any:
        return reference(*arguments) + 1

    wrong = replace(cases, reference=spoiled)
    return _Subject(
        function.name,
        "function",
        free,
        cases.build,
        cases.expected,
        wrong.expected,
        function.result == "complex",
    )


_NOT_OF_COMPLEX = ("D021", "D047", "D075", "D076")
"""What is raised where a function is for real numbers only, by whoever uses it so."""


def _takes_complex(function: Function, space: Space, findings: _Findings) -> bool:
    """Whether complex numbers can be its arguments; findings say it where not."""
    operator = DOperator(space.unconstrained, dtype="complex128").globally()
    try:
        zero = site(0).value * 1j
        operator.emit(amplitude=function(*[zero] * function.arity)).build().to_ir()
    except SymirError as error:
        if error.code not in _NOT_OF_COMPLEX:
            raise
        findings.skipped.append(f"complex arguments: [{error.code}] {error.message}")
        return False
    return True


@dataclass(frozen=True)
class _FunctionCases:
    """One operator that uses a function in every place that an expression can have."""

    function: Function
    reference: Callable[..., Any]
    space: Space
    takes_complex: bool

    def build(self, dtype: str | None) -> SymbolicOperator:
        # A function of its own, so that nothing is remembered of the last time
        function, sites = replace(self.function), self.space.size
        default = "complex128" if self.function.result == "complex" else None
        is_complex = (dtype or default or "f")[0] == "c"

        def at(start: Expr | int, scale: complex = 1, bias: complex = 0) -> Expr:
            arguments = _arguments_at(function.arity, start, sites, scale, bias)
            return function(*arguments)

        i, exceeds = site("i").index, self._threshold()
        lowest, highest = self._ends()
        builder = DOperator(self.space, "check", dtype=dtype or default)
        builder.for_each_site("i").named("amplitude")
        builder.emit(amplitude=at(i)).emit(amplitude=at(i, *_HALF))
        builder.for_each_site("i").named("predicate")
        builder.where(real(at(i)) > exceeds).emit()
        builder.globally().named("update")
        chosen = where(real(at(0)) > exceeds, highest, lowest)
        builder.emit(write(0, chosen))
        builder.globally().named("reduction")
        builder.emit(amplitude=sum_(at(here.index)))
        if is_complex and self.takes_complex:
            builder.for_each_site("i").named("complex")
            builder.emit(amplitude=at(i, *_COMPLEX))
        return builder.build()

    def expected(self, dtype: str, x: Array) -> list[Lane]:
        is_complex, sites = dtype[0] == "c", range(self.space.size)
        values = [self._value(x, s) for s in sites]
        halves = [self._value(x, s, *_HALF) for s in sites]
        exceeds = self._threshold()
        lowest, highest = self._ends()
        lanes: list[Lane] = [
            (value, x) for pair in zip(values, halves, strict=True) for value in pair
        ]
        lanes += [(1, x) if np.real(value) > exceeds else None for value in values]
        moved = x.copy()
        moved[0] = highest if np.real(values[0]) > exceeds else lowest
        lanes += [(1, moved), (sum(values), x)]
        if is_complex and self.takes_complex:
            lanes += [(self._value(x, s, *_COMPLEX), x) for s in sites]
        return lanes

    def _ends(self) -> tuple[float, float]:
        """Return the lowest and the highest local value of the first site."""
        values = self.space.local_states_at(0)
        return values[0], values[-1]

    def _value(
        self, x: Array, start: int, scale: complex = 1, bias: complex = 0
    ) -> Any:
        places = [(start + k) % self.space.size for k in range(self.function.arity)]
        numbers = [np.float64(x[place]) for place in places]
        if (scale, bias) != _PLAIN:
            numbers = [number * scale + bias for number in numbers]
        with np.errstate(all="ignore"):
            return _called(self.function.name, self.reference, *numbers)

    def _threshold(self) -> float:
        """Return a number that no value of the function comes close to."""
        size, name = self.space.size, self.function.name
        reference = cast("Callable[..., Any]", self.function.reference)
        local = [
            self.space.local_states_at(k % size) for k in range(self.function.arity)
        ]
        points = itertools.islice(itertools.product(*local), 512)
        with np.errstate(all="ignore"):
            found = [
                np.real(_called(name, reference, *map(np.float64, point)))
                for point in points
            ]
        values = np.unique([value for value in found if np.isfinite(value)])
        if len(values) < 2:
            return float(values[0]) - 1 if len(values) else 0.0
        widest = int(np.argmax(np.diff(values)))
        # A short binary fraction: the same number in every precision
        return float(np.float32(values[widest] + values[widest + 1]) / 2)


def _called(name: str, reference: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return reference(*arguments)
    except Exception as error:
        raise _unchecked(
            name,
            "a reference that takes NumPy's numbers",
            f"{type(error).__name__}: {error} at {shortened(arguments)}",
        ) from error


# endregion
# region Updates


def _update_subject(update: UpdateMacro, space: Space) -> _Subject:
    reference = update.reference
    if reference is None:
        hint = f"register_update({update.name!r}, .., reference=..)"
        raise _no_reference(update.name, "an update", hint)
    if update.sites > space.size:
        raise _unchecked(
            update.name,
            f"a space of {update.sites} sites at least",
            f"{space.size} sites",
            "check_extension(.., space=..)",
        )
    cases = _UpdateCases(update, reference, space)
    spoiled = replace(cases, spoiled=True)
    return _Subject(
        update.name, "update", space, cases.build, cases.expected, spoiled.expected
    )


@dataclass(frozen=True)
class _UpdateCases:
    """One operator that makes an update at all sites, with several values."""

    update: UpdateMacro
    reference: Callable[..., Any]
    space: Space
    spoiled: bool = False

    def build(self, dtype: str | None) -> SymbolicOperator:
        builder = DOperator(self.space, "check", dtype=dtype, projected=True)
        labels = tuple(f"s{k}" for k in range(self.update.sites))
        if labels:
            builder.for_each(labels, over=self._places())
        else:
            builder.globally()
        for values in self._constants():
            builder.emit(self.update(*labels, *values))
        if self.update.values:
            value = site(labels[0] if labels else 0).value
            builder.emit(self.update(*labels, *[value] * self.update.values))
        return builder.build()

    def expected(self, dtype: str, x: Array) -> list[Lane]:
        lanes: list[Lane] = []
        for sites in self._places():
            chosen = self._constants()
            if self.update.values:
                read = float(x[sites[0] if sites else 0])
                chosen = [*chosen, (read,) * self.update.values]
            lanes += [self._lane(x, sites, values) for values in chosen]
        return lanes

    def _places(self) -> list[tuple[int, ...]]:
        return list(itertools.permutations(range(self.space.size), self.update.sites))

    def _constants(self) -> list[tuple[float, ...]]:
        """Return values to call the update with: each local value comes everywhere."""
        if not self.update.values:
            return [()]
        local = self.space.local_states_at(0)
        turned = range(len(local))
        return [
            tuple(local[(start + k) % len(local)] for k in range(self.update.values))
            for start in turned
        ]

    def _lane(
        self, x: Array, sites: tuple[int, ...], values: tuple[float, ...]
    ) -> Lane:
        copy = x.astype(np.float64)
        moved = _called(self.update.name, self.reference, copy, sites, values)
        if moved is None:
            return None
        y = np.asarray(moved, np.float64)
        if y.shape != x.shape:
            raise _unchecked(
                self.update.name,
                f"a reference that returns an x' of shape {x.shape}",
                f"an array of shape {y.shape}",
            )
        if self.spoiled:
            local = self.space.local_states_at(0)
            y = y.copy()
            y[0] = next(value for value in (*local, local[0] + 1) if value != y[0])
        inside = np.asarray(self.space.contains(y))
        return (1, y) if inside.all() else None


# endregion
# region Iterators


def _iterator_subject(
    made: clauses.AbstractIteratorClause,
    space: Space,
    arguments: Sequence[Any],
    options: Mapping[str, Any],
) -> _Subject:
    name = made.clause_name
    rows = made.reference_rows(space, *arguments, **options)
    if rows is None:
        hint = f"define {type(made).__name__}.reference_rows"
        raise _no_reference(name, "an iterator", hint)
    listed = [_row(row) for row in rows]
    if not listed:
        raise _unchecked(name, "rows", "none", "check_extension(.., space=..)")

    def build(dtype: str | None) -> SymbolicOperator:
        with clauses.clauses():
            clauses.register(type(made), replace=True)
            builder = DOperator(space, "check", dtype=dtype)
            getattr(builder, name)(*arguments, **options)
        labels = clauses.as_iterator(
            name, made.build_iterator(space, *arguments, **options)
        )[0]
        bound = (labels,) if isinstance(labels, str) else tuple(labels)
        return builder.emit(amplitude=_numbered(bound, space.size)).build()

    def lanes(listed: list[tuple[int, ...]], x: Array) -> list[Lane]:
        return [(_number_of(row, space.size), x) for row in listed]

    other = [*listed[:-1], tuple((s + 1) % (space.size + 1) for s in listed[-1])]
    return _Subject(
        name,
        "iterator",
        space,
        build,
        lambda _, x: lanes(listed, x),
        lambda _, x: lanes(other, x),
    )


def _row(row: Any) -> tuple[int, ...]:
    return tuple(int(number) for number in np.atleast_1d(row).tolist())


def _numbered(labels: tuple[str, ...], sites: int) -> Expr | int:
    """Return a number that is another one for each row."""
    number: Expr | int = 1
    for label in labels:
        number = number * (sites + 1) + site(label).index
    return number


def _number_of(row: tuple[int, ...], sites: int) -> int:
    number = 1
    for s in row:
        number = number * (sites + 1) + s
    return number


# endregion
# region Comparing


def _check_dtype(
    subject: _Subject, dtype: str, states: Array, findings: _Findings
) -> tuple[Array, Array]:
    """Check the operator of a dtype; return what the interpreter makes of it."""
    operator = subject.build(dtype)
    ir = operator.to_ir()
    _check_text(subject, ir, subject.build(dtype).to_ir())
    expected = [subject.expected(dtype, x) for x in states]
    interpreted = connections(ir.module, states)
    _compare(subject, ir, states, interpreted, expected, "the reference interpreter")
    findings.checks.append(f"{dtype}: the same IR twice, and parsed from its text")
    findings.checks.append(f"{dtype}: the reference interpreter")
    tracing = _tracing()
    if tracing is None:
        if "the compiled kernel: JAX is not installed" not in findings.skipped:
            findings.skipped.append("the compiled kernel: JAX is not installed")
        return interpreted
    with tracing.with_x64(dtype in ("float64", "complex128")):
        # Configurations of floats are those of an operator without a dtype
        state = _smallest_dtype(states)
        found = operator.compile().get_conn_padded(states.astype(state))
    what = f"the compiled kernel, x of {state}"
    _compare(subject, ir, states, found, expected, what)
    _check_result_dtype(subject, found[1], dtype)
    findings.checks.append(f"{dtype}: {what}")
    return interpreted


def _check_default_dtype(subject: _Subject, states: Array, findings: _Findings) -> None:
    """Check an operator without a dtype where JAX is set to 32 bits."""
    tracing = _tracing()
    if tracing is None:
        return
    if subject.is_complex:
        findings.skipped.append("a default dtype: it is real, and the function complex")
        return
    operator = subject.build(None)
    expected = [subject.expected("float32", x) for x in states]
    with tracing.with_x64(False), warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        found = operator.compile().get_conn_padded(states.astype(np.float32))
    what = "the compiled kernel, x of float32, JAX set to 32 bits"
    _compare(subject, operator.to_ir(), states, found, expected, what)
    _check_result_dtype(subject, found[1], "float32")
    findings.checks.append(f"no dtype: {what}")


def _check_the_check(
    subject: _Subject,
    dtype: str,
    states: Array,
    found: tuple[Array, Array],
    findings: _Findings,
) -> None:
    """Check that a wrong reference is seen."""
    wrong = [subject.wrong(dtype, x) for x in states]
    if _first_disagreement(states, found, wrong) is None:
        raise SymbolicCompilerError(
            "C022",
            f"the {subject.kind} {subject.name} agrees with a wrong reference too",
            expected="a number of the reference that matters somewhere",
            found=f"none at {len(states)} configurations of {subject.space!r}",
            hint="check_extension(.., space=..) where the reference is finite",
        )
    findings.checks.append("a reference that was spoiled is seen")


def _tracing() -> Any:
    """Return what sets JAX up, None where there is no JAX."""
    try:
        return import_module("symir.runtime.tracing")
    except ModuleNotFoundError:
        return None


def _smallest_dtype(states: Array) -> str:
    """Return int8 where it holds all local values."""
    is_small = np.array_equal(states, states.astype(np.int8))
    return "int8" if is_small else "float32"


def _check_text(
    subject: _Subject, ir: SymbolicOperatorIR, again: SymbolicOperatorIR
) -> None:
    if ir != again:
        raise _disagrees(subject, "made twice", "the same IR", "two different ones")
    if SymbolicOperatorIR.from_text(ir.text()) != ir:
        raise _disagrees(subject, "printed and parsed", "the same IR", "another one")


def _check_result_dtype(subject: _Subject, elements: Any, dtype: str) -> None:
    if str(elements.dtype) != dtype:
        raise _disagrees(subject, "compiled", dtype, str(elements.dtype))


def _tolerance(elements: Any) -> float:
    return _TOLERANCE[np.finfo(elements.dtype).bits]


def _compare(
    subject: _Subject,
    ir: SymbolicOperatorIR,
    states: Array,
    found: tuple[Any, Any],
    expected: list[list[Lane]],
    what: str,
) -> None:
    different = _first_disagreement(states, found, expected)
    if different is not None:
        at, meant, got = different
        raise _disagrees(subject, f"{what}, {ir.dtype_str}, {at}", meant, got)


def _disagrees(
    subject: _Subject, at: str, expected: str, found: str
) -> SymbolicCompilerError:
    return SymbolicCompilerError(
        "C021",
        f"the {subject.kind} {subject.name} is not what its reference says: {at}",
        operator="check",
        expected=expected,
        found=found,
        hint="either the extension or its reference is wrong",
    )


def _first_disagreement(
    states: Array,
    found: tuple[Any, Any],
    expected: list[list[Lane]],
) -> tuple[str, str, str] | None:
    """Return where the first one is, what is expected and what was found."""
    configs, elements = np.asarray(found[0]), np.asarray(found[1])
    tolerance = _tolerance(elements)
    for x, targets, numbers, lanes in zip(
        states, configs, elements, expected, strict=True
    ):
        if len(lanes) != len(numbers):
            return f"x = {x.tolist()}", f"{len(lanes)} branches", str(len(numbers))
        pairs = zip(lanes, targets, numbers, strict=True)
        for number, (lane, y, element) in enumerate(pairs):
            meant, target = (0, x) if lane is None else lane
            same = np.isclose(
                element, meant, rtol=tolerance, atol=tolerance, equal_nan=True
            )
            if same and np.array_equal(np.asarray(y, np.float64), target):
                continue
            at = f"branch {number} of x = {x.tolist()}"
            return at, _shown(meant, target), _shown(element, y)
    return None


def _shown(element: Any, target: Array) -> str:
    return f"<x|O|x'> = {element:.8g}, x' = {np.asarray(target).tolist()}"


# endregion
