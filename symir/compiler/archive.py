"""The file of a compiled artifact: a zip archive of text, never of pickled objects.

Its members are `manifest.json`, `sym.mlir` and, for a backend that has branch tensors,
`bt.mlir`. The manifest has the SHA-256 of the other members, and the comment of the
archive that of all bytes in front of it: any zip tool opens the file, and damage is
found before anything is parsed. The digests protect against accidents, not against
somebody who writes new ones; a file cannot make symir run code either way.

Metadata and pass reports are JSON. Sequences in them come back as tuples, which is what
analyses are made of; numbers of NumPy come back as those of Python. Metadata come back
with the same values, or are not saved. Reports are for reading: what JSON has no word
for comes back in them as in `artifact.manifest()`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from dialects.text import parse_module, print_module
from lowering.remarks import Remark
from symir.compiler.artifact import SymbolicCompiledArtifact
from symir.compiler.context import SymbolicCompilationContext, SymbolicPassReport
from symir.compiler.diagnostics.diagnostic import Diagnostic
from symir.compiler.failures import summary
from symir.compiler.lowerers import default_symbolic_lowerer_registry
from symir.compiler.lowering import LoweringPipeline
from symir.compiler.options import SymbolicCompilerOptions
from symir.compiler.precision import in_supported_precision
from symir.compiler.reference import ReferenceOperator
from symir.compiler.signature import SymbolicCacheKey, toolchain
from symir.errors import SymbolicCompilerError, SymirError
from symir.ir import SymbolicOperatorIR

if TYPE_CHECKING:
    from symir.operator import SymbolicOperator
    from symir.runtime.operator import CompiledOperator

__all__ = [
    "ArtifactFile",
    "load_artifact",
    "save_artifact",
    "write_atomically",
    "write_file",
]

FORMAT = 1
"""Counts the changes after which older files cannot be read."""

StrPath: TypeAlias = str | os.PathLike[str]

_MANIFEST, _SYM, _BT = "manifest.json", "sym.mlir", "bt.mlir"
_DIGEST_LENGTH = 64
_LOG = logging.getLogger("symir")


@dataclass(frozen=True)
class ArtifactFile:
    """What is in the file of an artifact; its texts are not parsed yet.

    Attributes:
        manifest: `artifact.manifest()` with the plain metadata of the artifact, the
            format, and the digests of the other members.
        sym: the text of the `sym` level.
        bt: the text of the `bt` level; None of a backend that has none.
    """

    manifest: Mapping[str, Any]
    sym: str
    bt: str | None

    # region Writing

    @classmethod
    def of(cls, artifact: SymbolicCompiledArtifact) -> ArtifactFile:
        """Return what a file says of an artifact.

        Raises:
            SymbolicCompilerError: where the file could not give it back (C017): the
                backend is not symir's own, or metadata are not plain data.
        """
        _check_backend(artifact)
        sym = artifact.operator_ir.text()
        bt = _text_of(artifact.branch_tensors, artifact.operator_name)
        manifest = {
            "format": FORMAT,
            **artifact.manifest(),
            "metadata": _plain(artifact.metadata, "metadata", artifact.operator_name),
            "digests": {name: _digest(text) for name, text in _members(sym, bt)},
        }
        return cls(manifest, sym, bt)

    def to_bytes(self) -> bytes:
        """Return the file."""
        stream = io.BytesIO()
        manifest = json.dumps(self.manifest, indent=1)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in ((_MANIFEST, manifest), *_members(self.sym, self.bt)):
                archive.writestr(name, text)
            archive.comment = b"0" * _DIGEST_LENGTH
        content = stream.getvalue()[:-_DIGEST_LENGTH]
        return content + _digest(content).encode()

    # endregion
    # region Reading

    @classmethod
    def from_bytes(cls, data: bytes) -> ArtifactFile:
        """Read a file and check its digests.

        Raises:
            SymbolicCompilerError: for anything but an undamaged file (C016) of this
                format (C018).
        """
        content, digest = data[:-_DIGEST_LENGTH], data[-_DIGEST_LENGTH:]
        if not data:
            raise _damaged("it is empty")
        if _digest(content).encode() != digest:
            raise _damaged("it does not end in the SHA-256 of its content")
        try:
            return cls._from_archive(io.BytesIO(data))
        except SymirError:
            raise
        except Exception as error:
            raise _damaged(summary(error)) from error

    @classmethod
    def _from_archive(cls, stream: io.BytesIO) -> ArtifactFile:
        with zipfile.ZipFile(stream) as archive:
            texts = {name: archive.read(name).decode() for name in archive.namelist()}
        manifest = json.loads(texts.pop(_MANIFEST))
        if manifest["format"] != FORMAT:
            raise SymbolicCompilerError(
                "C018",
                "the file of an artifact has another format",
                expected=f"format {FORMAT}",
                found=f"format {manifest['format']!r}",
                hint="compile the operator again",
            )
        digests = {name: _digest(text) for name, text in texts.items()}
        if digests != manifest["digests"]:
            raise _damaged("the digests of its members are not those in its manifest")
        return cls(manifest, texts[_SYM], texts.get(_BT))

    @property
    def cache_key(self) -> SymbolicCacheKey | None:
        """The key that the artifact was stored under, if any."""
        key = self.manifest.get("cache_key")
        return None if key is None else SymbolicCacheKey(**key)

    @property
    def toolchain(self) -> object:
        """The toolchain that made the artifact."""
        return self.manifest.get("toolchain")

    def artifact(self, hilbert: object = None) -> SymbolicCompiledArtifact:
        """Return the artifact; no pass runs.

        Raises:
            DefinitionError: when `hilbert` is another space than the operator's (D031).
            SymbolicCompilerError: where the IR is not what was saved (C016); where JAX
                is absent (C005) or set to 32 bits (C004) and the artifact is not for
                that.
        """
        operator = self.operator(hilbert)
        try:
            parts = self._parts()
        except Exception as error:
            raise _damaged(summary(error)) from error
        return SymbolicCompiledArtifact(
            operator_ir=operator.to_ir(),
            compiled_operator=self._executable(operator, parts["branch_tensors"]),
            **parts,
        )

    def operator(self, hilbert: object = None) -> SymbolicOperator:
        """Return the operator that was compiled.

        Raises:
            DefinitionError, SymbolicCompilerError: as `artifact`.
        """
        from symir.operator import SymbolicOperator

        try:
            ir = SymbolicOperatorIR.from_text(self.sym, _SYM)
        except SymirError as error:
            found = error.found or ""
            raise _damaged(f"{_SYM}: {error.message} {found}".strip()) from error
        if ir.static_fingerprint() != self.manifest.get("fingerprint"):
            raise _damaged(f"{_SYM} does not have the fingerprint in the manifest")
        return SymbolicOperator.from_ir(ir, hilbert)

    def _parts(self) -> dict[str, Any]:
        """Return the parts of the artifact, but for the operator."""
        manifest, backend = self.manifest, self.manifest["backend"]
        members = {"jax": True, "reference": False}
        if members.get(backend) is not (self.bt is not None):
            raise ValueError(f"{_BT} is not what the backend {backend!r} has")
        return {
            "branch_tensors": None if self.bt is None else parse_module(self.bt, _BT),
            "backend": backend,
            "lowerer_name": manifest["lowerer"],
            "cache_key": self.cache_key,
            "pass_reports": tuple(_report(_frozen(one)) for one in manifest["passes"]),
            "metadata": self.metadata,
            "options": self.options,
            "lowering": manifest["lowering"],
        }

    def _executable(
        self, operator: SymbolicOperator, branch_tensors: ModuleOp | None
    ) -> CompiledOperator | ReferenceOperator:
        ir = operator.to_ir()
        if branch_tensors is None:
            return ReferenceOperator(ir, ir.defaults, operator.hilbert)
        # Says that JAX is missing, or set to 32 bits where that is too little.
        in_supported_precision(
            SymbolicCompilationContext(
                operator, ir, SymbolicCompilerOptions(), LoweringPipeline(())
            )
        )
        from symir.runtime.kernel import Kernel
        from symir.runtime.operator import compiled_operator

        kernel = Kernel(ir, branch_tensors)
        return compiled_operator(kernel, ir.defaults, operator.hilbert)

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the artifact, with tuples for sequences."""
        return _frozen(self.manifest["metadata"])

    @property
    def options(self) -> SymbolicCompilerOptions | None:
        """The options that the artifact was compiled with."""
        options = self.manifest["options"]
        if options is None:
            return None
        return SymbolicCompilerOptions.from_mapping(options)

    # endregion


