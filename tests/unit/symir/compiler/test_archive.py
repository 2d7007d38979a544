"""Files of artifacts: what is loaded is what was saved, or an error says why not."""

from __future__ import annotations

import copy
import json
import os
import pickle
import stat
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import netket as nk
import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects import test
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

import symir as sym
from symir.compiler import (
    OPERATOR_PIPELINE,
    JAXSymbolicLowerer,
    LoweringPipeline,
    archive,
    signature,
)
from symir.compiler.archive import load_artifact
from symir.runtime.compiled_operator import CompiledOperator
from symir.runtime.kernel import Kernel
from tests.unit.symir.compiler.doubles import NotingLowerer, field
from tests.unit.symir.constructs import CONSTRUCTS, check_together, in_one_space
from tests.unit.symir.test_without_jax import BLOCKED, run

SAMPLE = sorted(CONSTRUCTS)[::4]
SPACES = in_one_space(3, SAMPLE)


def compiled(operator: sym.SymbolicOperator, **options: Any) -> Any:
    return sym.SymbolicCompiler().compile(operator, options)


def loaded(data: bytes, path: Path) -> sym.SymbolicCompiledArtifact:
    path.write_bytes(data)
    return load_artifact(path)


def results(artifact: Any, n: int = 16) -> tuple[Any, Any]:
    x = artifact.operator_ir.space.random_states(n, 0)
    xp, mels = artifact.compiled_operator.get_conn_padded(x)
    return np.asarray(xp), np.asarray(mels)


def assert_bit_equal(one: Any, other: Any) -> None:
    for left, right in zip(results(one), results(other), strict=True):
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert left.tobytes() == right.tobytes()


@pytest.fixture(scope="module")
def artifact() -> Any:
    return compiled(field())


