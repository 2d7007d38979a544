"""Files of artifacts: what is loaded is what was saved, or an error says why not."""

from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import netket as nk
import numpy as np
import pytest

import symir as sym
from dialects.text import print_module
from symir.compiler import OPERATOR_PIPELINE, JAXSymbolicLowerer, signature
from symir.compiler.archive import ArtifactFile, load_artifact
from symir.runtime.kernel import Kernel
from symir.runtime.operator import CompiledOperator
from tests.unit.symir.compiler.doubles import NotingLowerer, field
from tests.unit.symir.constructs import CONSTRUCTS
from tests.unit.symir.test_without_jax import BLOCKED, run

SAMPLE = sorted(CONSTRUCTS)[::4]


def compiled(operator: sym.SymbolicOperator, **options: Any) -> Any:
    return sym.SymbolicCompiler().compile(operator, options)


def data_of(**options: Any) -> bytes:
    return ArtifactFile.of(compiled(field(), **options)).to_bytes()


def loaded(data: bytes) -> sym.SymbolicCompiledArtifact:
    return ArtifactFile.from_bytes(data).artifact()


def results(artifact: Any, n: int = 16) -> tuple[Any, Any]:
    x = artifact.operator_ir.space.random_states(n, 0)
    xp, mels = artifact.compiled_operator.get_conn_padded(x)
    return np.asarray(xp), np.asarray(mels)


def assert_bit_equal(one: Any, other: Any) -> None:
    for left, right in zip(results(one), results(other), strict=True):
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert left.tobytes() == right.tobytes()