# region Files


def _report(plain: dict[str, Any]) -> SymbolicPassReport:
    report = SymbolicPassReport(**plain)
    report = replace(report, remarks=tuple(Remark(**one) for one in plain["remarks"]))
    if "diagnostics" not in report.metadata:
        return report
    found = tuple(map(Diagnostic.from_dict, report.metadata["diagnostics"]))
    return replace(report, metadata={**report.metadata, "diagnostics": found})


def save_artifact(artifact: SymbolicCompiledArtifact, path: StrPath) -> None:
    """Write an artifact to a file, which is replaced as a whole or not at all.

    Raises:
        SymbolicCompilerError: where the file cannot be written (C015), or could not
            give the artifact back (C017).
    """
    write_file(path, ArtifactFile.of(artifact).to_bytes(), artifact.operator_name)


def write_file(path: StrPath, data: bytes, operator: str) -> None:
    """Write a file for a user, as a whole or not at all.

    Raises:
        SymbolicCompilerError: where it cannot be written (C015).
    """
    try:
        write_atomically(Path(path), data)
    except OSError as error:
        raise SymbolicCompilerError(
            "C015",
            f"'{path}' cannot be written",
            operator=operator,
            expected="a folder that exists, is writable and has enough space",
            found=error.strerror or str(error),
        ) from error


