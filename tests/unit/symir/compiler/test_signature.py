"""Cache keys: what changes them, what does not, and that they never collide."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

import symir as sym
from symir.compiler import AbstractSymbolicPass, JAXSymbolicLowerer
from symir.compiler.signature import extension_token
from tests.unit.symir.compiler.doubles import field, i
from tests.unit.symir.compiler.generated import make, recipes

ROOT = Path(__file__).parents[4]


def key_of(
    operator: sym.SymbolicOperator,
    *,
    pipeline: sym.SymbolicPassPipeline | None = None,
    lowerers: tuple[Any, ...] = (),
    **options: Any,
) -> sym.SymbolicCacheKey:
    """Return the key that a new compiler comes to, without lowering anything."""
    registry = sym.default_symbolic_lowerer_registry()
    for lowerer in lowerers:
        registry.register_first(lowerer)
    compiler = sym.SymbolicCompiler(pipeline=pipeline, lowerer_registry=registry)
    context = compiler._context(operator, options, {})
    compiler.pipeline.run_pre_cache(context)
    return compiler._key(context)


def pipeline_with(new: Any, after: str) -> sym.SymbolicPassPipeline:
    return sym.default_symbolic_pass_pipeline().insert(new, after=after)


class Custom(AbstractSymbolicPass):
    """A pass without settings."""

    name = "custom"

    def run(self, context: sym.SymbolicCompilationContext) -> None:
        """Do nothing."""


class Derived(Custom):
    """The same under the same name."""


@dataclass(frozen=True)
class Settled(AbstractSymbolicPass):
    """A pass with a setting."""

    name = "settled"
    limit: int = 1

    def run(self, context: sym.SymbolicCompilationContext) -> None:
        """Do nothing."""


class OtherLowerer(JAXSymbolicLowerer):
    """The stock one, under another name."""

    name = "other"


@dataclass(frozen=True)
class NothingPass(ModulePass):
    """A pass over IR that does nothing."""

    name = "nothing"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Do nothing."""


class OtherNothingPass(NothingPass):
    """The same under the same name."""


# region Ingredients


def on(space: sym.Space, **options: Any) -> sym.SymbolicOperator:
    b = sym.DOperator(space, "op", **options)
    return b.for_each("i", over=[0]).emit(amplitude=1.0 + i).build()


INGREDIENTS: dict[str, Callable[[], sym.SymbolicCacheKey]] = {
    "nothing": lambda: key_of(on(sym.fock(2, 4))),
    "namespace": lambda: key_of(on(sym.fock(2, 4)), cache_namespace="mine"),
    "IR": lambda: key_of(2 * on(sym.fock(2, 4))),
    "name": lambda: key_of(on(sym.fock(2, 4)).named("other")),
    "hermitian": lambda: key_of(on(sym.fock(2, 4), hermitian=True)),
    "projected": lambda: key_of(on(sym.fock(2, 4), projected=True)),
    "hilbert size": lambda: key_of(on(sym.fock(2, 5))),
    "local values": lambda: key_of(on(sym.fock(3, 4))),
    "constraint": lambda: key_of(on(sym.fock(2, 4, n_particles=3))),
    "dtype": lambda: key_of(on(sym.fock(2, 4), dtype="complex128")),
    "backend": lambda: key_of(on(sym.fock(2, 4)), backend_preference="reference"),
    "backend by name": lambda: key_of(on(sym.fock(2, 4)), backend_preference="jax"),
    "fusion": lambda: key_of(on(sym.fock(2, 4)), enable_fusion=False),
    "validation": lambda: key_of(on(sym.fock(2, 4)), strict_validation=False),
    "verification": lambda: key_of(on(sym.fock(2, 4)), verify_passes=False),
    "lowering": lambda: key_of(on(sym.fock(2, 4)), lowering="cse"),
    "lowering of the pipeline": lambda: key_of(
        on(sym.fock(2, 4)), pipeline=sym.default_symbolic_pass_pipeline("cse")
    ),
    "pass before": lambda: key_of(
        on(sym.fock(2, 4)), pipeline=pipeline_with(Custom(), "symbolic_validation")
    ),
    "pass behind": lambda: key_of(
        on(sym.fock(2, 4)), pipeline=pipeline_with(Custom(), "symbolic_fusion_planning")
    ),
    "order of passes": lambda: key_of(
        on(sym.fock(2, 4)), pipeline=pipeline_with(Custom(), "symbolic_fanout_analysis")
    ),
    "source of a pass": lambda: key_of(
        on(sym.fock(2, 4)), pipeline=pipeline_with(Derived(), "symbolic_validation")
    ),
    "pass with a setting": lambda: key_of(
        on(sym.fock(2, 4)), pipeline=pipeline_with(Settled(), "symbolic_validation")
    ),
    "setting of a pass": lambda: key_of(
        on(sym.fock(2, 4)), pipeline=pipeline_with(Settled(2), "symbolic_validation")
    ),
    "pass over IR": lambda: key_of(
        on(sym.fock(2, 4)), pipeline=pipeline_with(NothingPass(), "sym-fuse-terms")
    ),
    "place of a pass over IR": lambda: key_of(
        on(sym.fock(2, 4)), pipeline=pipeline_with(NothingPass(), "convert-sym-to-bt")
    ),
    "source of a pass over IR": lambda: key_of(
        on(sym.fock(2, 4)), pipeline=pipeline_with(OtherNothingPass(), "sym-fuse-terms")
    ),
    "lowerer": lambda: key_of(on(sym.fock(2, 4)), lowerers=(OtherLowerer(),)),
}