def resealed(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Change the members of a file, by somebody who takes care of its last digest."""
    file = ArtifactFile.from_bytes(data)
    parts: dict[str, Any] = {
        "manifest": json.loads(json.dumps(file.manifest)),
        "sym": file.sym,
        "bt": file.bt,
    }
    change(parts)
    return ArtifactFile(**parts).to_bytes()


def redigested(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Change the members of a file, by somebody who takes care of all digests."""

    def changed(parts: dict[str, Any]) -> None:
        change(parts)
        texts = {"sym.mlir": parts["sym"], "bt.mlir": parts["bt"]}
        parts["manifest"]["digests"] = {
            name: signature.hashlib.sha256(text.encode()).hexdigest()
            for name, text in texts.items()
            if text is not None
        }

    return resealed(data, changed)


def rejected(data: bytes) -> sym.SymbolicCompilerError:
    with pytest.raises(sym.SymbolicCompilerError) as caught:
        loaded(data)
    return caught.value


# region Round trips


@pytest.mark.parametrize("name", SAMPLE)
def test_constructs_come_back(name: str) -> None:
    artifact = compiled(CONSTRUCTS[name](3))
    back = loaded(ArtifactFile.of(artifact).to_bytes())
    assert back.operator_ir == artifact.operator_ir
    assert back.branch_tensors is not None
    assert back.branch_tensors.is_structurally_equivalent(artifact.branch_tensors)
    assert back.pass_reports == artifact.pass_reports
    assert back.metadata == artifact.metadata
    assert back.manifest() == artifact.manifest()
    assert (back.options, back.lowering) == (artifact.options, artifact.lowering)
    assert back.compiled_operator.hilbert == artifact.compiled_operator.hilbert


@pytest.mark.parametrize("backend", ["jax", "reference"])
@pytest.mark.parametrize("name", SAMPLE[::7])
def test_results_are_equal_bit_by_bit(name: str, backend: str, tmp_path: Path) -> None:
    artifact = compiled(CONSTRUCTS[name](3), backend_preference=backend)
    artifact.save(tmp_path / "artifact")
    back = load_artifact(str(tmp_path / "artifact"))
    assert back.backend == backend
    assert type(back.compiled_operator) is type(artifact.compiled_operator)
    assert_bit_equal(artifact, back)


def test_loaded_kernels_are_equal_to_each_other_only_where_their_ir_is() -> None:
    data = data_of()
    one, two = loaded(data).compiled_operator, loaded(data).compiled_operator
    unfolded = OPERATOR_PIPELINE.replace("canonicalize,", "")
    other = loaded(data_of(lowering=unfolded)).compiled_operator
    kernels: list[Any] = [one, two, other]
    assert len({compiled.kernel for compiled in kernels}) == 2


def test_parameters_can_be_replaced_after_loading() -> None:
    artifact = compiled(field())
    back = loaded(ArtifactFile.of(artifact).to_bytes())
    one = replace(artifact, compiled_operator=artifact.compiled_operator.replace(h=3.0))
    two = replace(back, compiled_operator=back.compiled_operator.replace(h=3.0))
    assert_bit_equal(one, two)
    assert (results(one)[1] != results(artifact)[1]).any()


def test_loading_runs_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_of()

    def fail(*arguments: object, **options: object) -> None:
        pytest.fail("a pass has run")

    monkeypatch.setattr("symir.compiler.lowering.LoweringPipeline.run", fail)
    monkeypatch.setattr("symir.compiler.passes.AbstractSymbolicPass.execute", fail)
    assert loaded(data).operator_name == "field"


def test_the_file_is_a_zip_archive_of_text(tmp_path: Path) -> None:
    artifact = compiled(field())
    artifact.save(tmp_path / "artifact.zip")
    with zipfile.ZipFile(tmp_path / "artifact.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", "sym.mlir", "bt.mlir"]
        manifest = json.loads(archive.read("manifest.json"))
        text = archive.read("sym.mlir").decode()
    assert sym.SymbolicOperatorIR.from_text(text) == artifact.operator_ir
    assert manifest["toolchain"] == signature.toolchain()
    assert manifest["cache_key"]["token"] == artifact.cache_token()
    assert set(manifest["digests"]) == {"sym.mlir", "bt.mlir"}


def test_sequences_of_metadata_come_back_as_tuples() -> None:
    facts = {"run": [1, (2.5, None)], "by": {"a": "x", "b": np.int64(3)}, "inf": np.inf}
    artifact = sym.SymbolicCompiler().compile(field(), metadata=facts)
    back = loaded(ArtifactFile.of(artifact).to_bytes())
    assert back.metadata["run"] == (1, (2.5, None))
    assert back.metadata["by"] == {"a": "x", "b": 3}
    assert back.metadata["inf"] == np.inf
    assert back.metadata["fusion_groups"] == artifact.metadata["fusion_groups"]


# endregion
# region Damage


def test_no_byte_can_be_flipped() -> None:
    data = data_of()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        with pytest.raises(sym.SymbolicCompilerError) as caught:
            ArtifactFile.from_bytes(bytes(changed))
        assert caught.value.code == "C016"
        assert caught.value.found


def test_no_byte_can_be_missing_or_added() -> None:
    data = data_of()
    for end in range(len(data)):
        with pytest.raises(sym.SymbolicCompilerError, match="damaged"):
            ArtifactFile.from_bytes(data[:end])
    assert rejected(data + b"0").code == "C016"


@pytest.mark.parametrize(
    "data", [b"", b"garbage", b"PK\x05\x06" + bytes(18), b"0" * 64]
)
def test_garbage_is_no_artifact(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(sym.SymbolicCompilerError, match="file") as caught:
        load_artifact(tmp_path / "file")
    assert caught.value.code == "C016"
    assert caught.value.found


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(pickle.dumps(compiled(field()).operator_ir))
    with pytest.raises(sym.SymbolicCompilerError):
        load_artifact(tmp_path / "file")


def test_a_zip_archive_of_something_else_is_no_artifact() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "b")
        archive.comment = b"0" * 64
    content = stream.getvalue()[:-64]
    digest = signature.hashlib.sha256(content).hexdigest().encode()
    assert "manifest.json" in (rejected(content + digest).found or "")


def test_members_have_the_digests_of_the_manifest() -> None:
    def change(parts: dict[str, Any]) -> None:
        parts["bt"] = parts["bt"].replace("negate", "abs")

    error = rejected(resealed(data_of(), change))
    assert "digests" in (error.found or "")


REWRITTEN: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another operator": (
        lambda parts: parts.update(sym=parts["sym"].replace("negate", "abs")),
        "fingerprint",
    ),
    "sym that does not parse": (lambda parts: parts.update(sym="sym.x"), "sym.mlir"),
    "sym that does not verify": (
        lambda parts: parts.update(sym="builtin.module {}"),
        "sym.mlir",
    ),
    "bt that does not parse": (lambda parts: parts.update(bt="func.x"), "ParseError"),
    "no bt": (lambda parts: parts.update(bt=None), "bt.mlir"),
    "no metadata": (lambda parts: parts["manifest"].pop("metadata"), "KeyError"),
    "another backend": (
        lambda parts: parts["manifest"].update(backend="gpu"),
        "gpu",
    ),
    "odd options": (
        lambda parts: parts["manifest"].update(options={"speed": 3}),
        "speed",
    ),
    "odd reports": (
        lambda parts: parts["manifest"].update(passes=[{"name": "x"}]),
        "TypeError",
    ),
}


