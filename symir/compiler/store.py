"""Stores: where compiled artifacts are kept between compilations."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from symir.compiler.archive import ArtifactFile, write_atomically
from symir.compiler.artifact import SymbolicCompiledArtifact
from symir.compiler.signature import SymbolicCacheKey, toolchain
from symir.errors import SymbolicCompilerError, SymirError

__all__ = [
    "AbstractSymbolicArtifactStore",
    "DiskSymbolicArtifactStore",
    "InMemorySymbolicArtifactStore",
    "LayeredSymbolicArtifactStore",
    "default_symbolic_artifact_store",
]

_LOG = logging.getLogger("symir")


class AbstractSymbolicArtifactStore(ABC):
    """A mapping from cache keys to artifacts, safe under threads."""

    @abstractmethod
    def get(self, key: SymbolicCacheKey) -> SymbolicCompiledArtifact | None:
        """Return the artifact of a key, or None."""

    @abstractmethod
    def put(self, key: SymbolicCacheKey, artifact: SymbolicCompiledArtifact) -> None:
        """Keep an artifact; it may be dropped again at any time."""

    @abstractmethod
    def invalidate(self, key: SymbolicCacheKey) -> None:
        """Drop the artifact of a key, if there is one."""

    @abstractmethod
    def clear(self) -> None:
        """Drop everything."""

    @abstractmethod
    def __len__(self) -> int: ...


class InMemorySymbolicArtifactStore(AbstractSymbolicArtifactStore):
    """Artifacts of this process.

    With `max_entries` the oldest one makes room for a new one: that whose key came
    first, however often it was looked up or put again since.

    Raises:
        SymbolicCompilerError: for a bad `max_entries` (C006).
    """

    def __init__(self, max_entries: int | None = None):
        _check_bound("max_entries", max_entries)
        self._max_entries = max_entries
        self._artifacts: dict[SymbolicCacheKey, SymbolicCompiledArtifact] = {}
        self._lock = threading.Lock()

    def get(self, key: SymbolicCacheKey) -> SymbolicCompiledArtifact | None:
        return self._artifacts.get(key)

    def put(self, key: SymbolicCacheKey, artifact: SymbolicCompiledArtifact) -> None:
        with self._lock:
            self._artifacts[key] = artifact
            if self._max_entries is not None and len(self._artifacts) > (
                self._max_entries
            ):
                del self._artifacts[next(iter(self._artifacts))]

    def invalidate(self, key: SymbolicCacheKey) -> None:
        with self._lock:
            self._artifacts.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._artifacts.clear()

    def __len__(self) -> int:
        return len(self._artifacts)


class DiskSymbolicArtifactStore(AbstractSymbolicArtifactStore):
    """Artifacts in a folder, one file each, for any number of threads and processes.

    A file appears as a whole or not at all, and is checked when it is read. One that is
    damaged, of another toolchain, or of another key is no artifact: it is deleted, the
    compiler compiles again, and `rejections` says why. Trouble with the folder never
    fails a compilation; the logger "symir" tells of it.

    What a file cannot give back is not kept: artifacts of backends that are not symir's
    own, and metadata that are not plain data. An artifact that comes back has the space
    of its IR, which knows no predicates; the compiler gives it that of the operator.

    Args:
        path: the folder; it is made when something is put into it. Other files in it
            are left alone.
        max_bytes: how large the files may be together; those not used for longest make
            room. An artifact that is larger on its own is not kept. None is no bound.

    Attributes:
        path: the folder.
        rejections: the keys of the files that were no artifacts, and the reasons.

    Raises:
        SymbolicCompilerError: for a bad `max_bytes` (C006).
    """

    def __init__(self, path: str | os.PathLike[str], max_bytes: int | None = None):
        _check_bound("max_bytes", max_bytes)
        self.path = Path(path).absolute()
        self.rejections: list[tuple[SymbolicCacheKey, str]] = []
        self._max_bytes = max_bytes
        # Asked for now: the sources of a process that runs on may change beneath it.
        self._toolchain = toolchain()
        for file in self._files():
            if file.suffix != _SUFFIX:
                _delete(file)

    def get(self, key: SymbolicCacheKey) -> SymbolicCompiledArtifact | None:
        file = self._file(key)
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _LOG.warning("%s cannot be read: %s", file, error)
            return None
        try:
            artifact = self._checked(key, data)
        except SymbolicCompilerError as error:
            if error.code not in _REJECTED:
                raise
            self._reject(key, error.found or error.message)
            return None
        # Eviction goes by this time, which is not the time of the last access: many
        # file systems do not note that.
        _mark_as_used(file)
        return artifact

    def put(self, key: SymbolicCacheKey, artifact: SymbolicCompiledArtifact) -> None:
        file = self._file(key)
        try:
            data = ArtifactFile.of(replace(artifact, cache_key=key)).to_bytes()
            if self._max_bytes is not None and len(data) > self._max_bytes:
                _LOG.warning("%s is not kept: it has %d bytes", file, len(data))
                return
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(file, data)
        except (OSError, SymirError) as error:
            _LOG.warning("%s is not kept: %s", file, error)
            return
        _mark_as_used(file)
        self._make_room_for(file)

    def invalidate(self, key: SymbolicCacheKey) -> None:
        _delete(self._file(key))

    def clear(self) -> None:
        for file in self._files():
            _delete(file)

    def __len__(self) -> int:
        return sum(file.suffix == _SUFFIX for file in self._files())

    def __repr__(self) -> str:
        return f"DiskSymbolicArtifactStore({str(self.path)!r}, {self._max_bytes})"

    def _file(self, key: SymbolicCacheKey) -> Path:
        # Hashed, for a namespace may hold what no name of a file can.
        name = json.dumps([key.namespace, key.token]).encode()
        return self.path / f"{hashlib.sha256(name).hexdigest()}{_SUFFIX}"

    def _files(self) -> Iterator[Path]:
        """Yield the artifacts, and what writers that were killed have left."""
        try:
            found = list(self.path.iterdir())
        except OSError:
            return
        for file in found:
            if _ARTIFACT.fullmatch(file.name) or _is_abandoned(file):
                yield file

    def _checked(self, key: SymbolicCacheKey, data: bytes) -> SymbolicCompiledArtifact:
        file = ArtifactFile.from_bytes(data)
        if file.toolchain != self._toolchain:
            raise _rejected("another toolchain made it")
        if file.cache_key != key:
            raise _rejected("it is the artifact of another key")
        return file.artifact()

    def _reject(self, key: SymbolicCacheKey, reason: str) -> None:
        self.rejections.append((key, reason))
        _LOG.warning("%s is rejected: %s", self._file(key), reason)
        _delete(self._file(key))

    def _make_room_for(self, new: Path) -> None:
        """Delete what was not used for longest until the bound holds."""
        if self._max_bytes is None:
            return
        sizes = {file: _use_and_size(file) for file in self._files()}
        total = sum(size for _, size in sizes.values())
        for file, (_, size) in sorted(sizes.items(), key=lambda item: item[1]):
            if total <= self._max_bytes:
                return
            if file != new:
                _delete(file)
                total -= size


class LayeredSymbolicArtifactStore(AbstractSymbolicArtifactStore):
    """Several stores as one, such as memory in front of a disk.

    They are looked through in order; what one of them has is put into those in front of
    it. Everything else is done to all. Its length is that of the fullest.

    Raises:
        SymbolicCompilerError: for no stores, or what is none (C006).
    """

    def __init__(self, *stores: AbstractSymbolicArtifactStore):
        self._stores = stores
        # Whoever calls this may not have checked types.
        if stores and all(
            isinstance(one, AbstractSymbolicArtifactStore)  # pyright: ignore[reportUnnecessaryIsInstance]
            for one in stores
        ):
            return
        raise SymbolicCompilerError(
            "C006",
            "a layered store is made of stores",
            expected="instances of subclasses of AbstractSymbolicArtifactStore",
            found=", ".join(map(repr, stores)) or "nothing",
        )

    def get(self, key: SymbolicCacheKey) -> SymbolicCompiledArtifact | None:
        for depth, store in enumerate(self._stores):
            artifact = store.get(key)
            if artifact is None:
                continue
            for earlier in self._stores[:depth]:
                earlier.put(key, artifact)
            return artifact
        return None

    def put(self, key: SymbolicCacheKey, artifact: SymbolicCompiledArtifact) -> None:
        for store in self._stores:
            store.put(key, artifact)

    def invalidate(self, key: SymbolicCacheKey) -> None:
        for store in self._stores:
            store.invalidate(key)

    def clear(self) -> None:
        for store in self._stores:
            store.clear()

    def __len__(self) -> int:
        return max(map(len, self._stores))


def _check_bound(name: str, bound: object) -> None:
    if bound is None:
        return
    if isinstance(bound, int) and not isinstance(bound, bool) and bound >= 1:
        return
    raise SymbolicCompilerError(
        "C006",
        "a store has room for something",
        expected=f"{name} >= 1, a whole number, or None",
        found=repr(bound),
    )


# region Files

_SUFFIX = ".symir"
_ARTIFACT = re.compile(rf"[0-9a-f]{{64}}\{_SUFFIX}")
_PARTIAL = re.compile(rf"[0-9a-f]{{64}}\{_SUFFIX}\.[0-9a-f]{{32}}\.partial")
_ABANDONED_AFTER = 3600.0
"""A partial file that is older than so many seconds has no writer any more."""

_REJECTED = ("C016", "C018", "C019")
"""What says that a file is no artifact for us; everything else is about us."""


def _rejected(reason: str) -> SymbolicCompilerError:
    return SymbolicCompilerError(
        "C019", "a file of a store is not the artifact that belongs there", found=reason
    )


def _mark_as_used(file: Path) -> None:
    now = time.time_ns()
    with contextlib.suppress(OSError):
        os.utime(file, ns=(now, now))


def _use_and_size(file: Path) -> tuple[int, int]:
    """Return when a file was used last, and how large it is."""
    try:
        status = file.stat()
    except OSError:  # another process was faster
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _is_abandoned(file: Path) -> bool:
    if not _PARTIAL.fullmatch(file.name):
        return False
    used, _ = _use_and_size(file)
    return used / 1e9 < time.time() - _ABANDONED_AFTER


def _delete(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        _LOG.warning("%s cannot be deleted: %s", file, error)


# endregion

_DEFAULT = InMemorySymbolicArtifactStore()


def default_symbolic_artifact_store() -> AbstractSymbolicArtifactStore:
    """Return the store that `operator.compile()` uses: one per process."""
    return _DEFAULT