STOCK = list(INGREDIENTS)[: list(INGREDIENTS).index("pass before")]
"""Those without a class of this file, which is another one in each process."""


def test_each_ingredient_changes_the_key() -> None:
    tokens = {name: make_key().token for name, make_key in INGREDIENTS.items()}
    named: dict[str, str] = {}
    for name, token in tokens.items():
        assert token not in named, f"{name} and {named[token]} share a key"
        named[token] = name


@pytest.mark.parametrize("name", INGREDIENTS)
def test_equal_compilations_share_the_key(name: str) -> None:
    assert INGREDIENTS[name]() == INGREDIENTS[name]()


def test_what_does_not_change_the_artifact_does_not_change_the_key() -> None:
    operator = field()
    expected = key_of(operator)
    assert key_of(operator, cache_enabled=False) == expected
    assert key_of(field(dtype="float64")) == expected
    text = operator.to_ir().text()
    parsed = sym.SymbolicOperatorIR.from_text(text, "elsewhere.mlir")
    assert key_of(sym.SymbolicOperator.from_ir(parsed)) == expected


def test_the_namespace_is_readable_and_part_of_the_token() -> None:
    mine, yours = key_of(field(), cache_namespace="mine"), key_of(field())
    assert (mine.namespace, yours.namespace) == ("mine", "symir")
    assert mine.token != yours.token


def test_the_value_of_a_parameter_is_no_part_of_the_key() -> None:
    compiler = sym.SymbolicCompiler()
    artifact = compiler.compile(field())
    compiled: Any = artifact.compiled_operator
    x = np.ones(4, np.int8)
    before = compiled.get_conn_padded(x)[1]
    after = compiled.replace(h=3.0).get_conn_padded(x)[1]
    assert (np.asarray(before)[3:] == -0.5).all()
    assert (np.asarray(after)[3:] == -3.0).all()
    assert compiler.compile(field()) is artifact
    assert compiled.replace(h=3.0).kernel is compiled.kernel
    assert artifact.operator_ir.static_fingerprint() == (
        field().to_ir().static_fingerprint()
    )


def test_the_token_is_the_hash_of_the_signature() -> None:
    signature = sym.SymbolicCompilationSignature("a", "jax", 4, "float64", "{}", "p")
    payload = {
        "namespace": "mine",
        "ir_fingerprint": "a",
        "backend_target": "jax",
        "hilbert_size": 4,
        "dtype_str": "float64",
        "options_signature": "{}",
        "extensions_signature": "p",
    }
    expected = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
    assert signature.build_cache_key(namespace="mine") == sym.SymbolicCacheKey(
        "mine", expected
    )


