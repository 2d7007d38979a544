"""Writing the page of an operator, of a local energy, or of a handle of either."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from symir.errors import InputError
from symir.explorer.data import page_data
from symir.explorer.page import page_of
from symir.inspection import LoweredOperator, lower
from symir.inspection.lowered import LowerOptions


def explore(
    what: Any, /, *arguments: Any, x: Any = None, **options: Unpack[LowerOptions]
) -> Path:
    """Write the page of an operator to a file, and return its path.

    ```text
    explore(operator, path)
    explore(energy, parameters, x, path)
    ```

    Args:
        what: an operator, a `symir.LocalEnergy`, a handle of `symir.lower`, or the text
            of a level.
        arguments: of a local energy the parameters of the wavefunction and
            configurations x (.., N), which are shown; then the file, which is replaced.
        x: configurations (.., N) to show instead of random ones.
        options: those of `symir.lower`, such as `opt_level` and `coalesce`.

    Raises:
        InputError: where the path is missing (C080), x is not of the operator's space
            (S007, S008, R007), or the file cannot be written (C082).
        SymirError: where `symir.lower` raises it.
    """
    *given, path = arguments or (None,)
    if not isinstance(path, str | Path):
        raise InputError(
            "C080",
            "the last argument of explore is the file to write",
            expected="explore(operator, path), or explore(energy, parameters, x, path)",
            found=f"a value of type {type(path).__name__}" if arguments else "no file",
        )
    return written_to(Path(path), page_of(explored(what, *given, x=x, **options)))


def explored(
    what: Any, *arguments: Any, x: Any = None, **options: Unpack[LowerOptions]
) -> dict[str, Any]:
    """Return the data of the page: see `explore` for the arguments and errors."""
    if isinstance(what, LoweredOperator) and not options:
        handle = what
    else:
        handle = lower(what, *arguments, **options)
    report: Mapping[str, Any] | None = None
    if hasattr(what, "logpsi"):
        x = arguments[1] if x is None else x
        energy: Any = what
        report = energy.report(*arguments).as_dict()
    return page_data(handle, x=x, report=report)


def written_to(path: Path, page: str) -> Path:
    """Write a page to a file, which is replaced, and return its path.

    Raises:
        InputError: where it cannot be written (C082).
    """
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(
            "C082",
            "the page cannot be written",
            expected="a file in a folder that exists",
            found=f"{path}: {error.strerror or error}",
        ) from error
    return path
