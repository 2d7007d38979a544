"""Certificates: what a check found out, as a JSON file that can be checked again."""

from __future__ import annotations

import base64
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symir.compiler.archive import write_file
from symir.compiler.signature import toolchain
from symir.errors import InputError, SymirError
from symir.ir import SymbolicOperatorIR
from symir.validation.check import EXECUTABLE, ValidationReport, check

__all__ = ["Replay", "as_certificate", "replay", "save_certificate"]

FORMAT = 1
"""Counts the changes after which older certificates cannot be read."""

StrPath = str | os.PathLike[str]


def as_certificate(report: ValidationReport) -> dict[str, Any]:
    """Return a report as plain data, with all that it takes to check again."""
    return {
        "format": FORMAT,
        "operator": report.operator,
        "ok": report.ok,
        "mode": report.mode,
        "coverage": {"samples": report.samples, "n_states": report.n_states},
        "worst_error": _plain(report.worst_error),
        "parameters": [
            {name: _pair(value) for name, value in values.items()}
            for values in report.parameters
        ],
        "versions": toolchain(),
        "lowering": report.lowering,
        "stages": [
            {key: _plain(value) for key, value in stage.as_dict().items()}
            for stage in report.stages
        ],
        "x": _packed(report.x),
        "text": report.text,
    }


def save_certificate(report: ValidationReport, path: StrPath) -> None:
    """Write a certificate, as a whole or not at all.

    Raises:
        SymbolicCompilerError: where the file cannot be written (C015).
    """
    data = json.dumps(as_certificate(report), indent=1).encode()
    write_file(path, data, report.operator)


@dataclass(frozen=True)
class Replay:
    """What became of a certificate that was checked again.

    Attributes:
        report: what the check says now.
        differences: what is not as the certificate says, in words.
    """

    report: ValidationReport
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as it was, and every pass keeps its word."""
        return self.report.ok and not self.differences

    def __str__(self) -> str:
        lines = [str(self.report)]
        lines += [f"not as certified: {one}" for one in self.differences]
        return "\n".join(lines)


def replay(path: StrPath) -> Replay:
    """Do again what a certificate says: the same passes on the same configurations.

    Raises:
        InputError: for a file that is no certificate of this format (V013).
    """
    try:
        found = json.loads(Path(path).read_bytes())
        if found["format"] != FORMAT:
            raise _no_certificate(path, f"format {found['format']}")
        ir = SymbolicOperatorIR.from_text(found["text"], str(path))
        x = _unpacked(found["x"])
        parameters = [
            {name: _unpaired(value) for name, value in values.items()}
            for values in found["parameters"]
        ]
        stages, lowering = found["stages"], str(found["lowering"])
        is_executed = stages[-1]["name"] == EXECUTABLE
        before = [_identity(stage) for stage in stages]
        versions = dict(found["versions"])
    except OSError as error:
        raise _no_certificate(path, error.strerror or str(error)) from error
    except SymirError as error:
        raise error if error.code == "V013" else _no_certificate(path, str(error))
    except (ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
        problem = f"{type(error).__name__}: {error}"
        raise _no_certificate(path, problem) from error
    report = check(
        ir, x, parameters=parameters, lowering=lowering, executable=is_executed
    )
    now = [_identity(stage.as_dict()) for stage in report.stages]
    return Replay(report, tuple(_differences(before, now, versions)))


def _identity(stage: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(stage[key]) for key in ("spec", "relation", "before", "after"))


def _differences(
    before: list[tuple[str, ...]], now: list[tuple[str, ...]], versions: dict[str, str]
) -> list[str]:
    specs = [stage[0] for stage in before], [stage[0] for stage in now]
    if specs[0] != specs[1]:
        return [f"the passes are {', '.join(specs[1])}"]
    found = [
        f"'{new[0]}' leaves another module than it did"
        for old, new in zip(before, now, strict=True)
        if old[2] == new[2] and old != new
    ]
    if found:
        current = toolchain()
        found += [
            f"{name} is {current.get(name, 'absent')}, and was {version}"
            for name, version in versions.items()
            if current.get(name) != version
        ]
    return found


def _no_certificate(path: StrPath, problem: str) -> InputError:
    return InputError(
        "V013",
        f"'{path}' is no certificate",
        expected=f"a file of `symir check --certificate`, format {FORMAT}",
        found=problem,
    )


def _packed(x: npt.NDArray[Any]) -> dict[str, Any]:
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(x).tobytes()))
    return {"dtype": x.dtype.str, "shape": list(x.shape), "zlib": data.decode()}


def _unpacked(packed: dict[str, Any]) -> npt.NDArray[Any]:
    data = zlib.decompress(base64.b64decode(packed["zlib"]))
    return np.frombuffer(data, packed["dtype"]).reshape(packed["shape"])


def _pair(value: complex) -> list[float]:
    number = complex(value)
    return [number.real, number.imag]


def _unpaired(pair: list[float]) -> complex:
    real, imaginary = pair
    return complex(real, imaginary) if imaginary else real


def _plain(value: Any) -> Any:
    """Return a number that JSON has: it has no infinities."""
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value
