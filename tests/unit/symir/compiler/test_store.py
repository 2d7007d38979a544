"""Stores: what they keep, what they drop, and what they refuse."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netket as nk
import numpy as np
import pytest

import symir as sym
from symir.compiler import signature
from tests.unit.symir.compiler.doubles import Late, NotingLowerer, NotingStore, field

ROOT = Path(__file__).parents[4]
X = sym.spin(0.5, 4).all_states()
KEY = sym.SymbolicCacheKey("namespace", "token")


def compiler(
    store: sym.AbstractSymbolicArtifactStore, log: list[str] | None = None
) -> sym.SymbolicCompiler:
    """Return a compiler that notes when a pass behind the cache runs, or a lowerer."""
    notes = [] if log is None else log
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(Late(notes), before="symbolic_fanout_analysis")
    registry = sym.SymbolicLowererRegistry([NotingLowerer(notes)])
    return sym.SymbolicCompiler(
        pipeline=pipeline, lowerer_registry=registry, artifact_store=store
    )


def compiled_by(store: sym.AbstractSymbolicArtifactStore, **options: Any) -> Any:
    return compiler(store).compile(field(), options)


def results(artifact: Any) -> tuple[Any, Any]:
    xp, mels = artifact.compiled_operator.get_conn_padded(X)
    return np.asarray(xp).tobytes(), np.asarray(mels).tobytes()


def only_file(path: Path) -> Path:
    (file,) = path.iterdir()
    return file


@pytest.fixture(scope="module")
def artifact() -> Any:
    return sym.SymbolicCompiler().compile(field())


@pytest.fixture(scope="module")
def expected(artifact: Any) -> tuple[Any, Any]:
    return results(artifact)


# region On disk


def test_a_new_compiler_starts_from_the_disk(
    tmp_path: Path, expected: tuple[Any, Any]
) -> None:
    first: list[str] = []
    artifact = compiler(sym.DiskSymbolicArtifactStore(tmp_path), first).compile(field())
    assert first.count("lower") == first.count("late") == 1
    log: list[str] = []
    store = sym.DiskSymbolicArtifactStore(str(tmp_path))
    back = compiler(store, log).compile(field())
    assert not {"late", "lower"} & set(log)
    assert back.pass_reports == artifact.pass_reports
    assert back.cache_token() == artifact.cache_token()
    assert results(back) == expected
    assert (len(store), store.rejections) == (1, [])


PROGRAM = """
import sys
import numpy as np
import symir as sym
from tests.unit.symir.compiler.doubles import Late, field

