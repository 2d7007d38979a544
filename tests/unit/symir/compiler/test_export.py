"""Exported artifacts run where symir is not, and give the same bits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np
import pytest

import symir as sym
from symir.errors import InputError, SymbolicCompilerError

CHUNK = 4


def tfim() -> sym.SymbolicOperator:
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(sym.spin(0.5, 6), "tfim", hermitian=True)
        .for_each(("i", "j"), over=[(s, (s + 1) % 6) for s in range(6)])
        .emit(amplitude=sym.symbol("J", default=1.0) * i.value * j.value)
        .for_each_site("i")
        .emit(sym.write("i", -i.value), amplitude=-sym.symbol("h", default=0.7))
        .build()
    )


def hop() -> sym.SymbolicOperator:
    """Reductions, a fanout, and matrix elements that are rounded and complex."""
    i = sym.site("i").value
    return (
        sym.DOperator(sym.fock(2, 4), "hop", dtype="complex128")
        .for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 3)])
        .fanout(3)
        .where(i > 0)
        .emit(
            sym.shift("i", -1).shift("j", 1),
            amplitude=1j * sym.sqrt(i * sym.emitted("j").value),
        )
        .globally()
        .emit(amplitude=sym.sum_(sym.sqrt(sym.here)))
        .build()
    )


def artifact_of(operator: sym.SymbolicOperator) -> sym.SymbolicCompiledArtifact:
    return sym.SymbolicCompiler().compile(operator)


def reloaded(path: Path) -> Any:
    return jax.export.deserialize(bytearray(path.read_bytes()))


def assert_same_bits(found: Any, expected: Any) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


@pytest.mark.parametrize("build", [tfim, hop])
def test_any_number_of_samples(build: Any, tmp_path: Path) -> None:
    artifact, path = artifact_of(build()), tmp_path / "kernel"
    artifact.export(path, chunk=CHUNK)
    exported = reloaded(path)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    compiled: Any = artifact.compiled_operator
    parameters = {name: value + 0.25 for name, value in compiled.parameters.items()}
    for samples in (1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK):
        x = build().space.random_states(samples, samples)
        expected = compiled.replace(**parameters).get_conn_padded(x)
        assert_same_bits(exported.call(x, parameters), expected)


def test_a_fixed_number_of_samples(tmp_path: Path) -> None:
    artifact, path = artifact_of(tfim()), tmp_path / "kernel"
    artifact.export(path, batch=3, dtype="float32", platforms=["cpu"])
    exported = reloaded(path)
    assert exported.platforms == ("cpu",)
    x = tfim().space.random_states(3, 0).astype(np.float32)
    expected = artifact.compiled_operator.get_conn_padded(x)
    assert_same_bits(exported.call(x, {"J": 1.0, "h": 0.7}), expected)
    with pytest.raises(ValueError, match="2"):
        exported.call(x[:2], {"J": 1.0, "h": 0.7})


def test_its_arguments_have_names_and_dtypes(tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    artifact_of(tfim()).export(path, batch="samples", dtype=np.int32)
    exported = reloaded(path)
    # The leaves of (x, parameters), these in the order of their names.
    assert [str(aval) for aval in exported.in_avals] == [
        "int32[samples,6]",
        "float64[]",
        "float64[]",
    ]
    with pytest.raises(ValueError, match="structure"):
        exported.call(np.ones((2, 6), np.int32), {"J": 1.0})


def test_no_samples_are_refused_rather_than_wrong(tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    artifact_of(tfim()).export(path)
    with pytest.raises(ValueError, match="Expected value >= 1"):
        reloaded(path).call(np.ones((0, 6), np.int8), {"J": 1.0, "h": 0.7})


PROGRAM = """
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

OURS = ("symir", "dialects", "lowering", "xdsl", "xdsl_jax")

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in OURS:
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())

import jax
import jax.export
import numpy as np

jax.config.update("jax_enable_x64", True)
folder = Path(sys.argv[1])
kernel = jax.export.deserialize(bytearray((folder / "kernel").read_bytes()))
for samples in (2, 7):
    x = np.load(folder / f"x{samples}.npy")
    xp, mels = jax.jit(kernel.call)(x, {"J": 1.5, "h": 0.25})
    np.save(folder / f"xp{samples}.npy", xp)
    np.save(folder / f"mels{samples}.npy", mels)
assert not [name for name in sys.modules if name.partition(".")[0] in OURS]
"""


def test_a_process_without_symir_runs_it(tmp_path: Path) -> None:
    operator = tfim()
    artifact = artifact_of(operator)
    artifact.export(tmp_path / "kernel", chunk=CHUNK)
    inputs = {n: operator.space.random_states(n, n) for n in (2, 7)}
    for samples, x in inputs.items():
        np.save(tmp_path / f"x{samples}.npy", x)
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], check=True)
    compiled: Any = artifact.compiled_operator
    bound = compiled.replace(J=1.5, h=0.25)
    for samples, x in inputs.items():
        found = [np.load(tmp_path / f"{name}{samples}.npy") for name in ("xp", "mels")]
        assert_same_bits(found, bound.get_conn_padded(x))


# region What cannot be exported


def code_of(path: Path, **options: Any) -> str:
    with pytest.raises(SymbolicCompilerError) as caught:
        artifact_of(tfim()).export(path, **options)
    assert caught.value.operator == "tfim"
    assert caught.value.expected
    assert not path.exists()
    return caught.value.code


@pytest.mark.parametrize(
    "options",
    [
        {"batch": 0},
        {"batch": -1},
        {"batch": True},
        {"batch": 2.0},
        {"batch": ""},
        {"batch": "2*b"},
        {"batch": "b, c"},
        {"batch": "mod"},
        {"chunk": 0},
        {"chunk": "all"},
        {"platforms": ()},
        {"platforms": "cpu"},
        {"platforms": ("abacus",)},
        {"dtype": "numbers"},
    ],
)
def test_arguments_that_cannot_be(options: dict[str, Any], tmp_path: Path) -> None:
    assert code_of(tmp_path / "kernel", **options) == "C025"


def test_a_dtype_that_cannot_hold_the_values(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="R002"):
        artifact_of(tfim()).export(tmp_path / "kernel", dtype=np.uint8)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert code_of(tmp_path / "none" / "kernel") == "C015"


def test_the_reference_backend_has_no_kernel(tmp_path: Path) -> None:
    artifact = sym.SymbolicCompiler().compile(
        tfim(), {"backend_preference": "reference"}
    )
    with pytest.raises(SymbolicCompilerError, match="C024"):
        artifact.export(tmp_path / "kernel")


def test_the_serialiser_of_jax_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serialize(*arguments: Any) -> None:
        raise ImportError("Please install 'flatbuffers'")

    monkeypatch.setattr(jax.export.Exported, "serialize", serialize)
    assert code_of(tmp_path / "kernel") == "C024"


# endregion
