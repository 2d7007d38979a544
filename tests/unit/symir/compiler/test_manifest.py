"""The manifest of an artifact is JSON that explains and reproduces a compilation."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import symir as sym
from symir.compiler.lowering import LoweringPipeline, run_passes
from symir.errors import SymbolicCompilerError
from symir.plain_text import as_json
from tests.unit.symir.constructs import CONSTRUCTS


def tfim() -> sym.SymbolicOperator:
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(sym.spin(0.5, 3), "tfim", dtype="complex128", hermitian=False)
        .for_each(("i", "j"), over=[(0, 1), (1, 2)])
        .emit(amplitude=i.value * j.value)
        .emit(amplitude=sym.symbol("g", default=0.5 - 1j, dtype=complex))
        .for_each_site("i")
        .fanout(2)
        .where(i.value > 0)
        .emit(sym.flip("i"), amplitude=-sym.symbol("h"))
        .build()
    )


def manifest(**options: Any) -> dict[str, Any]:
    found = sym.SymbolicCompiler().compile(tfim(), options).manifest()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def test_it_names_the_compilation() -> None:
    artifact = sym.SymbolicCompiler().compile(tfim(), {"cache_namespace": "mine"})
    found = artifact.manifest()
    assert found["operator"] == "tfim"
    assert found["fingerprint"] == tfim().to_ir().static_fingerprint()
    assert found["cache_key"] == {
        "namespace": "mine",
        "token": artifact.cache_token(),
    }
    assert (found["backend"], found["lowerer"]) == ("jax", "jax_symbolic_v1")
    assert {"symir", "jax", "xdsl", "sources"} <= set(found["toolchain"])


def test_it_has_the_options_in_effect() -> None:
    found = manifest(enable_fusion=False, cache_enabled=False)
    defaults = sym.SymbolicCompilerOptions().as_dict()
    expected = {**defaults, "enable_fusion": False, "cache_enabled": False}
    assert found["options"] == expected
    assert found["cache_key"] is None
    again = sym.SymbolicCompilerOptions.from_mapping(found["options"])
    assert again.as_dict() == expected


def test_it_has_the_passes_with_their_stages() -> None:
    passes = manifest()["passes"]
    stages = [one["stage"] for one in passes]
    assert list(dict.fromkeys(stages)) == ["pre-cache", "post-cache", "lowering"]
    assert all(one["duration_ms"] >= 0 for one in passes)
    lowered = [one for one in passes if one["stage"] == "lowering"]
    assert all(one["ops_before"] > 0 and one["ops_after"] > 0 for one in lowered)
    for one, other in pairwise(lowered):
        assert one["ops_after"] == other["ops_before"]


def test_its_lowering_reproduces_the_branch_tensors() -> None:
    artifact = sym.SymbolicCompiler().compile(tfim())
    lowering = artifact.manifest()["lowering"]
    again = run_passes(tfim().to_ir().module, lowering)
    assert artifact.branch_tensors is not None
    assert again.is_structurally_equivalent(artifact.branch_tensors)


def test_a_lowering_of_the_users_is_in_it() -> None:
    own = str(LoweringPipeline.parse(f"canonicalize,{manifest()['lowering']}"))
    assert manifest(lowering=own)["lowering"] == own


def test_it_has_the_layout_of_inputs_and_outputs() -> None:
    found = manifest()
    assert found["total_padded_size"] == 6
    assert found["inputs"] == [
        {"name": "x", "shape": ["batch", 3], "dtype": "int8", "bytes_per_sample": 3},
        {"name": "g", "shape": [], "dtype": "complex128", "bytes_per_sample": 0},
        {"name": "h", "shape": [], "dtype": "float64", "bytes_per_sample": 0},
    ]
    assert found["outputs"] == [
        {
            "name": "xp",
            "shape": ["batch", 6, 3],
            "dtype": "int8",
            "bytes_per_sample": 18,
        },
        {
            "name": "mels",
            "shape": ["batch", 6],
            "dtype": "complex128",
            "bytes_per_sample": 96,
        },
    ]
    assert found["parameters"] == [
        {"name": "g", "dtype": "complex128", "default": {"real": 0.5, "imag": -1.0}},
        {"name": "h", "dtype": "float64", "default": None},
    ]


@pytest.mark.parametrize("name", ["update: swap", "predicate: several where"])
def test_its_layout_is_that_of_the_results(name: str) -> None:
    artifact = sym.SymbolicCompiler().compile(CONSTRUCTS[name](3))
    x = artifact.operator_ir.space.random_states(5, 0)
    results = artifact.compiled_operator.get_conn_padded(x)
    found = artifact.manifest()
    for layout, array in zip(
        (*found["inputs"], *found["outputs"]), (x, *results), strict=True
    ):
        assert [5, *layout["shape"][1:]] == list(array.shape)
        assert layout["shape"][0] == "batch"
        assert layout["dtype"] == str(array.dtype)
        assert 5 * layout["bytes_per_sample"] == array.nbytes


def test_it_has_the_lanes_of_each_term() -> None:
    found = manifest()
    assert found["terms"] == [
        {"name": "term0", "rows": 2, "emissions": 2, "fanout": None, "lanes": 4},
        {"name": "term1", "rows": 3, "emissions": 1, "fanout": 2, "lanes": 2},
    ]
    assert found["metadata"]["fusion_groups"] == [["term0"], ["term1"]]
    assert found["metadata"]["term_fanouts"] == {"term0": 4, "term1": 2}


def test_the_reference_backend_has_one() -> None:
    found = manifest(backend_preference="reference")
    assert found["lowering"] is None
    assert found["backend"] == "reference"
    assert found["options"]["backend_preference"] == "reference"


def test_metadata_of_the_caller_is_in_it_as_far_as_json_goes() -> None:
    note = {
        "array": np.float64(2),
        ("a", 1): {1, 2},
        "inf": np.inf,
        "odd": range(3),
    }
    artifact = sym.SymbolicCompiler().compile(tfim(), None, {"note": note})
    found = artifact.manifest()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["metadata"]["note"] == {
        "array": 2.0,
        "('a', 1)": [1, 2],
        "inf": "inf",
        "odd": "range(0, 3)",
    }


@pytest.mark.parametrize("value", [None, True, 1, 0.5, "x", [1, [2]], {"a": {"b": 1}}])
def test_plain_data_stay_as_they_are(value: object) -> None:
    assert as_json(value) == value
    assert type(as_json(value)) is type(value)


def test_a_lowerer_that_says_nothing_has_no_options() -> None:
    ir = tfim().to_ir()
    compiled = sym.SymbolicCompiler().compile_operator(
        tfim(), {"backend_preference": "reference"}
    )
    artifact = sym.SymbolicCompiledArtifact(ir, None, compiled, "mine", "mine_v1")
    found = artifact.manifest()
    assert (found["options"], found["lowering"], found["passes"]) == (None, None, [])
    with pytest.raises(SymbolicCompilerError, match="C011"):
        artifact.cache_token()