log = []
pipeline = sym.default_symbolic_pass_pipeline()
pipeline.insert(Late(log), before="symbolic_fanout_analysis")
store = sym.DiskSymbolicArtifactStore(sys.argv[1])
compiler = sym.SymbolicCompiler(
    pipeline=pipeline,
    artifact_store=store,
    options=sym.SymbolicCompilerOptions(backend_preference="reference"),
)
xp, mels = compiler.compile_operator(field()).get_conn_padded(np.ones((1, 4)))
print(len(log), mels.tolist(), store.rejections)
"""


def in_a_process(program: str, *arguments: object) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=True,
    ).stdout


def test_another_process_starts_from_the_disk(tmp_path: Path) -> None:
    first = in_a_process(PROGRAM, tmp_path).split(maxsplit=1)
    second = in_a_process(PROGRAM, tmp_path).split(maxsplit=1)
    assert (first[0], second[0]) == ("1", "0")
    assert first[1] == second[1]


def test_the_operator_keeps_its_space(tmp_path: Path) -> None:
    for hilbert in (nk.hilbert.Spin(0.5, 4), sym.spin(0.5, 4)):
        operator = sym.SymbolicOperator.from_ir(field().to_ir(), hilbert)
        for _ in range(2):
            store = sym.DiskSymbolicArtifactStore(tmp_path)
            back = sym.SymbolicCompiler(artifact_store=store).compile(operator)
            assert back.compiled_operator.hilbert == hilbert


@pytest.mark.parametrize(
    "namespace",
    ["../up", "a/b\\c:d*?", "\0", "", "x" * 999, "ä🙂", "\udc80", "CON", "."],
)
def test_a_namespace_holds_any_characters(
    namespace: str, tmp_path: Path, artifact: Any
) -> None:
    store = sym.DiskSymbolicArtifactStore(tmp_path / "store")
    key = sym.SymbolicCacheKey(namespace, "../token")
    store.put(key, artifact)
    assert [file.name for file in tmp_path.iterdir()] == ["store"]
    found = store.get(key)
    assert found is not None
    assert found.cache_key == key
    assert store.get(sym.SymbolicCacheKey(namespace + "/..", "token")) is None
    store.invalidate(key)
    assert store.get(key) is None
    assert store.rejections == []


def test_clear_leaves_other_files_alone(tmp_path: Path, artifact: Any) -> None:
    others = {"notes.txt", "mine.symir", f"{'0' * 64}.symir.partial"}
    for name in others:
        (tmp_path / name).write_text("keep")
    store = sym.DiskSymbolicArtifactStore(tmp_path)
    store.put(KEY, artifact)
    assert len(store) == 1
    store.clear()
    assert len(store) == 0
    assert {file.name for file in tmp_path.iterdir()} == others


# endregion
# region Rejections

Damage = Callable[[Path], object]


def _flip(where: float) -> Damage:
    def flip(file: Path) -> None:
        data = bytearray(file.read_bytes())
        data[int(where * (len(data) - 1))] ^= 4
        file.write_bytes(data)

    return flip


DAMAGE: dict[str, Damage] = {
    **{f"a flipped bit at {where}": _flip(where) for where in (0, 0.1, 0.5, 0.9, 1)},
    "half of it": lambda file: file.write_bytes(file.read_bytes()[:999]),
    "a byte too much": lambda file: file.write_bytes(file.read_bytes() + b"0"),
    "nothing": lambda file: file.write_bytes(b""),
    "garbage": lambda file: file.write_bytes(os.urandom(999)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_rejected_and_made_anew(
    damage: str,
    tmp_path: Path,
    expected: tuple[Any, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = compiled_by(sym.DiskSymbolicArtifactStore(tmp_path)).cache_key
    DAMAGE[damage](only_file(tmp_path))
    store = sym.DiskSymbolicArtifactStore(tmp_path)
    log: list[str] = []
    with caplog.at_level(logging.WARNING, "symir"):
        artifact = compiler(store, log).compile(field())
    assert log.count("lower") == 1
    assert results(artifact) == expected
    ((rejected, reason),) = store.rejections
    assert rejected == key
    assert reason
    assert reason in caplog.text
    assert store.get(key) is not None
    assert len(store.rejections) == 1


def test_a_rejected_file_is_deleted(tmp_path: Path, artifact: Any) -> None:
    store = sym.DiskSymbolicArtifactStore(tmp_path)
    store.put(KEY, artifact)
    only_file(tmp_path).write_bytes(b"")
    assert store.get(KEY) is None
    assert store.rejections == [(KEY, "it is empty")]
    assert not list(tmp_path.iterdir())


def test_swapped_files_are_rejected(tmp_path: Path, expected: tuple[Any, Any]) -> None:
    store = sym.DiskSymbolicArtifactStore(tmp_path)
    compiled_by(store)
    one = only_file(tmp_path)
    compiled_by(store, enable_fusion=False)
    (other,) = set(tmp_path.iterdir()) - {one}
    one.rename(tmp_path / "x")
    other.rename(one)
    (tmp_path / "x").rename(other)
    for options in ({}, {"enable_fusion": False}):
        assert results(compiled_by(store, **options)) == expected
    reasons = [reason for _, reason in store.rejections]
    assert reasons == ["it is the artifact of another key"] * 2
    assert len(store) == 2


def test_files_of_another_toolchain_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: tuple[Any, Any]
) -> None:
    versions = {**signature.toolchain(), "sources": "another"}
    with monkeypatch.context() as patch:
        patch.setattr("symir.compiler.manifest.toolchain", lambda: versions)
        compiled_by(sym.DiskSymbolicArtifactStore(tmp_path))
    store = sym.DiskSymbolicArtifactStore(tmp_path)
    assert results(compiled_by(store)) == expected
    assert [reason for _, reason in store.rejections] == ["another toolchain made it"]
    assert "recompiled_from" not in compiled_by(store).metadata
    assert len(store.rejections) == 1


# endregion
# region Trouble with the folder


def test_a_folder_that_cannot_be_made_fails_nothing(
    tmp_path: Path, expected: tuple[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    store = sym.DiskSymbolicArtifactStore(tmp_path / "file" / "store")
    with caplog.at_level(logging.WARNING, "symir"):
        assert results(compiled_by(store)) == expected
    assert "is not kept" in caplog.text
    store.invalidate(KEY)
    store.clear()
    assert (len(store), store.rejections) == (0, [])


@pytest.mark.parametrize("function", ["os.fsync", "os.replace", "os.utime"])
def test_a_full_disk_fails_nothing(
    function: str,
    tmp_path: Path,
    expected: tuple[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(function, full)
    store = sym.DiskSymbolicArtifactStore(tmp_path)
    for _ in range(2):
        assert results(compiled_by(store)) == expected
    kept = function == "os.utime"
    assert len(list(tmp_path.iterdir())) == len(store) == kept


def test_a_file_that_cannot_be_read_or_deleted_fails_nothing(
    tmp_path: Path, expected: tuple[Any, Any]
) -> None:
    store = sym.DiskSymbolicArtifactStore(tmp_path)
    compiled_by(store)
    file = only_file(tmp_path)
    file.unlink()
    file.mkdir()
    assert results(compiled_by(store)) == expected
    store.clear()
    assert store.rejections == []


def test_what_cannot_be_saved_is_not_kept(tmp_path: Path) -> None:
    store = sym.DiskSymbolicArtifactStore(tmp_path)
    own = sym.SymbolicCompiler(artifact_store=store)
    assert own.compile(field(), metadata={"note": object()}).operator_name == "field"
    assert not list(tmp_path.iterdir())


KILLED = """
import os, sys, time
import symir as sym
from tests.unit.symir.compiler.doubles import field

