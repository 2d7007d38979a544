"""`symir explain`: what a compilation did, from its manifest, and the facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symir.compiler import SymbolicCompiledArtifact, SymbolicCompilerOptions
from symir.compiler.archive import is_artifact, load_artifact
from symir.facts import OperatorFacts
from symir.operator.symbolic_operator import SymbolicOperator
from symir.tools.faults import Fault
from symir.tools.load import load_operator, split_reference
from symir.tools.progress import Progress
from symir.tools.run import compile_artifact
from symir.tools.show import Style, table

Manifest = Mapping[str, Any]


def artifact_of(reference: str, progress: Progress) -> SymbolicCompiledArtifact:
    """Return the artifact that `FILE[:NAME]` leads to.

    FILE defines an operator, which is compiled, or is an artifact that was saved.

    Raises:
        SymirError: where there is no such operator, it does not compile, or the file of
            an artifact cannot be used.
        UserCodeError: where the file is Python that raises.
    """
    path, name = split_reference(reference)
    if path.suffix == ".py" or not is_artifact(path):
        with progress.stage(f"reading {reference}"):
            operator = load_operator(reference)
        return compile_artifact(operator, progress)
    with progress.stage(f"reading {reference}"):
        artifact = load_artifact(path)
    if name in (None, artifact.operator_name):
        return artifact
    raise Fault.UNKNOWN_OPERATOR.error(
        f"'{path}' has no operator '{name}'",
        expected=f"{path}:{artifact.operator_name}",
        found=f"'{name}'",
    )


def explanation(
    manifest: Manifest, style: Style | None = None, facts: OperatorFacts | None = None
) -> list[str]:
    """Return the lines that tell what a manifest says, and the facts if given."""
    style = style or Style()
    parts = [
        _summary(manifest),
        _passes(manifest, style),
        _terms(manifest, style),
        _layout(manifest, style),
        *_diagnostics(manifest),
        [f"versions: {_pairs({k: v[:12] for k, v in manifest['toolchain'].items()})}"],
    ]
    if facts is not None:
        parts.append(["facts", *str(facts).splitlines()[1:]])
    return "\n\n".join("\n".join(part) for part in parts).split("\n")


def facts_of_artifact(artifact: SymbolicCompiledArtifact) -> OperatorFacts:
    """Return the facts of the operator of an artifact.

    Raises:
        SymirError: where the operator cannot be lowered.
    """
    hilbert: object = artifact.compiled_operator.hilbert
    return SymbolicOperator.from_ir(artifact.operator_ir, hilbert).facts()


# region Parts


def _summary(manifest: Manifest) -> list[str]:
    facts = manifest["metadata"]
    claim = ", hermitian" if facts["declared_hermitian"] else ""
    return [
        f"{manifest['operator']}: {facts['hilbert_size']} sites, "
        f"{facts['dtype_str']}{claim}",
        f"  fingerprint: {manifest['fingerprint']}",
        f"  cache key:   {_key(manifest['cache_key'])}",
        f"  options:     {_options(manifest['options'])}",
        f"  backend:     {manifest['backend']}, by {manifest['lowerer']}",
        f"  levels:      {_levels(manifest)}",
    ]


def _key(key: Mapping[str, str] | None) -> str:
    return "none" if key is None else f"{key['namespace']}/{key['token']}"


def _options(options: Mapping[str, Any] | None) -> str:
    """Return the options that are not the default ones."""
    if options is None:
        return "unknown"
    defaults = SymbolicCompilerOptions().as_dict()
    changed = {
        name: value
        for name, value in options.items()
        if name not in defaults or defaults[name] != value
    }
    return _pairs(changed) or "the default ones"


def _levels(manifest: Manifest) -> str:
    lowered = [one for one in manifest["passes"] if one["ops_before"] is not None]
    if not lowered:
        return "sym, interpreted" if manifest["backend"] == "reference" else "unknown"
    first, last = lowered[0]["ops_before"], lowered[-1]["ops_after"]
    return f"sym ({first} ops) -> bt ({last} ops) -> one kernel per batch and dtype"


def _passes(manifest: Manifest, style: Style) -> list[str]:
    passes = manifest["passes"]
    times = [one["duration_ms"] for one in passes]
    names = ("pass_name", "stage", "duration_ms", "ops_before", "ops_after")
    rows = [[one[name] for name in names] for one in passes]
    for row, time in zip(rows, times, strict=True):
        row[2] = f"{time:.2f}"
    header = ("pass", "stage", "ms", "ops before", "after")
    lines = table(header, rows, right={2, 3, 4}, style=style)
    return [*lines, f"{len(rows)} passes, {sum(times):.2f} ms"]


def _terms(manifest: Manifest, style: Style) -> list[str]:
    groups: Sequence[Sequence[str]] = manifest["metadata"].get("fusion_groups", ())
    group_of = {
        name: number
        for number, group in enumerate(groups)
        if len(group) > 1
        for name in group
    }
    names = ("name", "rows", "emissions", "fanout", "lanes")
    rows = [
        [*(term[name] for name in names), group_of.get(term["name"])]
        for term in manifest["terms"]
    ]
    header = ("term", *names[1:], "fused into group")
    lines = table(header, rows, right={1, 2, 3, 4, 5}, style=style)
    return [*lines, f"{len(rows)} terms, {manifest['total_padded_size']} lanes"]


def _layout(manifest: Manifest, style: Style) -> list[str]:
    defaults = {one["name"]: one["default"] for one in manifest["parameters"]}
    rows = [
        (
            *(kind, one["name"], f"({', '.join(map(str, one['shape']))})"),
            *(one["dtype"], one["bytes_per_sample"]),
            _default(defaults[one["name"]])
            if kind == "in" and not one["shape"]
            else "",
        )
        for kind, arrays in (("in", manifest["inputs"]), ("out", manifest["outputs"]))
        for one in arrays
    ]
    header = ("", "array", "shape", "dtype", "bytes per sample", "default")
    return table(header, rows, right={4}, style=style)


def _diagnostics(manifest: Manifest) -> list[list[str]]:
    """Return one part that lists the diagnostics, or none where there are none."""
    found = [
        diagnostic
        for one in manifest["passes"]
        for diagnostic in one["metadata"].get("diagnostics", ())
    ]
    return [["diagnostics", *(f"  {_diagnostic(one)}" for one in found)]] * bool(found)


def _diagnostic(one: Mapping[str, Any]) -> str:
    place = one["location"]
    where = "" if place is None else f"{place[0]}:{place[1]}: "
    named = "/".join(one[key] for key in ("term", "emission") if one[key])
    found = f" ({one['found']})" if one["found"] else ""
    about = f"{named}: " if named else ""
    return f"{where}{one['severity']} {one['code']}: {about}{one['message']}{found}"


def _default(value: Any) -> str:
    match value:
        case None:
            return "none"
        case {"real": real, "imag": imag}:
            return f"{real}{'' if str(imag).startswith('-') else '+'}{imag}j"
        case _:
            return str(value)


def _pairs(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


# endregion