def load_artifact(path: StrPath, hilbert: object = None) -> SymbolicCompiledArtifact:
    """Read an artifact that `artifact.save(path)` has written.

    No pass runs, unless other versions of symir or of what it stands on made the file:
    then the operator is compiled anew from its `sym` level, without a cache, and
    `metadata["recompiled_from"]` is the toolchain that made the file.

    Args:
        path: the file.
        hilbert: the space to give the operator, by default that of the IR. Predicates
            of a space are not in the IR: only this brings them back.

    Raises:
        DefinitionError: when `hilbert` is another space than the operator's (D031).
        SymbolicCompilerError: where the file cannot be read (C015), is no artifact or
            damaged (C016), or of another toolchain and made by passes that symir does
            not have (C018); where JAX is absent (C005) or set to 32 bits (C004) and the
            artifact is not for that.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SymbolicCompilerError(
            "C015",
            f"'{path}' cannot be read",
            expected="a file that artifact.save(path) has written",
            found=error.strerror or str(error),
        ) from error
    try:
        file = ArtifactFile.from_bytes(data)
        if file.toolchain == toolchain():
            return file.artifact(hilbert)
        return _recompiled(file, hilbert)
    except SymbolicCompilerError as error:
        error.message = f"'{path}': {error.message}"
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that exists once it is complete, whenever the process is killed.

    Raises:
        OSError: where that is impossible; then the file is as it was.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


# endregion
# region What an artifact runs


def _check_backend(artifact: SymbolicCompiledArtifact) -> None:
    """Refuse what does not follow from the IR: it would come back as something else."""
    if _is_of_jax(artifact) or _is_of_reference(artifact):
        return
    raise SymbolicCompilerError(
        "C017",
        "the artifact cannot be saved: its IR does not say how to run it",
        operator=artifact.operator_name,
        expected="what the lowerers of symir make, with the operator's own defaults",
        found=f"{artifact.compiled_operator!r} of the lowerer "
        f"'{artifact.lowerer_name}' and the backend '{artifact.backend}'",
    )


def _is_of_reference(artifact: SymbolicCompiledArtifact) -> bool:
    compiled = artifact.compiled_operator
    return (
        artifact.backend == "reference"
        and type(compiled) is ReferenceOperator
        and compiled.ir == artifact.operator_ir
        and compiled.parameters == artifact.operator_ir.defaults
    )


def _is_of_jax(artifact: SymbolicCompiledArtifact) -> bool:
    if artifact.backend != "jax" or artifact.branch_tensors is None:
        return False
    from symir.runtime.kernel import Kernel
    from symir.runtime.operator import CompiledOperator

    compiled = artifact.compiled_operator
    return (
        isinstance(compiled, CompiledOperator)
        and type(compiled).__module__.startswith("symir.")
        and type(compiled.kernel) is Kernel
        and compiled.kernel.fingerprint
        == Kernel(artifact.operator_ir, artifact.branch_tensors).fingerprint
        and _values(compiled) == artifact.operator_ir.defaults
    )


def _values(compiled: CompiledOperator) -> dict[str, complex]:
    return {name: value.item() for name, value in compiled.parameters.items()}


def _recompiled(file: ArtifactFile, hilbert: object) -> SymbolicCompiledArtifact:
    """Compile the operator of a file anew: other versions made it."""
    from symir.compiler.compiler import SymbolicCompiler

    operator = file.operator(hilbert)
    try:
        options = _options_known_here(file)
        metadata = {**file.metadata, "recompiled_from": file.toolchain}
    except Exception as error:
        details = getattr(error, "found", None)
        raise SymbolicCompilerError(
            "C018",
            "other versions of symir, or of what it stands on, made the artifact, and "
            "not with passes and options that are known here",
            operator=operator.name,
            expected="options, passes and a lowerer that symir comes with",
            found=f"{summary(error)}: {details}" if details else summary(error),
            hint="compile the operator again",
        ) from error
    _LOG.info("compiling '%s' anew: other versions made its file", operator.name)
    return SymbolicCompiler().compile(operator, options, metadata)


def _options_known_here(file: ArtifactFile) -> SymbolicCompilerOptions:
    """Return the options of an artifact that passes and lowerers of symir made."""
    lowering, lowerer = file.manifest["lowering"], file.manifest["lowerer"]
    if lowerer not in default_symbolic_lowerer_registry().names:
        raise ValueError(f"the lowerer '{lowerer}'")
    if lowering is not None:
        LoweringPipeline.parse(lowering)
    options = file.options or SymbolicCompilerOptions()
    return replace(
        options, backend_preference=file.manifest["backend"], cache_enabled=False
    )


# endregion
# region Texts and plain data


def _members(sym: str, bt: str | None) -> list[tuple[str, str]]:
    return [(_SYM, sym), *([] if bt is None else [(_BT, bt)])]


def _digest(content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()


def _text_of(branch_tensors: ModuleOp | None, operator: str) -> str | None:
    """Return the text of branch tensors, which parses back as just that."""
    if branch_tensors is None:
        return None
    text = print_module(branch_tensors)
    try:
        parsed = parse_module(text, _BT)
    except Exception as error:
        raise _not_text(operator, f"{type(error).__name__}: {error}") from error
    if parsed.is_structurally_equivalent(branch_tensors):
        return text
    raise _not_text(operator, "a text that parses as something else")


def _not_text(operator: str, found: str) -> SymbolicCompilerError:
    return SymbolicCompilerError(
        "C017",
        "the artifact cannot be saved: its branch tensors cannot be written as text",
        operator=operator,
        expected="ops and attributes of the dialects of symir-opt, which parse back",
        found=found,
    )


def _plain(value: object, place: str, operator: str) -> Any:
    """Return a value as JSON data.

    Raises:
        SymbolicCompilerError: where it cannot come back (C017).
    """
    if isinstance(value, np.bool_ | np.integer | np.floating):
        value = cast(object, value.item())
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping() if _has_names(cast(Mapping[object, object], value)):
            items = cast(Mapping[str, object], value)
            return {
                key: _plain(one, f"{place}.{key}".lstrip("."), operator)
                for key, one in items.items()
            }
        case list() | tuple():
            sequence = cast(Sequence[object], value)
            return [_plain(one, place, operator) for one in sequence]
        case _:
            raise SymbolicCompilerError(
                "C017",
                f"the artifact cannot be saved: '{place}' is not plain data",
                operator=operator,
                expected="numbers, strings, booleans, None, and sequences and mappings "
                "of them by name",
                found=repr(value),
            )


def _has_names(value: Mapping[object, object]) -> bool:
    return all(isinstance(key, str) for key in value)


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


def _damaged(reason: str) -> SymbolicCompilerError:
    return SymbolicCompilerError(
        "C016",
        "this is not the file of an artifact, or it is damaged",
        expected="what artifact.save(path) has written",
        found=reason,
        hint="compile the operator again",
    )


# endregion
