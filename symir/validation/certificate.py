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
from symir.compiler.lowering import lowering_of_file
from symir.compiler.signature import toolchain
from symir.errors import InputError, SymirError
from symir.ir import SymbolicOperatorIR
from symir.validation.check import EXECUTABLE, ValidationReport, check

__all__ = ["Replay", "as_certificate", "replay", "save_certificate"]

FORMAT = 1
"""Counts the changes after which older certificates cannot be read."""

ROUNDING = 1e-13
"""By so much errors may differ from one machine to another."""

StrPath = str | os.PathLike[str]


def as_certificate(report: ValidationReport) -> dict[str, Any]:
    """Return a report as plain data, with all that it takes to check again."""
    return {
        "format": FORMAT,
        "operator": report.operator,
        "ok": report.ok,
        "mode": report.mode,
        "coverage": {
            "samples": report.samples,
            "n_states": report.n_states,
            # The text of an operator has the sums of its space, and no predicates.
            "predicates": _n_states(report.text) != report.n_states,
        },
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
        lowering_of_file(found["lowering"])
        report = check(
            ir,
            _unpacked(found["x"]),
            parameters=[
                {name: _unpaired(value) for name, value in values.items()}
                for values in found["parameters"]
            ],
            lowering=str(found["lowering"]),
            executable=found["stages"][-1]["name"] == EXECUTABLE,
        )
        differences = tuple(_differences(found, report, ir))
    except OSError as error:
        raise _no_certificate(path, error.strerror or str(error)) from error
    except SymirError as error:
        raise error if error.code == "V013" else _no_certificate(path, str(error))
    except (
        *(ValueError, KeyError, TypeError, IndexError, AttributeError, zlib.error),
    ) as error:
        problem = f"{type(error).__name__}: {error}"
        raise _no_certificate(path, problem) from error
    return Replay(report, differences)


def _differences(
    found: dict[str, Any], report: ValidationReport, ir: SymbolicOperatorIR
) -> list[str]:
    """Return what a certificate says and does not hold, in words."""
    now = as_certificate(report)
    names = ("operator", "ok", "parameters", "lowering")
    differences = [
        f"{name} is {now[name]}, and {found[name]} is certified"
        for name in names
        if found[name] != now[name]
    ]
    stages = [_identity(stage) for stage in found["stages"]]
    if [one["spec"] for one in stages] != [one["spec"] for one in now["stages"]]:
        return [*differences, "the passes are others"]
    for stage, one in zip(now["stages"], stages, strict=True):
        differences += [
            f"'{stage['name']}': {key} is {stage[key]}, and {value} is certified"
            for key, value in one.items()
            if stage[key] != value
        ]
    if any("is certified" in one for one in differences):
        differences += _other_versions(found["versions"])
    if float(found["worst_error"]) + ROUNDING < report.worst_error:
        differences.append(
            f"the largest error is {report.worst_error:.1e}, and "
            f"{found['worst_error']} is certified"
        )
    return [*differences, *_coverage(found, report, ir)]


def _coverage(
    found: dict[str, Any], report: ValidationReport, ir: SymbolicOperatorIR
) -> list[str]:
    """Return what is not true of the configurations that were looked at."""
    samples, n_states = (found["coverage"][key] for key in ("samples", "n_states"))
    differences: list[str] = []
    if samples != report.samples:
        differences.append(f"{report.samples} configurations are there, not {samples}")
    has_predicates = found["coverage"]["predicates"]
    if n_states != ir.space.n_states and not has_predicates:
        differences.append(f"the space has {ir.space.n_states} configurations")
    distinct = len(np.unique(report.x, axis=0))
    if found["mode"] == "exhaustive" and distinct != n_states:
        differences.append(f"{distinct} different configurations are not exhaustive")
    return differences


def _identity(stage: dict[str, Any]) -> dict[str, Any]:
    keys = ("name", "spec", "level", "relation", "before", "after", "ok", "skipped")
    return {key: stage[key] for key in keys}


def _other_versions(versions: dict[str, str]) -> list[str]:
    current = toolchain()
    return [
        f"{name} is {current.get(name, 'absent')}, and was {version}"
        for name, version in versions.items()
        if current.get(name) != version
    ]


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


def _n_states(text: str) -> int:
    return SymbolicOperatorIR.from_text(text).space.n_states


def _pair(value: complex) -> list[float | str]:
    number = complex(value)
    return [_plain(number.real), _plain(number.imag)]


def _unpaired(pair: list[float | str]) -> complex:
    real, imaginary = map(float, pair)
    return complex(real, imaginary) if imaginary else real


def _plain(value: Any) -> Any:
    """Return a number that JSON has: it has no infinities."""
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value
