"""Table of every value of an operator on some samples: printed, searched, compared."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from symir.compiler.artifact import BranchOrigin
from symir.errors import InputError, SourceLocation

Array = npt.NDArray[Any]
Place = tuple[int, ...]

_ELEMENTS_SHOWN = 24
"""Longer arrays are printed without their middle."""

_UNDEFINED = "--"

_CONNECTED, _ELEMENT, _ENERGY = "x'", "<x|O|x'>", "energy"


@dataclass(frozen=True, eq=False)
class Value:
    """Row of one SSA value, on all samples.

    Attributes:
        name: its name in the printed IR, such as `%n`. The parts of branches are
            `%b.sites`, `%b.values`, `%b.amplitude` and `%b.valid`.
        op: the name of the op that computes it; "argument" where none does.
        term: the term that it belongs to; several are joined by "+".
        locations: the user's lines that it comes from.
        axes: what the axes of the array stand for, such as ("sample", "row"): a row of
            a term, a place in a reduction, a lane, a write, a site.
        array: the numbers. What is undefined somewhere is a masked array.
    """

    name: str
    op: str
    term: str | None
    locations: tuple[SourceLocation, ...]
    axes: tuple[str, ...]
    array: Array

    @property
    def location(self) -> SourceLocation | None:
        """The first of the user's lines that it comes from, if any is known."""
        return self.locations[0] if self.locations else None

    def __str__(self) -> str:
        where = [f"in term {self.term}"] if self.term is not None else []
        where += [str(place) for place in self.locations[:1]]
        axes = zip(self.axes, self.array.shape, strict=True)
        sizes = ", ".join(f"{name}={size}" for name, size in axes)
        head = f"{self.name} = {self.op} : {self.array.dtype}"
        head += f" ({sizes})" if sizes else ""
        return "\n".join([f"{head}  {', '.join(where)}".rstrip(), _shown(self.array)])


def _shown(array: Array) -> str:
    if isinstance(array, np.ma.MaskedArray):
        # NumPy forgets the mask where it leaves out the middle
        array = np.ma.filled(array.astype(object), _UNDEFINED)
    numbers = np.array2string(
        array,
        threshold=_ELEMENTS_SHOWN,
        edgeitems=2,
        separator=", ",
        max_line_width=84,
        formatter={"float_kind": _brief, "complex_kind": _brief, "object": _brief},
    )
    return "\n".join(f"    {line}" for line in numbers.splitlines() if line.strip())


def _brief(number: object) -> str:
    return f"{number:.6g}" if isinstance(number, float | complex) else str(number)


@dataclass(frozen=True)
class ValueDifference:
    """The first place where two value tables differ.

    Attributes:
        name: the value; "x'", "<x|O|x'>" or "energy" for a result.
        op: the op that computes it, None for a result.
        sample: the number of the sample, None for what all samples share.
        lane: the number of the lane, where it is about one.
        term: the term, as far as it is known.
        row: the row of the term.
        emission: the emission of the term, for a result.
        index: where in the arrays, and `axes` what that means.
        left: the number in the first table; None where it is undefined.
        right: that in the second one.
        location: the user's line.
        only_left: the names of values that only the first table has.
        only_right: those that only the second one has.
    """

    name: str
    op: str | None
    sample: int | None
    lane: int | None
    term: str | None
    row: int | None
    emission: int | None
    index: Place
    axes: tuple[str, ...]
    left: complex | None
    right: complex | None
    location: SourceLocation | None
    only_left: tuple[str, ...] = ()
    only_right: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = self.name if self.op is None else f"{self.name} ({self.op})"
        lines = [f"{what}: {_number(self.left)} and {_number(self.right)}"]
        at = [f"{a} {k}" for a, k in zip(self.axes, self.index, strict=True)]
        lines += [f"  at:       {', '.join(at)}"] if at else []
        parts = [] if self.term is None else [f"term '{self.term}'"]
        if "row" not in self.axes and self.row is not None:
            parts.append(f"row {self.row}")
        if self.emission is not None:
            parts.append(f"emission {self.emission}")
        lines += [f"  in:       {', '.join(parts)}"] if parts else []
        lines += [f"  from:     {self.location}"] if self.location else []
        for which, names in (("first", self.only_left), ("second", self.only_right)):
            if names:
                more = ", .." if len(names) > 8 else ""
                listed = ", ".join(names[:8]) + more
                lines.append(f"  only in the {which}: {listed}")
        return "\n".join(lines)


