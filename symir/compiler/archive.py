"""The file of a compiled artifact: the text of its operator, below what compiles it.

    // symir artifact, format 2
    // {
    //  "options": {"backend_preference": "auto", ...},
    //  "metadata": {},
    //  "toolchain": {"symir": "0.1.0", ...}
    // }
    sym.operator @field() space ...
    // sha256 2c26b46b68ffc68ff99b453c1d304134...

To load it is to compile the operator with passes of symir: no file holds a kernel, or
makes symir run what it does not come with. The last line is there for accidents. The
whole is IR, which `symir-opt` reads.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from symir.compiler.artifact import SymbolicCompiledArtifact
from symir.compiler.compiler import SymbolicCompiler
from symir.compiler.failures import summary
from symir.compiler.lowering import LoweringPipeline, lowering_of_file
from symir.compiler.options import SymbolicCompilerOptions
from symir.compiler.signature import toolchain
from symir.errors import SourceLocation, SymbolicCompilerError, SymirError
from symir.files import StrPath, write_file
from symir.operator.ir import SymbolicOperatorIR, fingerprint

if TYPE_CHECKING:
    from symir.operator.symbolic_operator import SymbolicOperator

LARGEST = 1 << 26
"""The most bytes of a file, which are some millions of rows."""

LARGEST_HEADER = 1 << 20
"""The most bytes of JSON in it, which takes many times its size in memory."""

_NAME = b"// symir artifact, format "
_FIRST = _NAME + b"2\n"
"""The first line; the number counts the changes that older files do not know of."""

_ZIP = b"PK\x03\x04"
"""How files of format 1 begin."""

_HEADER = re.compile(rb"(?://.*\n)+")
_PARTS = ("options", "metadata", "toolchain")


# region Saving


def save_artifact(artifact: SymbolicCompiledArtifact, path: StrPath) -> None:
    """Write an artifact to a file, which is replaced as a whole or not at all.

    Before that it is compiled once more, from what is written, and compared.

    Raises:
        SymbolicCompilerError: where the file cannot be written (C015), or could not
            give the artifact back (C017).
    """
    write_file(path, _file_of(artifact), artifact.operator_name)


def _file_of(artifact: SymbolicCompiledArtifact) -> bytes:
    text = artifact.operator_ir.text()
    try:
        options = _options_of(artifact)
        operator = _operator(text, "<saved>", artifact.compiled_operator.hilbert)
        quick = replace(options, diagnostics="off", validate="off")
        again = SymbolicCompiler().compile(operator, quick)
        ours, theirs = _essence(artifact), _essence(again)
    except Exception as error:
        raise _not_saved(artifact, _reason(error)) from error
    others = [f"{key} {value}" for key, value in ours.items() if theirs[key] != value]
    if others:
        raise _not_saved(artifact, ", ".join(others))
    given = {k: v for k, v in artifact.metadata.items() if k not in again.metadata}
    parts = {
        "options": options.as_dict(),
        "metadata": _plain(given, "metadata", artifact),
        "toolchain": toolchain(),
    }
    header = "".join(f"// {line}\n" for line in json.dumps(parts, indent=1).split("\n"))
    content = _FIRST + f"{header}{text}\n".encode()
    if len(header) > LARGEST_HEADER or len(content) > LARGEST - len(_seal(content)):
        found = f"{len(header):,} bytes of metadata, {len(content):,} in all"
        raise _not_saved(artifact, found)
    return content + _seal(content)


def _options_of(artifact: SymbolicCompiledArtifact) -> SymbolicCompilerOptions:
    """Return the options that compile an operator anew, by the passes that it had."""
    options, lowering = artifact.options or SymbolicCompilerOptions(), artifact.lowering
    asked = str(LoweringPipeline.parse(options.operator_pipeline()))
    if lowering not in (None, asked):
        options = replace(options, lowering=lowering)
    lowering_of_file(options.operator_pipeline())
    return options


def _essence(artifact: SymbolicCompiledArtifact) -> dict[str, object]:
    """Return what of an artifact has to come back, each part comparable by value."""
    compiled: Any = artifact.compiled_operator
    is_reference = artifact.branch_tensors is None
    runs = compiled.ir if is_reference else compiled.kernel
    values = compiled.parameters.items()
    return {
        "the operator": artifact.operator_ir.static_fingerprint(),
        "the backend": artifact.backend,
        "the lowerer": artifact.lowerer_name,
        "the lowering": artifact.lowering,
        "branch tensors": _hash(artifact.branch_tensors),
        "the executable": (
            f"{type(compiled)} of {type(runs)} "
            f"{_hash(None if is_reference else runs.branch_tensors)}"
        ),
        "parameters": str({name: np.asarray(value).item() for name, value in values}),
    }


def _hash(module: ModuleOp | None) -> str | None:
    return None if module is None else fingerprint(module)


def _plain(value: object, place: str, artifact: SymbolicCompiledArtifact) -> Any:
    """Return a value as JSON data.

    Raises:
        SymbolicCompilerError: where it cannot come back (C017).
    """
    if isinstance(value, np.bool_ | np.integer | np.floating):
        value = cast(object, value.item())
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping() if all(isinstance(key, str) for key in value):  # pyright: ignore[reportUnknownVariableType]
            items = cast(Mapping[str, object], value).items()
            return {key: _plain(one, f"{place}.{key}", artifact) for key, one in items}
        case list() | tuple():
            sequence = cast(Sequence[object], value)
            return [_plain(one, place, artifact) for one in sequence]
        case _:
            raise _not_saved(artifact, f"{place} = {value!r}")


def _not_saved(artifact: SymbolicCompiledArtifact, found: str) -> SymbolicCompilerError:
    return SymbolicCompilerError(
        "C017",
        "the artifact cannot be saved: its file would not give it back",
        operator=artifact.operator_name,
        expected="what symir's own passes and lowerers make of the operator and its "
        "defaults, with metadata of numbers, strings, booleans, None, and sequences "
        f"and mappings of them by name; {LARGEST_HEADER:,} bytes of metadata, and "
        f"{LARGEST:,} in all",
        found=found,
    )


# endregion
# region Loading


def is_artifact(path: StrPath) -> bool:
    """Whether a path leads to a file that begins as those of artifacts do."""
    path = Path(path)
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_NAME)) == _NAME
    except OSError:
        return False


def load_artifact(path: StrPath, hilbert: object = None) -> SymbolicCompiledArtifact:
    """Compile the operator of a file that `artifact.save(path)` has written.

    It is compiled with the options that it was saved with, and without what was
    compiled before: other versions of symir may make another kernel of it.

    Args:
        path: the file.
        hilbert: the space to give the operator, by default that of the IR. Predicates
            of a space are not in the IR: only this brings them back.

    Raises:
        DefinitionError: when `hilbert` is another space than the operator's (D031).
        SymbolicCompilerError: where the file cannot be read, or is larger than 64 MiB
            (C015), is no artifact or damaged (C016), or asks for what symir does not
            know, as those of other versions may (C018); and as `SymbolicCompiler`
            raises, where JAX is absent (C005) or set to 32 bits (C004) for one.
    """
    data = _read(Path(path))
    try:
        parts, text = _opened(data)
        operator = _operator(text, str(path), hilbert)
        return SymbolicCompiler().compile(operator, _known(parts), parts["metadata"])
    except SymbolicCompilerError as error:
        error.message = f"'{path}': {error.message}"
        raise


def _read(path: Path) -> bytes:
    """Return what is in a file, once its kind and its size allow to open it."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no regular file")
        if status.st_size > LARGEST:
            raise OSError(f"{status.st_size:,} bytes")
        with path.open("rb") as file:
            return file.read(status.st_size)
    except (OSError, ValueError) as error:  # a name may be none that files have
        raise SymbolicCompilerError(
            "C015",
            f"'{path}' cannot be read",
            expected="a regular file that artifact.save(path) has written, of at most "
            f"{LARGEST:,} bytes",
            found=getattr(error, "strerror", None) or str(error),
        ) from error


