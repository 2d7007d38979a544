"""Inputs of a compilation, and the key of its artifact in a store."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.ir import Attribute
from xdsl.passes import ModulePass

from symir.compiler.context import SymbolicCompilationContext

_OURS = ("symir.", "lowering.", "dialects.", "xdsl.", "xdsl_jax.")
"""Packages whose classes are what the versions in `toolchain` say."""


@dataclass(frozen=True)
class SymbolicCacheKey:
    """The key of an artifact: a namespace and the SHA-256, in hex, of all the rest."""

    namespace: str
    token: str


@dataclass(frozen=True)
class SymbolicCompilationSignature:
    """Everything that a compiled artifact depends on.

    Attributes:
        ir_fingerprint: all that the operator says.
        backend_target: what it is compiled for.
        hilbert_size: the number of sites.
        dtype_str: the dtype of the matrix elements.
        options_signature: the compiler's options.
        extensions_signature: the passes and the lowerers.
    """

    ir_fingerprint: str
    backend_target: str
    hilbert_size: int
    dtype_str: str
    options_signature: str
    extensions_signature: str

    @classmethod
    def from_context(
        cls, context: SymbolicCompilationContext, extensions: str = ""
    ) -> SymbolicCompilationSignature:
        """Return the signature of a context whose passes before the cache have run."""
        return cls(
            context.require_analysis("ir_fingerprint"),
            context.require_analysis("resolved_backend"),
            context.ir.hilbert_size,
            context.ir.dtype_str,
            context.options.static_signature(),
            extensions,
        )

    def build_cache_key(self, *, namespace: str) -> SymbolicCacheKey:
        """Return the key; equal signatures in one namespace share it, anywhere."""
        payload = json.dumps({"namespace": namespace, **asdict(self)}, sort_keys=True)
        return SymbolicCacheKey(namespace, hashlib.sha256(payload.encode()).hexdigest())


def extension_token(extension: object) -> str:
    """Return what tells a pass or a lowerer from others: its class and its settings.

    A class of symir is known by its name, in any process; any other is equal to itself
    only, since a notebook may define it anew under its name.

    Settings are the fields of a frozen dataclass: numbers, texts, arrays and
    collections of them by their values, anything else by the very object. Other
    attributes may be notes that change from run to run, and do not count, but in a pass
    over IR, which has none.
    """
    kind = type(extension)
    token = f"{kind.__module__}.{kind.__qualname__}"
    if not token.startswith(_OURS):
        token = f"{token}:{_own_token(kind)}"
    settings = getattr(kind, "__dataclass_params__", None)
    if not is_dataclass(extension) or settings is None or not settings.frozen:
        return token
    named = {field.name: getattr(extension, field.name) for field in fields(extension)}
    if isinstance(extension, ModulePass) and vars(extension).keys() - named.keys():
        return f"{token}:{_own_token(extension)}"
    return f"{token}:{_encoded(named)}"


def _encoded(value: Any) -> str:
    """Return a text that two values share only where they are equal."""
    match value:
        case None | bool() | int() | float() | complex() | str() | bytes():
            return repr(value)
        case np.ndarray():
            array = np.ascontiguousarray(cast(npt.NDArray[Any], value))
            digest = hashlib.sha256(array.tobytes()).hexdigest()
            return f"array({array.dtype}, {array.shape}, {digest})"
        case Attribute():
            return str(value)
        case Mapping():
            items = cast(Mapping[Any, Any], value).items()
            pairs = sorted((_encoded(k), _encoded(v)) for k, v in items)
            return "{" + ", ".join(f"{k}: {v}" for k, v in pairs) + "}"
        case tuple() | list():
            parts = cast(Sequence[Any], value)
            return f"{type(parts).__name__}({', '.join(map(_encoded, parts))})"
        case set() | frozenset():
            members = cast(Iterable[Any], value)
            return f"set({', '.join(sorted(map(_encoded, members)))})"
        case _:
            return _own_token(value)


_TOKENS: dict[int, tuple[object, str]] = {}
"""Objects that are equal to themselves only, kept alive with a token for each."""


def _own_token(value: object) -> str:
    # An address alone could be another object's later on.
    _, token = _TOKENS.setdefault(id(value), (value, uuid.uuid4().hex))
    return token


@cache
def toolchain() -> dict[str, str]:
    """Return the versions that make an artifact, and a hash of symir's own sources."""
    versions = {
        name: _version(name) for name in ("symir", "xdsl", "xdsl-jax", "jax", "numpy")
    }
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent.parent
    for package in ("dialects", "lowering", "symir"):
        for file in sorted((root / package).rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(file.read_bytes())
    return {**versions, "sources": digest.hexdigest()}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
