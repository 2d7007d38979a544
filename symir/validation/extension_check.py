"""`check_extension`: an extension compared with its reference in NumPy.

One operator is made of it, on a small space. The reference interpreter has to agree
with the reference there, and `symir.check` compares every later level, the compiled
kernel included, with the interpreter.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from dialects.interpreters.sym import connections
from lowering.relations import Relation
from symir.errors import PrecisionWarning, SymbolicCompilerError, SymirError
from symir.language import clauses
from symir.language.builder import DOperator
from symir.language.expressions import Expr, site
from symir.language.extensions import (
    Function,
    UpdateMacro,
    available_function_names,
    available_update_names,
    registered,
)
from symir.language.scalars import DTYPES, shortened
from symir.operator import spaces
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import Space
from symir.operator.symbolic_operator import SymbolicOperator
from symir.validation.check import check
from symir.validation.comparison import Connected, LaneDifference, compare

Array: TypeAlias = npt.NDArray[Any]
Extension: TypeAlias = Function | UpdateMacro | type[clauses.AbstractIteratorClause]
Lane: TypeAlias = "tuple[Any, Array] | None"
"""A matrix element and x'; None where the branch is not valid."""

_MAX_STATES = 64

_SCALES = ((0.5, 0.25), (0.5 + 0.25j, -0.25j))
"""Arguments are local values x, and scale * x + bias, without rounding."""

_NOT_OF_COMPLEX = ("D021", "D047", "D075", "D076")
"""Codes of the errors for complex arguments of a function of real numbers."""


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
    """An operator that uses an extension, and its branches by the reference.

    Attributes:
        name: the name of the extension.
        kind: "function", "update" or "iterator".
        space: the space of the operator.
        build: makes the operator, of a dtype or (None) of the default one.
        lanes: its branches at x by the reference.
        is_complex: whether only complex operators can use the extension.
        skipped: what cannot be checked, and why.
    """

    name: str
    kind: str
    space: Space
    build: Callable[[str | None], SymbolicOperator]
    lanes: Callable[[str, Array], list[Lane]]
    is_complex: bool = False
    skipped: tuple[str, ...] = ()


def check_extension(
    extension: str | Extension,
    *,
    space: object = None,
    samples: int = _MAX_STATES,
    dtypes: Sequence[str] = DTYPES,
    arguments: Sequence[Any] = (),
    options: Mapping[str, Any] | None = None,
) -> ExtensionReport:
    """Check a registered function, update or iterator against its reference.

    For each dtype the operator that uses it is interpreted and compared with the
    reference, and `symir.check` compares what each pass and, where JAX is installed,
    the compiled kernel make of it; its IR is printed and parsed back, and made twice.
    In the end the reference is spoiled, which the comparison has to see.

    Args:
        extension: its name, or itself.
        space: where to check it; by default a few sites with the values -1, 0 and 2.
        samples: at how many configurations; all of the space if it has no more.
        dtypes: the dtypes of the operators.
        arguments: what an iterator is called with.
        options: the same by name.

    Raises:
        SymbolicCompilerError: for what cannot be checked (C020), at the first
            disagreement (C021), where a wrong reference would pass (C022), and where a
            pass changes what the operator computes (V010).
    """
    checked = _extension_of(extension)
    if isinstance(checked, Function):
        local = _space(space, 2)
        subject = _function_subject(checked, local.unconstrained)
    elif isinstance(checked, UpdateMacro):
        local = _space(space, max(3, checked.sites))
        subject = _update_subject(checked, local)
    else:
        local = _space(space, 4)
        subject = _iterator_subject(checked(), local, arguments, options or {})
    states = (
        local.all_states()
        if local.n_states <= samples
        else np.unique(local.random_states(samples, seed=0), axis=0)
    )
    used = [dtype for dtype in dtypes if dtype[0] == "c" or not subject.is_complex]
    if not used:
        raise _unchecked(subject.name, "a complex dtype", shortened(tuple(dtypes)))
    checks, skipped = list[str](), dict.fromkeys(subject.skipped)
    for dtype in used:
        problem = _check_dtype(subject, dtype, states, checks)
        if problem is not None:
            skipped[f"the compiled kernel: {problem}"] = None
    _check_the_check(subject, used[-1], states)
    checks.append("a reference that was spoiled is seen")
    if subject.is_complex:
        skipped["a default dtype: it is real, and the function complex"] = None
    elif (tracing := _tracing()) is not None:
        with tracing.with_x64(False):
            checks.append(_check_default_dtype(subject, states))
    return ExtensionReport(
        *(subject.name, subject.kind, repr(local), len(states)),
        checks=tuple(checks),
        skipped=tuple(skipped),
    )