def fsync(descriptor):
    os.write(1, b"writing")
    time.sleep(60)

os.fsync = fsync
options = sym.SymbolicCompilerOptions(backend_preference="reference")
store = sym.DiskSymbolicArtifactStore(sys.argv[1])
sym.SymbolicCompiler(artifact_store=store, options=options).compile(field())
"""


@pytest.mark.parametrize("before", [False, True])
def test_a_writer_that_is_killed_leaves_no_torn_file(
    before: bool, tmp_path: Path
) -> None:
    options = {"backend_preference": "reference"}
    store = sym.DiskSymbolicArtifactStore(tmp_path)
    own = sym.SymbolicCompiler(artifact_store=store)
    if before:
        own.compile(field(), options)
        # Something that the process which is killed rejects and replaces.
        only_file(tmp_path).write_bytes(b"")
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.read(7) == b"writing"
        process.send_signal(signal.SIGKILL)
    partial = only_file(tmp_path)
    assert partial.suffix == ".partial"
    assert partial.stat().st_size > 0
    assert len(store) == 0
    artifact = own.compile(field(), options)
    assert artifact.cache_key is not None
    assert store.get(artifact.cache_key) is not None
    assert store.rejections == []
    # Nobody's: it goes once it is so old that no writer can be at it.
    assert len(sym.DiskSymbolicArtifactStore(tmp_path)) == 1
    assert partial.exists()
    long_ago = time.time() - 7200
    os.utime(partial, (long_ago, long_ago))
    assert len(sym.DiskSymbolicArtifactStore(tmp_path)) == 1
    assert not partial.exists()


# endregion
# region Bounds


def keys(count: int) -> list[sym.SymbolicCacheKey]:
    return [sym.SymbolicCacheKey("namespace", str(k)) for k in range(count)]


def kept(store: sym.AbstractSymbolicArtifactStore, count: int) -> list[int]:
    return [k for k, key in enumerate(keys(count)) if store.get(key) is not None]


def test_what_was_not_used_for_longest_makes_room(
    tmp_path: Path, artifact: Any
) -> None:
    probe = sym.DiskSymbolicArtifactStore(tmp_path / "probe")
    probe.put(keys(1)[0], artifact)
    size = only_file(tmp_path / "probe").stat().st_size
    bound = 3 * size + size // 2
    store = sym.DiskSymbolicArtifactStore(tmp_path / "store", max_bytes=bound)
    *first, last = keys(5)
    for key in first[:3]:
        store.put(key, artifact)
    assert store.get(first[0]) is not None
    store.put(first[3], artifact)
    assert store.get(first[0]) is not None
    store.put(last, artifact)
    assert sum(file.stat().st_size for file in store.path.iterdir()) <= bound
    assert kept(store, 5) == [0, 3, 4]


def test_a_clock_that_goes_wrong_does_not_drive_out_what_is_new(
    tmp_path: Path, artifact: Any
) -> None:
    store = sym.DiskSymbolicArtifactStore(tmp_path)
    store.put(keys(1)[0], artifact)
    later = time.time() + 3600
    os.utime(only_file(tmp_path), (later, later))
    bound = only_file(tmp_path).stat().st_size + 100
    store = sym.DiskSymbolicArtifactStore(tmp_path, max_bytes=bound)
    store.put(keys(2)[1], artifact)
    assert kept(store, 2) == [1]


def test_an_artifact_larger_than_the_bound_drives_out_no_other(
    tmp_path: Path, artifact: Any
) -> None:
    probe = sym.DiskSymbolicArtifactStore(tmp_path)
    probe.put(keys(1)[0], artifact)
    size = only_file(tmp_path).stat().st_size
    store = sym.DiskSymbolicArtifactStore(tmp_path, max_bytes=size)
    larger = sym.SymbolicCompiler().compile(
        field(), metadata={"note": os.urandom(size).hex()}
    )
    store.put(keys(2)[1], larger)
    assert kept(store, 2) == [0]


def test_the_oldest_in_memory_makes_room(artifact: Any) -> None:
    store = sym.InMemorySymbolicArtifactStore(max_entries=2)
    for key in keys(2):
        store.put(key, artifact)
    store.put(keys(1)[0], artifact)
    assert kept(store, 3) == [0, 1]
    store.put(keys(3)[2], artifact)
    assert kept(store, 3) == [1, 2]


@pytest.mark.parametrize("bound", [0, -1, 1.5, True, "1"])
def test_a_bound_is_a_positive_whole_number(bound: Any, tmp_path: Path) -> None:
    for make in (
        lambda: sym.InMemorySymbolicArtifactStore(max_entries=bound),
        lambda: sym.DiskSymbolicArtifactStore(tmp_path, max_bytes=bound),
    ):
        with pytest.raises(sym.SymbolicCompilerError) as caught:
            make()
        assert caught.value.code == "C006"


# endregion
# region Layers


def test_a_hit_fills_the_layers_in_front_of_it(tmp_path: Path, artifact: Any) -> None:
    logs: list[list[str]] = [[], [], []]
    layers = [NotingStore(log) for log in logs]
    store = sym.LayeredSymbolicArtifactStore(*layers)
    layers[1].put(KEY, artifact)
    assert store.get(KEY) is artifact
    assert logs == [["get", "put"], ["put", "get"], []]
    assert store.get(KEY) is artifact
    assert logs == [["get", "put", "get"], ["put", "get"], []]


def test_everything_else_is_done_to_all_layers(artifact: Any) -> None:
    layers = [sym.InMemorySymbolicArtifactStore(bound) for bound in (1, None)]
    store = sym.LayeredSymbolicArtifactStore(*layers)
    for key in keys(3):
        store.put(key, artifact)
    assert [len(layer) for layer in (*layers, store)] == [1, 3, 3]
    store.invalidate(keys(3)[2])
    assert [len(layer) for layer in (*layers, store)] == [0, 2, 2]
    assert store.get(KEY) is None
    store.clear()
    assert [len(layer) for layer in (*layers, store)] == [0, 0, 0]


def test_memory_in_front_of_a_disk(tmp_path: Path, expected: tuple[Any, Any]) -> None:
    def fresh() -> sym.LayeredSymbolicArtifactStore:
        return sym.LayeredSymbolicArtifactStore(
            sym.InMemorySymbolicArtifactStore(),
            sym.DiskSymbolicArtifactStore(tmp_path),
        )

    compiled_by(fresh())
    store, log = fresh(), list[str]()
    own = compiler(store, log)
    one = own.compile(field())
    only_file(tmp_path).unlink()
    # A file says which configurations there are, and nothing of kinds of sites: the
    # operator is bound to the space that is asked for, and the kernel is shared.
    again: Any = own.compile(field()).compiled_operator
    first: Any = one.compiled_operator
    assert again.kernel is first.kernel
    assert "lower" not in log
    assert results(one) == expected


@pytest.mark.parametrize("stores", [(), ("a folder",)])
def test_layers_are_stores(stores: Any) -> None:
    with pytest.raises(sym.SymbolicCompilerError) as caught:
        sym.LayeredSymbolicArtifactStore(*stores)
    assert caught.value.code == "C006"


# endregion