def _number(value: complex | None) -> str:
    return "undefined" if value is None else repr(value)


@dataclass(frozen=True, eq=False)
class ValueTable:
    """Every value of an operator on some samples, in the order of the IR.

    It is indexed by name, with or without `%`. Iterating yields the values.

    Attributes:
        level: "sym", "bt" or "stablehlo".
        operator: the name of the operator, or of the function.
        samples: the configurations, (B, N); B is the sample axis of the values.
        values: what each SSA value is.
        results: x' of shape (.., K, N) and the matrix elements (.., K), with the
            leading axes of the x that was given; of energies x as the only x', and
            these as its element.
        is_energy: whether it is of local energies.
    """

    level: str
    operator: str
    samples: Array
    values: tuple[Value, ...]
    results: tuple[Array, Array]
    _lanes: tuple[BranchOrigin, ...] = field(default=(), repr=False)
    _emitted_at: Mapping[Any, SourceLocation | None] = field(
        default_factory=dict[Any, SourceLocation | None], repr=False
    )
    """The user's line of each emission, by the name of its term and its number."""
    is_energy: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the values."""
        return tuple(value.name for value in self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._named(name) is not None

    def __getitem__(self, name: str) -> Value:
        """Return the value of a name.

        Raises:
            InputError: for a name that no value has (V005).
        """
        found = self._named(name)
        if found is not None:
            return found
        near = difflib.get_close_matches(name, self.names, n=5, cutoff=0.4)
        raise InputError(
            "V005",
            "no value has this name",
            operator=self.operator,
            expected=" or ".join(near or self.names[:5]) or None,
            found=f"'{name}'",
        )

    def _named(self, name: str) -> Value | None:
        wanted = f"%{name.removeprefix('%')}"
        return next((value for value in self.values if value.name == wanted), None)

    def __str__(self) -> str:
        count, sites = self.samples.shape
        connected, elements = self.results
        head = f"{self.operator} at {self.level}: {count} samples of {sites} sites, "
        shown = [(_CONNECTED, connected), (_ELEMENT, elements)]
        if self.is_energy:
            shown = [(_ENERGY, elements[..., 0])]
        else:
            head += f"{elements.shape[-1]} lanes, "
        head += f"{len(self)} values"
        results = [
            f"{name} : {array.dtype} {array.shape}\n{_shown(array)}"
            for name, array in shown
        ]
        return "\n".join([head, *map(str, self.values), *results])

    def unmatched(self, other: ValueTable) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names of values that only this table has, and only the other.

        Values correspond that have the same name, op, shape and dtype, in tables of one
        level. Names without letters are numbers in the order of the text, so that IR
        from which a pass removed an op has other names from there on.
        """
        if self.level != other.level:
            return self.names, other.names
        ours, theirs = _by_identity(self), _by_identity(other)
        return (
            tuple(value.name for key, value in ours.items() if key not in theirs),
            tuple(value.name for key, value in theirs.items() if key not in ours),
        )

    def diff(
        self, other: ValueTable, *, rtol: float = 0.0, atol: float = 0.0
    ) -> ValueDifference | None:
        """Return the first difference to a table of the same samples, or None.

        Tables of one level are compared value by value, in the order of this one, and
        then by their results; those of different levels by their results alone. See
        `unmatched` for which values correspond. Numbers are equal when
        |left - right| <= atol + rtol |right|, and where both are NaN, or undefined;
        integers, booleans and configurations only when they are the same.

        Raises:
            InputError: for something else than a table, for other samples, and for
                other numbers of lanes (V006).
        """
        self._check_comparable(other)
        if self.level == other.level:
            theirs = _by_identity(other)
            for key, value in _by_identity(self).items():
                if key not in theirs:
                    continue
                place = _first_mismatch(value.array, theirs[key].array, rtol, atol)
                if place is not None:
                    return self._of_value(value, theirs[key], place, other)
        return self._of_results(other, rtol, atol)

    def _check_comparable(self, other: object) -> None:
        if not isinstance(other, ValueTable):
            raise self._incomparable(
                "a value table is compared with another one",
                "what symir.denote returns",
                type(other).__name__,
            )
        if not np.array_equal(self.samples, other.samples, equal_nan=True):
            raise self._incomparable(
                "two value tables are of different samples",
                f"the same {len(self.samples)} configurations",
                f"others: {len(other.samples)}",
            )
        ours, theirs = self.results[1].shape[-1], other.results[1].shape[-1]
        if ours != theirs:
            raise self._incomparable(
                "two value tables have different numbers of lanes",
                f"{ours} lanes, as in the first one",
                f"{theirs} lanes",
            )

    def _incomparable(self, message: str, expected: str, found: str) -> InputError:
        return InputError(
            "V006", message, operator=self.operator, expected=expected, found=found
        )

    def _of_value(
        self, value: Value, its: Value, place: Place, other: ValueTable
    ) -> ValueDifference:
        at = dict(zip(value.axes, place, strict=True))
        return ValueDifference(
            value.name,
            value.op,
            at.get("sample"),
            at.get("lane"),
            value.term or its.term,
            at.get("row"),
            None,
            place,
            value.axes,
            _item(value.array, place),
            _item(its.array, place),
            value.location or its.location,
            *self._only(other),
        )

    def _of_results(
        self, other: ValueTable, rtol: float, atol: float
    ) -> ValueDifference | None:
        # Configurations are equal or they are not.
        tolerances = ((0.0, 0.0), (rtol, atol))
        element = _ENERGY if self.is_energy else _ELEMENT
        named = zip((_CONNECTED, element), _flat(self), _flat(other), strict=True)
        found = [
            (place, name, _item(ours, place), _item(theirs, place))
            for (name, ours, theirs), limits in zip(named, tolerances, strict=True)
            if (place := _first_mismatch(ours, theirs, *limits)) is not None
        ]
        if not found:
            return None
        place, name, left, right = min(found, key=lambda one: one[0][:2])
        sample, lane = place[:2]
        known = self if self._lanes else other
        term, row, emission, _ = known._lanes[lane] if known._lanes else [None] * 4
        return ValueDifference(
            name,
            None,
            sample,
            lane,
            term,
            row,
            emission,
            place,
            ("sample", "lane", "site")[: len(place)],
            left,
            right,
            known._emitted_at.get((term, emission)),
            *self._only(other),
        )

    def _only(self, other: ValueTable) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.unmatched(other) if self.level == other.level else ((), ())