@pytest.mark.parametrize("name", REWRITTEN)
def test_a_rewritten_file_is_checked_as_far_as_can_be(name: str) -> None:
    change, reason = REWRITTEN[name]
    error = rejected(redigested(data_of(), change))
    assert error.code == "C016"
    assert reason in (error.found or "")


def test_another_format_is_told_from_damage() -> None:
    def change(parts: dict[str, Any]) -> None:
        parts["manifest"]["format"] = 2

    error = rejected(resealed(data_of(), change))
    assert (error.code, error.expected, error.found) == ("C018", "format 1", "format 2")


# endregion
# region Spaces and precisions


def test_a_space_with_predicates_is_given_back_by_the_user(tmp_path: Path) -> None:
    space = sym.qubit(4).where(sym.site(0) == sym.site(3))
    operator = (
        sym.DOperator(space, "flips", projected=True)
        .for_each_site("i")
        .emit(sym.flip("i"))
        .build()
    )
    artifact = compiled(operator)
    artifact.save(tmp_path / "artifact")
    assert load_artifact(tmp_path / "artifact").compiled_operator.hilbert != space
    back = load_artifact(tmp_path / "artifact", space)
    assert back.compiled_operator.hilbert is space
    assert_bit_equal(artifact, back)


def test_a_hilbert_space_of_netket_is_kept_as_it_is(tmp_path: Path) -> None:
    hilbert = nk.hilbert.Spin(0.5, 4)
    compiled(field()).save(tmp_path / "artifact")
    back = load_artifact(tmp_path / "artifact", hilbert)
    assert back.compiled_operator.hilbert is hilbert


def test_another_space_is_an_error(tmp_path: Path) -> None:
    compiled(field()).save(tmp_path / "artifact")
    with pytest.raises(sym.DefinitionError, match="another space") as caught:
        load_artifact(tmp_path / "artifact", sym.qubit(4))
    assert caught.value.code == "D031"


def test_an_artifact_of_64_bits_needs_them() -> None:
    data = data_of()
    with jax.enable_x64(False):
        assert rejected(data).code == "C004"
        single = data_of()
        assert results(loaded(single))[1].dtype == np.float32


