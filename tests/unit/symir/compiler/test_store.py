"""The store in memory: what it keeps, and what makes room."""

from __future__ import annotations

from typing import Any

import pytest

import symir as sym
from tests.unit.symir.compiler.doubles import field


def keys(count: int) -> list[sym.SymbolicCacheKey]:
    return [sym.SymbolicCacheKey("namespace", str(k)) for k in range(count)]


def kept(store: sym.AbstractSymbolicArtifactStore, count: int) -> list[int]:
    return [k for k, key in enumerate(keys(count)) if store.get(key) is not None]


def test_the_oldest_in_memory_makes_room() -> None:
    artifact = sym.SymbolicCompiler().compile(
        field(), {"backend_preference": "reference"}
    )
    store = sym.InMemorySymbolicArtifactStore(max_entries=2)
    for key in keys(2):
        store.put(key, artifact)
    store.put(keys(1)[0], artifact)
    assert kept(store, 3) == [0, 1]
    store.put(keys(3)[2], artifact)
    assert kept(store, 3) == [1, 2]
    assert len(store) == 2
    store.invalidate(keys(2)[1])
    store.invalidate(keys(2)[1])
    assert kept(store, 3) == [2]
    store.clear()
    assert len(store) == 0


@pytest.mark.parametrize("bound", [0, -1, 1.5, True, "1"])
def test_a_bound_is_a_positive_whole_number(bound: Any) -> None:
    with pytest.raises(sym.SymbolicCompilerError) as caught:
        sym.InMemorySymbolicArtifactStore(max_entries=bound)
    assert caught.value.code == "C006"