@pytest.fixture(scope="module")
def data(artifact: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("artifact") / "field.symir"
    artifact.save(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "artifact"


def sealed(content: bytes) -> bytes:
    return content + archive._seal(content)


def forged(data: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """Change the parts of a file, and write the digest of what it has become."""
    lines = data.decode().splitlines()[1:-1]
    header = [line for line in lines if line.startswith("//")]
    parts: dict[str, Any] = json.loads("\n".join(line[2:] for line in header))
    parts["text"] = "\n".join(lines[len(header) :])
    change(parts)
    text = parts.pop("text")
    return sealed(archive._FIRST + f"// {json.dumps(parts)}\n{text}\n".encode())


def rejected(data: bytes, path: Path) -> sym.SymbolicCompilerError:
    with pytest.raises(sym.SymbolicCompilerError) as caught:
        loaded(data, path)
    assert str(path) in str(caught.value)
    return caught.value


# region Round trips


@pytest.mark.parametrize("space", SPACES)
def test_constructs_come_back(space: str, path: Path) -> None:
    """All constructs of a space are terms of one operator."""
    check_together(SPACES[space], lambda total: assert_comes_back(total, path))


def assert_comes_back(operator: sym.SymbolicOperator, path: Path) -> None:
    artifact = compiled(operator)
    artifact.save(path)
    back = load_artifact(path)
    assert back.operator_ir == artifact.operator_ir
    assert back.branch_tensors is not None
    assert back.branch_tensors.is_structurally_equivalent(artifact.branch_tensors)
    assert back.branch_layout() == artifact.branch_layout()
    assert back.metadata == artifact.metadata
    assert (back.options, back.lowering) == (artifact.options, artifact.lowering)
    assert back.cache_key == artifact.cache_key
    assert back.compiled_operator.hilbert == artifact.compiled_operator.hilbert
    assert back.operator_ir.defaults == artifact.operator_ir.defaults


@pytest.mark.parametrize("backend", ["jax", "reference"])
@pytest.mark.parametrize("name", SAMPLE[::7])
def test_results_are_equal_bit_by_bit(name: str, backend: str, path: Path) -> None:
    artifact = compiled(CONSTRUCTS[name](3), backend_preference=backend)
    artifact.save(path)
    back = load_artifact(str(path))
    assert back.backend == backend
    assert type(back.compiled_operator) is type(artifact.compiled_operator)
    assert_bit_equal(artifact, back)


def test_a_loaded_kernel_shares_the_executable_of_an_equal_one(path: Path) -> None:
    options = {"coalesce": "diagonal", "opt_level": 3, "without": ("bt-prune",)}
    artifact = compiled(field(), **options)
    artifact.save(path)
    back: Any = load_artifact(path)
    assert back.options == artifact.options
    assert back.compiled_operator.kernel == artifact.compiled_operator.kernel
    assert back.compiled_operator.kernel != compiled(field()).compiled_operator.kernel


def test_the_file_is_text_that_every_tool_reads(data: bytes, artifact: Any) -> None:
    assert sym.SymbolicOperatorIR.from_text(data.decode()) == artifact.operator_ir
    assert b"bt." not in data
    assert signature.toolchain()["sources"].encode() in data


def test_functions_that_were_registered_need_not_be_known(path: Path) -> None:
    with sym.extensions():
        scaled = sym.register_function("scaled", lambda x: 3.0 * x)
        builder = sym.DOperator(sym.qubit(3), "scaled").for_each_site("i")
        artifact = compiled(builder.emit(amplitude=scaled(sym.site("i").value)).build())
        artifact.save(path)
    back = load_artifact(path)
    assert back.operator_ir == artifact.operator_ir
    assert_bit_equal(back, artifact)


def test_sequences_of_metadata_come_back_as_tuples(path: Path) -> None:
    facts = {"run": [1, (2.5, None)], "by": {"a": "x", "b": np.int64(3)}, "inf": np.inf}
    artifact = sym.SymbolicCompiler().compile(field(), {"validate": "sampled"}, facts)
    artifact.save(path)
    back = load_artifact(path)
    assert back.metadata["run"] == (1, (2.5, None))
    assert back.metadata["by"] == {"a": "x", "b": 3}
    assert back.metadata["inf"] == np.inf
    assert back.metadata["fusion_groups"] == artifact.metadata["fusion_groups"]
    assert back.metadata["validation"] == artifact.metadata["validation"]


def test_a_lowering_of_ones_own_comes_back(path: Path) -> None:
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.lowering = LoweringPipeline.parse(
        OPERATOR_PIPELINE.replace("canonicalize,", "")
    )
    artifact = sym.SymbolicCompiler(pipeline=pipeline).compile(field())
    artifact.save(path)
    back = load_artifact(path)
    assert back.lowering == artifact.lowering != compiled(field()).lowering
    assert_bit_equal(back, artifact)


# endregion
# region Damage and forgery


def test_no_byte_can_be_flipped(data: bytes) -> None:
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        with pytest.raises(sym.SymbolicCompilerError) as caught:
            archive._opened(bytes(changed))
        # Two bytes of the first line say which format it is
        assert caught.value.code in ("C016", "C018")
        assert caught.value.found


def test_no_byte_can_be_missing_or_added(data: bytes) -> None:
    for end in range(len(data)):
        with pytest.raises(sym.SymbolicCompilerError, match=r"damaged|format"):
            archive._opened(data[:end])
    with pytest.raises(sym.SymbolicCompilerError, match="damaged"):
        archive._opened(data + b"0")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "C016"),
        (b"garbage", "C016"),
        (pickle.dumps(sym.spin(0.5, 4)), "C016"),
        (sealed(b"// anything\n"), "C016"),
        (b"PK\x03\x04" + bytes(18), "C018"),
        (sealed(b"// symir artifact, format 3\n"), "C018"),
        (archive._FIRST, "C016"),
        (sealed(archive._FIRST), "C016"),
        (sealed(archive._FIRST + b"// {}\n"), "C016"),
        (sealed(archive._FIRST + b"// " + b"[" * 100_000 + b"\n"), "C016"),
        (sealed(archive._FIRST + b"// " + b"9" * 100_000 + b"\n"), "C016"),
        (sealed(archive._FIRST + b"// {}\n\xff\n"), "C016"),
    ],
    ids=range(12),
)
def test_garbage_is_no_artifact(content: bytes, code: str, path: Path) -> None:
    error = rejected(content, path)
    assert error.code == code
    assert error.found


