"""Stores: where compiled artifacts are kept between compilations."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from symir.compiler.artifact import SymbolicCompiledArtifact
from symir.compiler.signature import SymbolicCacheKey
from symir.errors import SymbolicCompilerError
from symir.language.scalars import is_count


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
        if max_entries is not None and not is_count(max_entries, 1):
            raise SymbolicCompilerError(
                "C006",
                "a store has room for something",
                expected="max_entries >= 1, a whole number, or None",
                found=repr(max_entries),
            )
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


_DEFAULT = InMemorySymbolicArtifactStore()


def default_symbolic_artifact_store() -> AbstractSymbolicArtifactStore:
    """Return the store that `operator.compile()` uses: one per process."""
    return _DEFAULT