def _by_identity(table: ValueTable) -> dict[tuple[Any, ...], Value]:
    return {
        (value.name, value.op, value.array.shape, value.array.dtype): value
        for value in table
    }


def _flat(table: ValueTable) -> tuple[Array, Array]:
    """Return the results with one axis for the samples."""
    connected, elements = table.results
    count = len(table.samples)
    return (
        connected.reshape(count, *connected.shape[-2:]),
        elements.reshape(count, elements.shape[-1]),
    )


def _first_mismatch(
    left: Array, right: Array, rtol: float, atol: float
) -> Place | None:
    """Return the first index, the last axis the fastest, where two arrays differ."""
    ours, theirs = np.ma.getdata(left), np.ma.getdata(right)
    if ours.dtype.kind in "fc" or theirs.dtype.kind in "fc":
        with np.errstate(all="ignore"):
            same = np.isclose(ours, theirs, rtol=rtol, atol=atol, equal_nan=True)
    else:
        same = ours == theirs
    masked = np.ma.getmaskarray(left), np.ma.getmaskarray(right)
    differs = (masked[0] != masked[1]) | (~same & ~masked[0])
    places = np.argwhere(differs)
    return tuple(places[0].tolist()) if len(places) else None


def _item(array: Array, place: Place) -> complex | None:
    value = array[place]
    return None if value is np.ma.masked else np.asarray(value).item()
