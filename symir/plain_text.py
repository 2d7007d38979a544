"""Operators as plain text: numbers, configurations, tables, IR that fits a screen."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from functools import partial
from math import isfinite
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from symir.errors import SourceLocation
from symir.operator.spaces import Space

Array = npt.NDArray[Any]


class Reading:
    """A dataclass that reads as plain data: its fields by name, and theirs in turn."""

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain data, fit for JSON."""
        names = [one.name for one in fields(cast("Any", self))]
        return {name: as_json(getattr(self, name), shorten=True) for name in names}


def as_json(value: object, *, shorten: bool = False) -> Any:
    """Return a value as what JSON has.

    Complex numbers are `{"real": .., "imag": ..}`, with `shorten` unless they are real;
    numbers that are not finite are strings such as "inf", arrays are lists, and what
    JSON has no word for is its `repr`.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = cast(object, value.tolist())
    own = partial(as_json, shorten=shorten)
    match value:
        case SourceLocation():
            return [value.file, value.line]
        case Enum():
            return value.name.lower()
        case None | bool() | int() | str():
            return value
        case float():
            return value if isfinite(value) else str(value)
        case complex():
            is_real = shorten and not value.imag
            return own(value.real) if is_real else _parts(value)
        case Mapping():
            items = cast(Mapping[object, object], value).items()
            return {str(key): own(one) for key, one in items}
        case list() | tuple() | set() | frozenset():
            return [own(one) for one in cast(Collection[object], value)]
        case _:
            read: Any = getattr(value, "as_dict", None)
            return repr(value) if read is None else own(read())


def _parts(value: complex) -> dict[str, Any]:
    return {"real": as_json(value.real), "imag": as_json(value.imag)}


_CONFIGURATION_WIDTH = 40
_LONG_CONSTANT = re.compile(r'dense<"0x([0-9A-Fa-f]{16})[0-9A-Fa-f]{48,}">')


def elided_constants(text: str) -> str:
    """Leave out the bytes of constants that are printed in hexadecimal.

    The result is for reading: it does not parse.
    """

    def short(match: re.Match[str]) -> str:
        size = (len(match[0]) - len('dense<"0x">')) // 2
        return f"dense<0x{match[1]}.. {size} bytes>"

    return _LONG_CONSTANT.sub(short, text)


def elided_middle(text: str, limit: int) -> str:
    """Leave out the middle of a text of more than `limit` lines, with a remark."""
    lines = text.splitlines()
    if len(lines) <= limit:
        return text
    tail = limit // 3
    head = limit - tail - 1
    remark = f"  ... {len(lines) - head - tail} lines are left out here ..."
    return "\n".join([*lines[:head], remark, *lines[len(lines) - tail :]])


def shortened_lines(text: str, width: int) -> str:
    """Cut lines at a width."""
    return "\n".join(
        line if len(line) <= width else f"{line[: width - 3]}..."
        for line in text.splitlines()
    )


def number(value: complex) -> str:
    """Return a matrix element with six significant digits."""
    if not isinstance(value, complex | np.complexfloating):
        return f"{value + 0.0:.6g}"
    sign = "-" if np.signbit(value.imag) else "+"
    return f"{value.real + 0.0:.6g}{sign}{abs(value.imag):.6g}j"


def is_signs(space: Space) -> bool:
    """Whether configurations are shown as signs: those of spins 1/2."""
    return bool(np.isin(np.concatenate(space.local_states), (-1, 1)).all())


def configuration(values: Array, space: Space) -> str:
    """Return a configuration: signs for spins 1/2, digits for small numbers."""
    known = np.concatenate(space.local_states)
    if is_signs(space):
        return elided("".join("+" if value > 0 else "-" for value in values))
    if np.isin(known, range(10)).all():
        return elided("".join(f"{value:.0f}" for value in values))
    return elided(" ".join(f"{value:g}" for value in values))


def elided(text: str, width: int = _CONFIGURATION_WIDTH) -> str:
    if len(text) <= width:
        return text
    half = (width - 2) // 2
    return f"{text[:half]}..{text[-half:]}"


def columns(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    right: Iterable[int] = (),
) -> list[str]:
    """Return the lines of a table; the columns in `right` are flush right.

    None is a dash.
    """
    cells = [
        ["-" if cell is None else str(cell) for cell in row] for row in (header, *rows)
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    flush = frozenset(right)
    return [
        "  ".join(
            cell.rjust(width) if n in flush else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