# region Extensions


def _space(given: object, sites: int) -> Space:
    return spaces.as_space(spaces.space([-1, 0, 2], sites) if given is None else given)


def _extension_of(extension: object) -> Extension:
    if isinstance(extension, str):
        named = [*registered(extension), clauses.registered(extension)]
        found = [one for one in named if _is_extension(one)]
        if len(found) == 1:
            return cast(Extension, found[0])
        names = [
            *available_function_names(),
            *available_update_names(),
            *clauses.available_iterator_clause_names(),
        ]
        raise _unchecked(
            shortened(extension),
            " or ".join(map(repr, names)) or "a name, and none is registered",
            f"{len(found)} extensions of that name",
            "pass what was registered itself" if found else None,
        )
    if _is_extension(extension):
        return cast(Extension, extension)
    expected = "a function, an update or an iterator, or the name of one"
    raise _unchecked(shortened(extension), expected, shortened(extension))


def _is_extension(value: object) -> bool:
    is_iterator = isinstance(value, type) and issubclass(
        value, clauses.AbstractIteratorClause
    )
    return is_iterator or isinstance(value, Function | UpdateMacro)


def _unchecked(
    name: str, expected: str, found: str, hint: str | None = None
) -> SymbolicCompilerError:
    message = f"{name} cannot be checked"
    return SymbolicCompilerError(
        "C020", message, expected=expected, found=found, hint=hint
    )


def _existing(reference: Any, name: str, kind: str, hint: str) -> Any:
    """Return a reference, unless it is None."""
    if reference is not None:
        return reference
    found = f"{'an' if kind[0] in 'ui' else 'a'} {kind} without one"
    raise _unchecked(name, "a reference to compare with", found, hint)


def _called(name: str, reference: Callable[..., Any], *arguments: Any) -> Any:
    try:
        with np.errstate(all="ignore"):
            return reference(*arguments)
    except Exception as error:
        raise _unchecked(
            name,
            "a reference that takes NumPy's numbers",
            f"{type(error).__name__}: {error} at {shortened(arguments)}",
        ) from error


def _function_subject(function: Function, space: Space) -> _Subject:
    """Emit a function of local values, as they are and scaled, at every site."""
    name, size = function.name, space.size
    hint = f"register_function({name!r}, .., reference=..)"
    reference = _existing(function.reference, name, "function", hint)
    is_complex, steps = function.result == "complex", range(function.arity)

    def arguments(values: Sequence[Any], dtype: str) -> list[list[Any]]:
        scaled = [[v * scale + bias for v in values] for scale, bias in _SCALES]
        takes_complex = dtype[0] == "c" and real_only is None
        return [[*values], *(scaled if takes_complex else scaled[:1])]

    def build(dtype: str | None) -> SymbolicOperator:
        # A function of its own, so that nothing is remembered of the last time
        called, own = replace(function), dtype or ("complex128" * is_complex or None)
        builder = DOperator(space, "check", dtype=own)
        for s in range(size):
            builder.globally()
            values = [site((s + k) % size).value for k in steps]
            for scaled in arguments(values, dtype or "f"):
                builder.emit(amplitude=called(*scaled))
        return builder.build()

    def lanes(dtype: str, x: Array) -> list[Lane]:
        read = [np.float64(x[(s + k) % size]) for s in range(size) for k in steps]
        sites = [read[k : k + len(steps)] for k in range(0, len(read), len(steps))]
        used = [scaled for values in sites for scaled in arguments(values, dtype)]
        return [(_called(name, reference, *values), x) for values in used]

    real_only: str | None = None
    try:
        build("complex128").to_ir()
    except SymirError as error:
        if error.code not in _NOT_OF_COMPLEX:
            raise
        real_only = f"complex arguments: [{error.code}] {error.message}"
    return _Subject(
        *(name, "function", space, build, lanes, is_complex),
        skipped=() if real_only is None else (real_only,),
    )


