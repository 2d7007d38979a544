"""Certificates: a saved report of `symir.check` and its replay."""

from __future__ import annotations

import base64
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symir.compiler.lowering import lowering_of_file
from symir.compiler.signature import toolchain
from symir.errors import InputError, SymirError
from symir.files import StrPath, write_file
from symir.operator.ir import SymbolicOperatorIR
from symir.plain_text import as_json
from symir.validation.check import check
from symir.validation.reports import EXECUTABLE, ValidationReport

FORMAT = 1
"""Counts the changes after which older certificates cannot be read."""

ROUNDING = 1e-13
"""Errors may differ by this much from one machine to another."""

_UNREADABLE = (
    *(OSError, SymirError, ValueError, KeyError, TypeError, IndexError),
    *(AttributeError, zlib.error),
)


def as_certificate(report: ValidationReport) -> dict[str, Any]:
    """Return a report as plain data with all inputs of its replay."""
    n_states = SymbolicOperatorIR.from_text(report.text).space.n_states
    x = base64.b64encode(zlib.compress(np.ascontiguousarray(report.x).tobytes()))
    return {
        "format": FORMAT,
        "operator": report.operator,
        "ok": report.ok,
        "mode": report.mode,
        "coverage": {
            "samples": report.samples,
            "n_states": report.n_states,
            # The text of an operator has the sums of its space, and no predicates.
            "predicates": n_states != report.n_states,
        },
        "worst_error": as_json(report.worst_error),
        "parameters": [
            {name: [complex(v).real, complex(v).imag] for name, v in values.items()}
            for values in report.parameters
        ],
        "versions": toolchain(),
        "lowering": report.lowering,
        "stages": as_json(report.stages),
        "x": {
            "dtype": report.x.dtype.str,
            "shape": list(report.x.shape),
            "zlib": x.decode(),
        },
        "text": report.text,
    }


def save_certificate(report: ValidationReport, path: StrPath) -> None:
    """Write a certificate; `ValidationReport.save` tells what can go wrong."""
    if report.of_energy:
        raise InputError(
            "V015",
            "a certificate is of an operator, to be checked again from a file",
            operator=report.operator,
            expected="a report on an operator",
            found="one on a local energy, whose wavefunction is in no file",
        )
    data = json.dumps(as_certificate(report), indent=1).encode()
    write_file(path, data, report.operator)


@dataclass(frozen=True)
class Replay:
    """The outcome of a replay.

    Attributes:
        report: the report of the new check.
        differences: claims of the certificate that do not hold, in words.
    """

    report: ValidationReport
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all claims hold and every pass is valid."""
        return self.report.ok and not self.differences

    def __str__(self) -> str:
        lines = [f"not as certified: {one}" for one in self.differences]
        return "\n".join([str(self.report), *lines])


def replay(path: str | os.PathLike[str]) -> Replay:
    """Repeat the check of a certificate: the same passes on the same configurations.

    Raises:
        InputError: for a file that is no certificate of this format (V013).
    """
    try:
        found = json.loads(Path(path).read_bytes())
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}")
        lowering_of_file(found["lowering"])
        packed, data = found["x"], base64.b64decode(found["x"]["zlib"])
        x = np.frombuffer(zlib.decompress(data), packed["dtype"])
        report = check(
            SymbolicOperatorIR.from_text(found["text"], str(path)),
            x.reshape(packed["shape"]),
            parameters=[
                {name: _number(*map(float, pair)) for name, pair in values.items()}
                for values in found["parameters"]
            ],
            lowering=str(found["lowering"]),
            executable=found["stages"][-1]["name"] == EXECUTABLE,
        )
        return Replay(report, tuple(_differences(found, report)))
    except _UNREADABLE as error:
        raise InputError(
            "V013",
            f"'{path}' is no certificate",
            expected=f"a file of `symir check --certificate`, format {FORMAT}",
            found=f"{type(error).__name__}: {error}",
        ) from error


def _differences(found: dict[str, Any], report: ValidationReport) -> list[str]:
    """Return the claims of a certificate that do not hold, in words."""
    claimed, now = _claims(found), _claims(as_certificate(report))
    if claimed.pop("predicates"):
        now["n_states"] = claimed["n_states"]
    differences = [
        f"{name} is {now.get(name)}, and {claimed.get(name)} is certified"
        for name in claimed | now
        if claimed.get(name) != now.get(name) and name != "predicates"
    ]
    if differences:
        differences += [
            f"{name} is {toolchain().get(name, 'absent')}, and was {version}"
            for name, version in found["versions"].items()
            if toolchain().get(name) != version
        ]
    if float(found["worst_error"]) + ROUNDING < report.worst_error:
        error = f"the largest error is {report.worst_error:.1e}"
        differences.append(f"{error}, and {found['worst_error']} is certified")
    distinct = len(np.unique(report.x, axis=0))
    if found["mode"] == "exhaustive" and distinct != claimed["n_states"]:
        differences.append(f"{distinct} different configurations are not exhaustive")
    return differences


def _claims(certificate: dict[str, Any]) -> dict[str, Any]:
    """Return all that a replay has to find again, by name."""
    names = ("operator", "ok", "parameters", "lowering")
    claims = {name: certificate[name] for name in names} | certificate["coverage"]
    for number, stage in enumerate(certificate["stages"]):
        for key in ("spec", "level", "relation", "before", "after", "ok", "skipped"):
            claims[f"{key} of '{stage['name']}' (pass {number})"] = stage[key]
    return claims


def _number(real: float, imaginary: float) -> complex:
    return complex(real, imaginary) if imaginary else real
