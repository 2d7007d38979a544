"""Configurations for the tools to run on: from .npy and .csv files, checked."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from lowering.bt.bt_specialize import STATE_DTYPES
from symir.compiler.checks import wrong_site
from symir.errors import InputError, SourceLocation
from symir.operator.spaces import Space
from symir.tools.faults import Fault

Array = npt.NDArray[Any]

_CHECKED_AT_ONCE = 1 << 20
"""Local values that are compared at once: bounds the memory of a check."""

_MAPPED_ABOVE = 1 << 26
"""A .npy file of more bytes is mapped into memory instead of read."""


def as_state_dtype(dtype: npt.DTypeLike, space: Space) -> np.dtype[Any]:
    """Return a dtype for configurations of a space.

    Raises:
        InputError: when it cannot hold the local values (T014).
    """
    chosen = np.dtype(dtype)
    values = np.unique(np.concatenate(space.local_states))
    with np.errstate(all="ignore"):
        stored = values.astype(chosen).astype(np.float64)
    lost = values[stored != values]
    if not len(lost):
        return chosen
    raise Fault.BAD_DTYPE.error(
        f"{chosen} cannot hold the local values of {space}",
        expected=f"a dtype that can, such as {space.default_dtype()}",
        found=f"{chosen}, which cannot hold {lost[0]:g}",
    )


@dataclass(frozen=True)
class Samples:
    """Configurations to run on.

    Attributes:
        values: an array of shape (..., N) of any real dtype, possibly on the disk.
        dtype: what they are to become.
    """

    values: Array
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape (..., N)."""
        return self.values.shape

    @property
    def count(self) -> int:
        """The number of configurations."""
        return math.prod(self.shape[:-1])

    def blocks(self, size: int) -> Iterator[Array]:
        """Yield arrays (b, N) of the dtype, b = `size` but for a shorter last one.

        Where there are no configurations, the only block is empty.
        """
        flat = self.values.reshape(-1, self.shape[-1])
        for start in range(0, max(1, len(flat)), size):
            yield np.asarray(flat[start : start + size]).astype(self.dtype)


def random_samples(
    count: int, seed: int | None, space: Space, dtype: npt.DTypeLike | None = None
) -> Samples:
    """Draw configurations uniformly.

    Raises:
        InputError: when the dtype cannot hold the local values (T014).
    """
    chosen = as_state_dtype(space.default_dtype() if dtype is None else dtype, space)
    return Samples(space.random_states(count, seed), chosen)


def read_samples(
    path: Path, space: Space, dtype: npt.DTypeLike | None = None
) -> Samples:
    """Return the configurations of a .npy or .csv file, of shape (..., N).

    `dtype` is what they become; by default that of a .npy file, and for a .csv file the
    narrowest that holds the local values. A large .npy file stays on the disk.

    Raises:
        InputError: for a file that is missing or of another kind (T001, T008), does not
            hold an array of numbers (T009, T010) of shape (..., N) (T011), is empty
            (T012) or holds values that are not allowed (T013), and for a dtype that
            cannot hold the local values (T014).
    """
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".csv"):
        raise Fault.NOT_CONFIGURATIONS.error(
            f"'{path}' is neither .npy nor .csv",
            expected="a file that np.save wrote, or comma-separated values",
            found=f"'{path.suffix}'" if path.suffix else "no extension",
        )
    try:
        values = _read_npy(path) if suffix == ".npy" else _read_csv(path, space)
    except OSError as error:
        raise Fault.UNREADABLE.error(
            f"'{path}' cannot be read",
            expected="a readable file",
            found=error.strerror or str(error),
        ) from error
    _check_shape(values, path, space)
    check_allowed(values, path, space)
    if dtype is None and suffix == ".csv":
        dtype = space.default_dtype()
    elif dtype is None:
        dtype = values.dtype.newbyteorder("=")
    return Samples(values, as_state_dtype(dtype, space))


# region .npy


def _read_npy(path: Path) -> Array:
    size = path.stat().st_size
    if not size:
        raise _no_samples(path)
    try:
        samples: Any = np.load(
            path,
            mmap_mode="r" if size > _MAPPED_ABOVE else None,
            allow_pickle=False,
        )
    except (ValueError, EOFError, SyntaxError) as error:
        raise Fault.NOT_NUMBERS.error(
            f"'{path}' does not hold an array of numbers",
            expected="an array of numbers that np.save wrote",
            found=str(error).partition("\n")[0],
        ) from error
    if not isinstance(samples, np.ndarray):  # an archive under the name of an array
        samples.close()
        raise Fault.NOT_NUMBERS.error(
            f"'{path}' is an archive of arrays",
            expected="a single array that np.save wrote",
            found="what np.savez writes",
        )
    array = cast(Array, samples)
    # Whatever the byte order
    native = array.dtype.newbyteorder("=")
    if native not in STATE_DTYPES.values():
        raise Fault.NOT_NUMBERS.error(
            f"'{path}' does not hold real numbers",
            expected=", ".join(str(dtype) for dtype in STATE_DTYPES.values()),
            found=f"dtype {array.dtype}",
        )
    return array