def _update_subject(update: UpdateMacro, space: Space) -> _Subject:
    """Make an update at all sites, with all local values and with a value of x."""
    name, size = update.name, space.size
    hint = f"register_update({name!r}, .., reference=..)"
    reference = _existing(update.reference, name, "update", hint)
    if update.sites > size:
        expected = f"a space of {update.sites} sites at least"
        hint = "check_extension(.., space=..)"
        raise _unchecked(name, expected, f"{size} sites", hint)
    local = space.local_states_at(0)
    places = list(itertools.permutations(range(size), update.sites))

    def chosen(read: Any) -> list[tuple[Any, ...]]:
        """Return values to call the update with: each local value comes everywhere."""
        count = update.values
        turned = ((*local[k:], *local[:k]) * count for k in range(len(local)))
        constants = [values[:count] for values in turned]
        return [*constants, (read,) * count] if count else [()]

    def build(dtype: str | None) -> SymbolicOperator:
        builder = DOperator(space, "check", dtype=dtype, projected=True)
        labels = tuple(f"s{k}" for k in range(update.sites))
        builder.for_each(labels, over=places) if labels else builder.globally()
        for values in chosen(site((*labels, 0)[0]).value):
            builder.emit(update(*labels, *values))
        return builder.build()

    def lanes(dtype: str, x: Array) -> list[Lane]:
        found = list[Lane]()
        for sites in places:
            read = float(x[(*sites, 0)[0]])
            for values in chosen(read):
                moved = _called(name, reference, x.astype(np.float64), sites, values)
                found.append(_lane(name, space, x, moved))
        return found

    return _Subject(name, "update", space, build, lanes)


def _lane(name: str, space: Space, x: Array, moved: Any) -> Lane:
    if moved is None:
        return None
    y = np.array(moved, np.float64)
    if y.shape != x.shape:
        expected = f"a reference that returns an x' of shape {x.shape}"
        raise _unchecked(name, expected, f"an array of shape {y.shape}")
    return (1, y) if np.all(space.contains(y)) else None


def _iterator_subject(
    made: clauses.AbstractIteratorClause,
    space: Space,
    arguments: Sequence[Any],
    options: Mapping[str, Any],
) -> _Subject:
    """Emit a number for each row that is another one for every other row."""
    name = made.clause_name
    hint = f"define {type(made).__name__}.reference_rows"
    rows = made.reference_rows(space, *arguments, **options)
    rows = _existing(rows, name, "iterator", hint)
    listed = [tuple(map(int, np.atleast_1d(row).tolist())) for row in rows]
    if not listed:
        raise _unchecked(name, "rows", "none", "check_extension(.., space=..)")

    def numbered(sites: Sequence[Any]) -> Expr | int:
        number: Expr | int = 1
        for s in sites:
            number = number * (space.size + 1) + s
        return number

    def build(dtype: str | None) -> SymbolicOperator:
        with clauses.clauses():
            clauses.register(type(made), replace=True)
            builder = DOperator(space, "check", dtype=dtype)
            getattr(builder, name)(*arguments, **options)
        iterator = made.build_iterator(space, *arguments, **options)
        labels = clauses.as_iterator(name, iterator)[0]
        bound = (labels,) if isinstance(labels, str) else tuple(labels)
        return builder.emit(amplitude=numbered([site(b).index for b in bound])).build()

    def lanes(dtype: str, x: Array) -> list[Lane]:
        return [(numbered(row), x) for row in listed]

    return _Subject(name, "iterator", space, build, lanes)