def _opened(data: bytes) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the header of a file, and all of its text: lines keep their numbers."""
    if not data.startswith(_FIRST):
        if data.startswith((_NAME, _ZIP)):
            found = repr(data[: len(_FIRST)].partition(b"\n")[0])
            raise _unknown("its format", _FIRST.decode().strip(), found)
        raise _damaged("it does not begin as one" if data else "it is empty")
    content = data[: -len(_seal(b""))]
    if not data.endswith(_seal(content)):
        raise _damaged("it does not end in the SHA-256 of its content")
    lines = _HEADER.match(content, len(_FIRST), len(_FIRST) + LARGEST_HEADER)
    header = b"" if lines is None else re.sub(rb"(?m)^//", b"", lines[0])
    try:
        text = content.decode()
        parts: object = _frozen(json.loads(header))
    except (ValueError, RecursionError) as error:
        raise _damaged(summary(error)) from error
    named = cast(dict[str, Any], parts if isinstance(parts, dict) else {})
    if {*named} == {*_PARTS} and all(isinstance(one, dict) for one in named.values()):
        return named, text
    raise _damaged(f"its header is not of {', '.join(_PARTS)}")


def _operator(text: str, name: str, hilbert: object) -> SymbolicOperator:
    """Return the operator of a text.

    Raises:
        DefinitionError: as `load_artifact`.
        SymbolicCompilerError: for a text that is no operator (C016).
    """
    from symir.operator.symbolic_operator import SymbolicOperator

    try:
        ir = SymbolicOperatorIR.from_text(text, name)
    except Exception as error:
        raise _damaged(_reason(error), getattr(error, "location", None)) from error
    return SymbolicOperator.from_ir(ir, hilbert)


def _known(parts: Mapping[str, Mapping[str, Any]]) -> SymbolicCompilerOptions:
    """Return the options of a file; raises C018 for those that symir does not have."""
    try:
        options = SymbolicCompilerOptions.from_mapping(parts["options"])
        lowering_of_file(options.operator_pipeline())
    except SymirError as error:
        made_by = f"{_reason(error)}; symir {parts['toolchain'].get('symir')} made it"
        expected = "options of symir, and passes that files can ask for"
        raise _unknown("its options", expected, made_by) from error
    return options


def _frozen(value: Any) -> Any:
    """Return JSON data with tuples for lists."""
    match value:
        case dict():
            items = cast(dict[str, Any], value)
            return {key: _frozen(one) for key, one in items.items()}
        case list():
            return tuple(_frozen(one) for one in cast(list[Any], value))
        case _:
            return value


def _damaged(
    found: str, location: SourceLocation | None = None
) -> SymbolicCompilerError:
    return SymbolicCompilerError(
        "C016",
        "this is not the file of an artifact, or it is damaged",
        location=location,
        expected="what artifact.save(path) has written",
        found=found,
        hint="compile the operator again",
    )


def _unknown(what: str, expected: str, found: str) -> SymbolicCompilerError:
    return SymbolicCompilerError(
        "C018",
        f"this symir does not know {what}",
        expected=expected,
        found=found,
        hint="compile the operator again",
    )


def _reason(error: Exception) -> str:
    details = getattr(error, "found", None)
    return f"{summary(error)}: {details}" if details else summary(error)


def _seal(content: bytes) -> bytes:
    return f"// sha256 {hashlib.sha256(content).hexdigest()}\n".encode()


# endregion