# endregion
# region .csv


def _read_csv(path: Path, space: Space) -> Array:
    try:
        if next(_data_lines(path), None) is None:
            raise _no_samples(path)
        lines = (text for _, text in _data_lines(path))
        return np.loadtxt(lines, delimiter=",", comments=None, quotechar='"', ndmin=2)
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise Fault.UNREADABLE.error(
            f"'{path}' is not text", expected="UTF-8", found=str(error)
        ) from error
    except ValueError as error:
        _explain_csv(path, space)
        raise Fault.BAD_CELL.error(
            f"'{path}' cannot be read", found=str(error)
        ) from error


def _data_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that hold a sample, numbered from 1."""
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            if text:
                yield number, text


def _explain_csv(path: Path, space: Space) -> None:
    """Raise the error for the first line that is no sample."""
    for line, text in _data_lines(path):
        cells = [cell.strip() for cell in next(csv.reader([text]))]
        where = SourceLocation(str(path), line)
        for column, cell in enumerate(cells, 1):
            if not _is_number(cell):
                raise _bad_cell(where, column, cell, cells)
        if len(cells) != space.size:
            found = f"{_values(len(cells))} in line {line}"
            raise _bad_width(path, found, space, where)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _bad_cell(
    where: SourceLocation, column: int, cell: str, cells: list[str]
) -> Exception:
    hint = None
    if not cell:
        hint = "give every site a value; a line has no comma at its end"
    elif not any(map(_is_number, cells)):
        hint = "a line that is no sample starts with #"
    if len(cells) == 1 and len(cell.replace(";", " ").split()) > 1:
        hint = "separate the values by commas"
    return Fault.BAD_CELL.error(
        f"line {where.line}, column {column} of '{where.file}' "
        + ("is no number" if cell else "is empty"),
        location=where,
        expected="a number",
        found=f"'{cell[:40]}'" if cell else "an empty cell",
        hint=hint,
    )


# endregion
# region Checks


def _check_shape(samples: Array, path: Path, space: Space) -> None:
    if samples.ndim and samples.shape[-1] == space.size:
        return
    if path.suffix.lower() == ".npy":
        raise _bad_width(path, f"shape {samples.shape}", space)
    line, _ = next(_data_lines(path))
    raise _bad_width(
        path,
        f"{_values(samples.shape[-1])} per line",
        space,
        SourceLocation(str(path), line),
    )


def _bad_width(
    path: Path, found: str, space: Space, where: SourceLocation | None = None
) -> Exception:
    expected = f"shape (..., {space.size})"
    if path.suffix.lower() == ".csv":
        expected = f"{_values(space.size)} per line"
    return Fault.BAD_WIDTH.error(
        f"the configurations in '{path}' do not have one value for each of "
        f"{space.size} sites",
        location=where,
        expected=f"{expected}, for {space}",
        found=found,
    )


def _values(count: int) -> str:
    return f"{count} value" if count == 1 else f"{count} values"


def _no_samples(path: Path) -> Exception:
    return Fault.NO_SAMPLES.error(
        f"'{path}' holds no configurations",
        expected="at least one",
        found="an empty file",
    )


def check_allowed(samples: Array, path: Path, space: Space) -> None:
    """Check the values of an array (..., N), a part at a time.

    Raises:
        InputError: for a value that its site cannot have (T013); it names the sample
            and the site, and the line of a .csv file.
    """
    flat = samples.reshape(-1, space.size)
    step = max(1, _CHECKED_AT_ONCE // space.size)
    for start in range(0, len(flat), step):
        block = np.asarray(flat[start : start + step])
        if block.dtype.kind == "b":
            block = block.astype(np.int8)
        outside = ~space.contains(block)
        if outside.any():
            number = int(np.argmax(outside))
            raise _not_allowed(path, start + number, block[number], space)


def _not_allowed(path: Path, sample: int, values: Array, space: Space) -> Exception:
    site = wrong_site(space, values)
    assert site is not None
    value = float(values[site])
    where, place = None, ""
    if path.suffix.lower() == ".csv":
        line, _ = next(islice(_data_lines(path), sample, None))
        where, place = SourceLocation(str(path), line), f" (line {line})"
    allowed = space.local_states_at(site)
    listed = ", ".join(f"{known:g}" for known in allowed[:8])
    return Fault.NOT_ALLOWED.error(
        f"sample {sample}{place} of '{path}' holds "
        + ("NaN" if math.isnan(value) else f"{value:g}")
        + f" at site {site}",
        location=where,
        expected=f"{'one of ' if len(allowed) > 1 else ''}{listed}"
        + (", .." if len(allowed) > 8 else ""),
        found="NaN" if math.isnan(value) else f"{value!r}".removesuffix(".0"),
        hint="samples and sites are counted from 0",
    )


# endregion