# endregion
# region Comparing


def _check_dtype(
    subject: _Subject, dtype: str, states: Array, checks: list[str]
) -> str | None:
    """Check the operator of a dtype; return why it was not compiled, or None."""
    operator = subject.build(dtype)
    ir = operator.to_ir()
    if ir != subject.build(dtype).to_ir():
        raise _disagrees(subject, "made twice", "the same IR", "two different ones")
    if SymbolicOperatorIR.from_text(ir.text()) != ir:
        raise _disagrees(subject, "printed and parsed", "the same IR", "another one")
    checks.append(f"{dtype}: the same IR twice, and parsed from its text")
    found = connections(ir.module, states)
    _compare(subject, dtype, states, found, "the reference interpreter")
    checks.append(f"{dtype}: the reference interpreter")
    # Configurations of floats are those of an operator without a dtype
    is_small = np.array_equal(states, states.astype(np.int8))
    state, tracing = "int8" if is_small else "float32", _tracing()
    is_wide = dtype in ("float64", "complex128")
    with nullcontext() if tracing is None else tracing.with_x64(is_wide):
        report = check(operator, states.astype(state))
    report.raise_if_wrong()
    if report.stages[-1].skipped is None:
        checks.append(f"{dtype}: the compiled kernel, x of {state}")
    return report.stages[-1].skipped


def _check_default_dtype(subject: _Subject, states: Array) -> str:
    """Check an operator without a dtype, where JAX is set to 32 bits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        compiled = subject.build(None).compile()
        found = compiled.get_conn_padded(states.astype(np.float32))
    what = "the compiled kernel, x of float32, JAX set to 32 bits"
    _compare(subject, "float32", states, found, what)
    return f"no dtype: {what}"


def _check_the_check(subject: _Subject, dtype: str, states: Array) -> None:
    """Check that a wrong reference is seen."""
    found = connections(subject.build(dtype).to_ir().module, states)
    if _difference(subject, dtype, states, found, spoiled=True) is None:
        raise SymbolicCompilerError(
            "C022",
            f"the {subject.kind} {subject.name} agrees with a wrong reference too",
            expected="a number of the reference that matters somewhere",
            found=f"none at {len(states)} configurations of {subject.space!r}",
            hint="check_extension(.., space=..) where the reference is finite",
        )


def _tracing() -> Any:
    """Return what sets JAX up, None where there is no JAX."""
    try:
        from symir.runtime import tracing
    except ModuleNotFoundError:
        return None
    return tracing


def _compare(
    subject: _Subject, dtype: str, states: Array, found: tuple[Any, Any], what: str
) -> None:
    if str(found[1].dtype) != dtype:
        raise _disagrees(subject, what, dtype, str(found[1].dtype))
    one = _difference(subject, dtype, states, found)
    if one is None:
        return
    at = f"{what}, {dtype}, {one.what}"
    if one.sample is not None:
        at += f" of branch {one.lane} of x = {states[one.sample].tolist()}"
    raise _disagrees(subject, at, one.expected, one.found)


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


def _difference(
    subject: _Subject,
    dtype: str,
    states: Array,
    found: tuple[Any, Any],
    *,
    spoiled: bool = False,
) -> LaneDifference | None:
    """Return the first difference from the reference; spoiled, it is 1 too much."""
    lanes = [(x, subject.lanes(dtype, x)) for x in states]
    elements = np.array(
        [[lane[0] + spoiled if lane else 0 for lane in each] for _, each in lanes]
    )
    moved = np.array([[lane[1] if lane else x for lane in each] for x, each in lanes])
    meant = Connected(moved, elements.astype(np.result_type(elements, dtype)))
    computed = Connected(*map(np.asarray, found))
    return compare(Relation.EQUAL, states, meant, computed).difference


# endregion