def test_a_signature_needs_the_analyses_before_it() -> None:
    pipeline = sym.SymbolicPassPipeline([Custom()])
    with pytest.raises(sym.SymbolicCompilerError) as error:
        sym.SymbolicCompiler(pipeline=pipeline).compile(field())
    assert (error.value.code, error.value.stage) == ("C007", "pre-cache")
    assert "ir_fingerprint" in str(error.value)


# endregion
# region Extensions


def test_classes_of_users_are_equal_to_themselves_only() -> None:
    def scaled(factor: int) -> AbstractSymbolicPass:
        class Scaled(Custom):
            def run(self, context: sym.SymbolicCompilationContext) -> Any:
                return {"factor": factor}

        return Scaled()

    one, two = scaled(1), scaled(2)
    assert extension_token(one) != extension_token(two)
    assert extension_token(one) == extension_token(one)
    assert extension_token(one) == extension_token(type(one)())
    first, second = (type("Made", (Custom,), {"factor": k})() for k in (1, 2))
    assert extension_token(first) != extension_token(second)
    assert extension_token(first) == extension_token(type(first)())


def test_notes_of_a_pass_are_no_settings() -> None:
    one = Custom()
    before = one.signature()
    one.seen = [1, 2]  # pyright: ignore[reportAttributeAccessIssue]
    assert one.signature() == before
    assert Settled(1).signature() != Settled(2).signature()


# endregion
# region Fingerprints

COUNT = 400


def test_as_many_operators_have_as_many_fingerprints() -> None:
    seen: dict[str, tuple[int, ...]] = {}
    for recipe in recipes(COUNT):
        fingerprint = make(recipe).to_ir().static_fingerprint()
        assert fingerprint not in seen, f"{recipe} and {seen[fingerprint]}"
        seen[fingerprint] = recipe
    assert len(seen) == COUNT


def test_equal_definitions_share_the_fingerprint_whatever_labels_are_called() -> None:
    for recipe in recipes(100):
        expected = make(recipe).to_ir()
        assert make(recipe, ("a", "b")).to_ir() == expected
        assert make(recipe, ("j", "i")).to_ir() == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1 / 3, np.nextafter(1 / 3, 1)),
        (0.0, -0.0),
        (1e-310, 2e-310),
        (2.0**53, 2.0**53 + 2),
    ],
)
def test_the_last_bit_of_a_number_counts(one: float, other: float) -> None:
    def variants(number: float) -> list[sym.SymbolicOperator]:
        b = sym.DOperator(sym.fock(1, 2), "op")
        term = b.for_each("i", over=[0], data={"J": [number]})
        return [
            term.emit(amplitude=number * sym.symbol("g", number)).build(),
            sym.DOperator(sym.fock(1, 2), "op")
            .globally()
            .emit(amplitude=sym.symbol("g", number))
            .build(),
            sym.DOperator(sym.fock(1, 2), "op")
            .globally()
            .emit(amplitude=number * i_at_0)
            .build(),
        ]

    i_at_0 = sym.site(0).value
    for a, b in zip(variants(one), variants(other), strict=True):
        assert a.to_ir() != b.to_ir()


def test_the_last_bit_of_a_local_value_counts() -> None:
    one = on(sym.space([0, 0.1], 2))
    other = on(sym.space([0, np.nextafter(0.1, 1)], 2))
    assert one.to_ir() != other.to_ir()


PROGRAM = """
import json, sys
from tests.unit.symir.compiler.generated import make, recipes
from tests.unit.symir.compiler.test_signature import COUNT, INGREDIENTS, STOCK
chosen = recipes(COUNT)[::25]
print(json.dumps({
    "fingerprints": [make(one).to_ir().static_fingerprint() for one in chosen],
    "tokens": {name: INGREDIENTS[name]().token for name in STOCK},
}))
"""


def test_another_process_with_other_hashes_comes_to_the_same() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "4242",
            "PATH": "",
            "JAX_ENABLE_X64": "1",
            "JAX_PLATFORMS": "cpu",
        },
        check=False,
    )
    assert result.returncode == 0, result.stderr
    theirs = json.loads(result.stdout)
    ours = [make(one).to_ir().static_fingerprint() for one in recipes(COUNT)[::25]]
    assert theirs["fingerprints"] == ours
    tokens = {name: INGREDIENTS[name]().token for name in STOCK}
    assert theirs["tokens"] == tokens


# endregion