def test_only_kernels_need_jax(tmp_path: Path) -> None:
    for backend in ("jax", "reference"):
        artifact = compiled(field(), backend_preference=backend)
        artifact.save(tmp_path / backend)
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
# region Other toolchains


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Make files as another version of symir would."""
    versions = {**signature.toolchain(), "symir": "0.0.1"}
    monkeypatch.setattr("symir.compiler.manifest.toolchain", lambda: versions)
    return versions


@pytest.mark.parametrize("backend", ["jax", "reference"])
def test_an_artifact_of_another_toolchain_is_compiled_anew(
    foreign: dict[str, str], backend: str, tmp_path: Path
) -> None:
    artifact = sym.SymbolicCompiler().compile(
        field(), {"backend_preference": backend}, {"run": (7,)}
    )
    artifact.save(tmp_path / "artifact")
    back = load_artifact(tmp_path / "artifact")
    assert back.metadata["recompiled_from"] == foreign
    assert back.metadata["run"] == (7,)
    assert back.backend == backend
    assert back.cache_key is None
    assert_bit_equal(artifact, back)


def test_an_artifact_of_this_toolchain_is_not(tmp_path: Path) -> None:
    compiled(field()).save(tmp_path / "artifact")
    assert "recompiled_from" not in load_artifact(tmp_path / "artifact").metadata


@pytest.mark.usefixtures("foreign")
def test_what_a_users_own_lowerer_made_cannot_be_made_anew(tmp_path: Path) -> None:
    registry = sym.SymbolicLowererRegistry([NotingLowerer([])])
    compiler = sym.SymbolicCompiler(lowerer_registry=registry)
    compiler.compile(field()).save(tmp_path / "artifact")
    with pytest.raises(sym.SymbolicCompilerError, match="noting_lowerer") as caught:
        load_artifact(tmp_path / "artifact")
    assert caught.value.code == "C018"


@pytest.mark.usefixtures("foreign")
def test_what_a_users_own_pass_made_cannot_be_made_anew(tmp_path: Path) -> None:
    artifact = replace(compiled(field()), lowering="sym-fuse-terms,my-pass")
    artifact.save(tmp_path / "artifact")
    with pytest.raises(sym.SymbolicCompilerError, match="my-pass") as caught:
        load_artifact(tmp_path / "artifact")
    assert caught.value.code == "C018"


# endregion
# region Saving


class Doubling(JAXSymbolicLowerer):
    """What it makes does not follow from the IR."""

    def lower(
        self, context: sym.SymbolicCompilationContext
    ) -> sym.SymbolicCompiledArtifact:
        artifact: Any = super().lower(context)
        twice = artifact.compiled_operator.replace(h=2.0)
        return replace(artifact, compiled_operator=twice)


def test_what_does_not_follow_from_the_ir_is_not_saved(tmp_path: Path) -> None:
    registry = sym.SymbolicLowererRegistry([Doubling()])
    artifact = sym.SymbolicCompiler(lowerer_registry=registry).compile(field())
    with pytest.raises(sym.SymbolicCompilerError, match="how to run it") as caught:
        artifact.save(tmp_path / "artifact")
    assert caught.value.code == "C017"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.zeros(2), object(), {1: 2}, 1j, b"x"])
def test_metadata_that_are_not_plain_data_are_not_saved(
    value: object, tmp_path: Path
) -> None:
    artifact = sym.SymbolicCompiler().compile(field(), metadata={"note": {"a": value}})
    with pytest.raises(sym.SymbolicCompilerError, match=r"metadata\.note\.a") as caught:
        artifact.save(tmp_path / "artifact")
    assert caught.value.code == "C017"
    assert caught.value.operator == "field"


def test_branch_tensors_that_do_not_parse_back_are_not_saved(tmp_path: Path) -> None:
    from xdsl.dialects.test import TestOp

    artifact = compiled(field())
    module = artifact.branch_tensors.clone()
    module.body.block.add_op(TestOp())
    kernel = Kernel(artifact.operator_ir, module)
    defaults, hilbert = artifact.operator_ir.defaults, artifact.operator_ir.space
    executable = CompiledOperator(kernel, defaults, hilbert)
    odd = replace(artifact, branch_tensors=module, compiled_operator=executable)
    with pytest.raises(sym.SymbolicCompilerError, match="as text") as caught:
        odd.save(tmp_path / "artifact")
    assert caught.value.code == "C017"


def test_an_executable_of_other_branch_tensors_is_not_saved(tmp_path: Path) -> None:
    artifact = compiled(field())
    passes = (
        "sym-fuse-terms,sym-guard-undefined,sym-expand-updates,sym-forward-reads,"
        "sym-guard-space,convert-sym-to-bt"
    )
    other = sym.SymbolicCompiler().compile(field(), {"lowering": passes})
    odd = replace(artifact, branch_tensors=other.branch_tensors)
    with pytest.raises(sym.SymbolicCompilerError, match="how to run it"):
        odd.save(tmp_path / "artifact")


def test_branch_tensors_that_parse_back_as_others_are_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(op: Any) -> str:
        return print_module(op).replace("negate", "abs")

    monkeypatch.setattr("symir.compiler.archive.print_module", wrong)
    with pytest.raises(sym.SymbolicCompilerError, match="something else") as caught:
        compiled(field()).save(tmp_path / "artifact")
    assert caught.value.code == "C017"


def test_a_file_that_cannot_be_written_or_read_is_named(tmp_path: Path) -> None:
    artifact = compiled(field())
    with pytest.raises(sym.SymbolicCompilerError, match="nowhere") as caught:
        artifact.save(tmp_path / "nowhere" / "artifact")
    assert caught.value.code == "C015"
    with pytest.raises(sym.SymbolicCompilerError, match="nowhere") as caught:
        load_artifact(tmp_path / "nowhere")
    assert caught.value.code == "C015"


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled(field()).save(tmp_path / "artifact")
    before = (tmp_path / "artifact").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(sym.SymbolicCompilerError, match="No space left"):
        compiled(field(), enable_fusion=False).save(tmp_path / "artifact")
    assert [file.name for file in tmp_path.iterdir()] == ["artifact"]
    assert (tmp_path / "artifact").read_bytes() == before


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