def of_options(**options: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda parts: parts["options"].update(options)


FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], Any], str, str]] = {
    "no IR": (lambda parts: parts.update(text=""), "C016", "D028"),
    "IR that does not parse": (lambda parts: parts.update(text="sym.x"), "C016", "sym"),
    "IR of no operator": (
        lambda parts: parts.update(text="builtin.module {}"),
        "C016",
        "D030",
    ),
    "IR that does not verify": (
        lambda parts: parts.update(text=parts["text"].replace("<4 x", "<2 x")),
        "C016",
        "D029",
    ),
    "branch tensors": (
        lambda parts: parts.update(text=compiled(field()).ir("bt")),
        "C016",
        "D030",
    ),
    "deep metadata": (
        lambda parts: parts["metadata"].update(a=json.loads("[" * 900 + "]" * 900)),
        "C016",
        "RecursionError",
    ),
    "deep IR": (lambda parts: parts.update(text="[" * 100_000), "C016", "D028"),
    "no metadata": (lambda parts: parts.pop("metadata"), "C016", "metadata"),
    "one more": (lambda parts: parts.update(cache_key=[]), "C016", "metadata"),
    "metadata of numbers": (lambda parts: parts.update(metadata=1), "C016", "metadata"),
    "options in a list": (lambda parts: parts.update(options=[]), "C016", "options"),
    "another toolchain": (lambda parts: parts.update(toolchain=""), "C016", "toolch"),
    "an unknown option": (of_options(speed=3), "C018", "speed"),
    "a bad option": (of_options(opt_level=[]), "C018", "opt_level"),
    "another backend": (of_options(backend_preference="gpu"), "C018", "gpu"),
    "no pipeline": (of_options(lowering="cse,my-pass"), "C018", "my-pass"),
    "a text for a flag": (of_options(cache_enabled="no"), "C018", "cache_enabled"),
    "a number for a pass": (of_options(without=[1]), "C018", "without"),
    "a lowering that stops": (of_options(lowering="cse"), "C009", "sym.operator"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_file_is_an_error(name: str, data: bytes, path: Path) -> None:
    change, code, found = FORGERIES[name]
    error = rejected(forged(data, change), path)
    assert error.code == code
    assert found in (error.found or "")


def test_an_error_of_the_operator_names_the_line_of_the_file(
    data: bytes, path: Path
) -> None:
    changed = data.decode().replace("sym.read %x[%j]", "sym.read %x[%k]")
    error = rejected(sealed(changed.rpartition("// sha256")[0].encode()), path)
    line = changed.splitlines().index("    %x_j = sym.read %x[%k] : tensor<f64>") + 1
    assert error.location is not None
    assert (error.location.file, error.location.line) == (str(path), line)


def test_a_file_runs_no_program(data: bytes, tmp_path: Path, path: Path) -> None:
    """xDSL has a pass that runs what its option `executable` names."""
    program, proof = tmp_path / "program", tmp_path / "proof"
    program.write_text(f"#!/bin/sh\ntouch {proof}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    passes = f'mlir-opt{{executable="{program}"}},{OPERATOR_PIPELINE}'
    error = rejected(forged(data, of_options(lowering=passes)), path)
    assert (error.code, proof.exists()) == ("C018", False)
    assert "mlir-opt" in (error.found or "")


# endregion
# region Files


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def oversized(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(archive.LARGEST + 1)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (fifo, "no regular file"),
        (folder, "no regular file"),
        (device, "no regular file"),
        (oversized, "67,108,865 bytes"),
        (lambda path: None, "No such file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
    ],
    ids=["fifo", "folder", "device", "oversized", "missing", "loop"],
)
def test_what_is_no_file_is_not_opened(
    make: Callable[[Path], None], found: str, path: Path
) -> None:
    make(path)
    with pytest.raises(sym.SymbolicCompilerError, match=str(path)) as caught:
        load_artifact(path)
    assert caught.value.code == "C015"
    assert found in (caught.value.found or "")
    assert "67,108,864 bytes" in (caught.value.expected or "")
    assert not archive.is_artifact(path)


def test_a_name_that_no_file_has() -> None:
    with pytest.raises(sym.SymbolicCompilerError, match="null byte") as caught:
        load_artifact("a\0b")
    assert caught.value.code == "C015"


@pytest.mark.parametrize("repeated", [b"[],", b"\n//"])
def test_what_a_file_takes_in_memory_is_bounded(repeated: bytes, path: Path) -> None:
    text = b"// [" + repeated * (archive.LARGEST // 4) + b"\n"
    path.write_bytes(sealed(archive._FIRST + text))
    tracemalloc.start()
    try:
        with pytest.raises(sym.SymbolicCompilerError, match="C016"):
            load_artifact(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * archive.LARGEST
    finally:
        tracemalloc.stop()


def test_a_file_that_cannot_be_written_is_named(artifact: Any, tmp_path: Path) -> None:
    with pytest.raises(sym.SymbolicCompilerError, match="nowhere") as caught:
        artifact.save(tmp_path / "nowhere" / "artifact")
    assert caught.value.code == "C015"


def test_a_write_that_fails_leaves_the_old_file(
    artifact: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(sym.SymbolicCompilerError, match="No space left"):
        artifact.save(path)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text() == "before"


# endregion
# region Spaces and precisions


def test_a_space_with_predicates_is_given_back_by_the_user(path: Path) -> None:
    space = sym.qubit(4).where(sym.site(0) == sym.site(3))
    operator = (
        sym.DOperator(space, "flips", projected=True)
        .for_each_site("i")
        .emit(sym.flip("i"))
        .build()
    )
    artifact = compiled(operator)
    artifact.save(path)
    assert load_artifact(path).compiled_operator.hilbert != space
    back = load_artifact(path, space)
    assert back.compiled_operator.hilbert is space
    assert_bit_equal(artifact, back)


def test_a_hilbert_space_of_netket_is_kept_as_it_is(data: bytes, path: Path) -> None:
    hilbert = nk.hilbert.Spin(0.5, 4)
    path.write_bytes(data)
    back = load_artifact(path, hilbert)
    assert back.compiled_operator.hilbert is hilbert
    back.save(path)
    assert path.read_bytes() == data


def test_another_space_is_an_error(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    with pytest.raises(sym.DefinitionError, match="another space") as caught:
        load_artifact(path, sym.qubit(4))
    assert caught.value.code == "D031"


def test_an_artifact_of_64_bits_needs_them(data: bytes, path: Path) -> None:
    with jax.enable_x64(False):
        assert rejected(data, path).code == "C004"
        with pytest.warns(sym.PrecisionWarning):
            compiled(field()).save(path)
        assert results(load_artifact(path))[1].dtype == np.float32
    assert results(load_artifact(path))[1].dtype == np.float32


def test_only_kernels_need_jax(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "jax").write_bytes(data)
    artifact = compiled(field(), backend_preference="reference")
    artifact.save(tmp_path / "reference")
    program = f"""
import symir as sym
artifact = sym.load_artifact({str(tmp_path / "reference")!r})
xp, mels = artifact.compiled_operator.get_conn_padded([[1, 1, 1, 1]])
print(mels.tolist())
sym.load_artifact({str(tmp_path / "jax")!r})
"""
    result = run(BLOCKED + program)
    expected = artifact.compiled_operator.get_conn_padded([[1, 1, 1, 1]])[1].tolist()
    assert result.stdout.strip() == str(expected)
    assert "[C005]" in result.stderr


# endregion
# region What a file would not give back


class Doubling(JAXSymbolicLowerer):
    """What it makes does not follow from the IR."""

    def lower(
        self, context: sym.SymbolicCompilationContext
    ) -> sym.SymbolicCompiledArtifact:
        artifact: Any = super().lower(context)
        twice = artifact.compiled_operator.replace(h=2.0)
        return replace(artifact, compiled_operator=twice)


@dataclass(frozen=True)
class Swapped(ModulePass):
    """Leaves the lanes of branch tensors in another order than symir's own passes."""

    name = "cse"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for one in op.walk():
            if one.name == "stablehlo.add":
                one.operands = one.operands[::-1]


def by(lowerer: JAXSymbolicLowerer) -> Any:
    registry = sym.SymbolicLowererRegistry([lowerer])
    return sym.SymbolicCompiler(lowerer_registry=registry).compile(field())


def with_pass(one: ModulePass) -> Any:
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(one, after="cse")
    builder = sym.DOperator(sym.fock(2, 3), "op").for_each_site("i")
    amplitude = sym.exp(sym.site("i").value) + sym.symbol("h", default=0.5)
    operator = builder.emit(amplitude=amplitude).build()
    return sym.SymbolicCompiler(pipeline=pipeline).compile(operator)


@dataclass(frozen=True)
class OwnPass(ModulePass):
    """A pass that no file can name."""

    name = "my-pass"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        pass


def executable_of_other_branch_tensors() -> Any:
    module = compiled(field(), lowering=OPERATOR_PIPELINE.replace("canonicalize,", ""))
    return replace(compiled(field()), branch_tensors=module.branch_tensors)


def unprintable() -> Any:
    artifact = compiled(field())
    module = artifact.branch_tensors.clone()
    module.body.block.add_op(test.TestOp())
    kernel = Kernel(artifact.operator_ir, module)
    defaults, hilbert = artifact.operator_ir.defaults, artifact.operator_ir.space
    executable = CompiledOperator(kernel, defaults, hilbert)
    return replace(artifact, branch_tensors=module, compiled_operator=executable)


def large() -> Any:
    note = {"note": "x" * archive.LARGEST_HEADER}
    return sym.SymbolicCompiler().compile(field(), metadata=note)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: by(Doubling()), "parameters {'h': 2.0}"),
        (lambda: by(NotingLowerer([])), "the lowerer noting_lowerer"),
        (lambda: with_pass(Swapped()), "branch tensors"),
        (lambda: with_pass(OwnPass()), "my-pass"),
        (executable_of_other_branch_tensors, "branch tensors"),
        (unprintable, "the executable"),
        (large, "bytes of metadata"),
    ],
    ids=["values", "lowerer", "results", "pass", "module", "kernel", "large"],
)
def test_what_would_not_come_back_is_not_saved(
    make: Callable[[], Any], found: str, path: Path
) -> None:
    artifact = make()
    with pytest.raises(sym.SymbolicCompilerError, match="cannot be saved") as caught:
        artifact.save(path)
    assert (caught.value.code, caught.value.operator) == (
        "C017",
        artifact.operator_name,
    )
    assert found in (caught.value.found or "")
    assert not path.exists()


@pytest.mark.parametrize("value", [np.zeros(2), object(), {1: 2}, 1j, b"x"])
def test_metadata_that_are_not_plain_data_are_not_saved(
    value: object, path: Path
) -> None:
    artifact = sym.SymbolicCompiler().compile(field(), metadata={"note": {"a": value}})
    with pytest.raises(sym.SymbolicCompilerError, match=r"metadata\.note\.a") as caught:
        artifact.save(path)
    assert caught.value.code == "C017"


# endregion


def test_artifacts_of_many_terms_are_pickled_and_copied() -> None:
    """Modules are ops linked to each other, which pickle follows out of its stack."""
    builder = sym.DOperator(sym.spin(0.5, 6), "many", dtype="float32")
    for k in range(60):
        builder = builder.for_each("i", over=[k % 6])
        builder = builder.emit(sym.flip("i"), amplitude=sym.site("i").value * (k + 1))
        builder = builder.for_each_site("i").emit(amplitude=float(k))
    operator = builder.build()
    artifact = sym.SymbolicCompiler().compile(operator, {"coalesce": "static"})
    x = operator.space.random_states(4, 0)
    expected = artifact.compiled_operator.get_conn_padded(x)
    for again in (pickle.loads(pickle.dumps(artifact)), copy.deepcopy(artifact)):
        assert again.ir("bt") == artifact.ir("bt")
        assert again.lane_sources() == artifact.lane_sources()
        found = again.compiled_operator.get_conn_padded(x)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
