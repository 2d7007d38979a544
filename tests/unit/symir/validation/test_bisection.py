"""`bisect` names the pass that is to blame; see `test_planted_bugs` for bugs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

import symir as sym
from dialects import sym as sym_ir
from lowering.relations import Relation
from symir.compiler.lowering import KERNEL_PIPELINE, LoweringPipeline
from symir.errors import InputError, SymbolicCompilerError
from symir.operator.ir import SymbolicOperatorIR
from symir.runtime.compiled_operator import CompiledOperator
from symir.validation import bisect
from symir.validation.check import PIPELINE
from symir.validation.reports import EXECUTABLE
from tests.unit.lowering.test_mutations import (
    MUTATIONS,
    CorruptingPass,
    Mutation,
    base,
    name_of,
)
from tests.unit.symir.compiler.test_diagnostics import MODELS
from tests.unit.symir.validation import test_planted_bugs as planted
from tests.unit.symir.validation.test_planted_bugs import (
    alike,
    choosy,
    hopping,
    looking_up,
)


@pytest.mark.parametrize(
    "mutation", [one for one in MUTATIONS if one.of_pass], ids=name_of
)
def test_each_pass_that_corrupts_is_found(mutation: Mutation) -> None:
    tidy = LoweringPipeline.parse("cse,dce")
    pipeline = tidy.inserted(CorruptingPass(mutation), 1)
    found = bisect(SymbolicOperatorIR(base("sym")), pipeline=pipeline)
    assert (found.pass_name, found.number) == ("corrupting", 2)
    assert found.passes == ("cse", "corrupting")
    assert found.error is not None
    assert found.error.code == mutation.of_pass
    assert mutation.fragment in str(found)
    assert found.before is not None
    assert "sym.operator @hop" in found.before
    assert (found.after, found.diff()) == (None, "")


def test_nothing_is_blamed_without_a_bug() -> None:
    found = sym.bisect(hopping(), validate="exhaustive")
    assert found.ok
    assert (found.pass_name, found.number, found.stage) == (None, None, None)
    assert (found.term, found.location, found.diff()) == (None, None, "")
    assert found.passes[-1] == EXECUTABLE
    assert str(found) == (
        f"hopping: none of {len(found.passes)} passes is to blame, on 81 of 81 "
        "configurations and 2 set(s) of parameters"
    )


@pytest.mark.parametrize("name", MODELS)
def test_no_pass_is_to_blame_for_a_model(name: str) -> None:
    found = sym.bisect(MODELS[name](), samples=4, executable=False)
    assert found.ok, str(found)
    assert found.passes[-1] == "dce"


def test_what_was_not_looked_at_is_not_counted() -> None:
    with jax.enable_x64(False):
        found = sym.bisect(hopping(), samples=4)
    assert found.ok
    assert f"none of {len(found.passes) - 1} passes is to blame" in str(found)
    assert str(found).endswith("executable is left out: JAX is set to 32 bits")


# region Pipelines of one's own


def test_a_guard_that_is_left_out() -> None:
    found = bisect(
        hopping(),
        pipeline="sym-guard-undefined,sym-expand-updates,sym-forward-reads,"
        "convert-sym-to-bt",
        executable=False,
    )
    assert (found.pass_name, found.number) == ("convert-sym-to-bt", 4)


@pytest.mark.parametrize(
    "pipeline",
    [
        "sym-gather-terms",
        "sym-guard-undefined,sym-expand-updates,cse",
        f"{PIPELINE},{KERNEL_PIPELINE.format(batch=3, state='i16')},canonicalize",
        f"{PIPELINE},bt-specialize{{batch=5 state=f32}}",
    ],
)
def test_passes_may_end_anywhere(pipeline: str) -> None:
    found = bisect(alike(), pipeline=pipeline)
    assert found.ok
    assert found.passes == LoweringPipeline.parse(pipeline).names


def test_branch_tensors_are_followed_by_their_kernel() -> None:
    found = bisect(choosy(), pipeline=PIPELINE)
    assert found.passes[-2:] == ("dce", EXECUTABLE)


@dataclass(frozen=True)
class Failing(ModulePass):
    """A pass that fails."""

    name = "test-failing"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        raise PassFailedException("there is something that it does not like")


@dataclass(frozen=True)
class Corrupting(ModulePass):
    """A pass that leaves a term without emissions."""

    name = "test-corrupting"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for emit in [one for one in op.walk() if isinstance(one, sym_ir.EmitOp)]:
            emit.detach()


@dataclass(frozen=True)
class Unrunnable(ModulePass):
    """A pass that forgets what it was given: valid IR, and no operator."""

    name = "test-unrunnable"
    relation = Relation.EXPECTATION

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for one in list(op.ops):
            one.detach()


@pytest.mark.parametrize(("one", "code"), [(Failing(), "C002"), (Corrupting(), "C001")])
def test_a_pass_that_fails_is_to_blame(one: ModulePass, code: str) -> None:
    pipeline = LoweringPipeline.parse("sym-guard-undefined,sym-expand-updates")
    found = bisect(looking_up(), pipeline=pipeline.inserted(one, 1))
    assert (found.pass_name, found.number) == (one.name, 2)
    assert found.passes == ("sym-guard-undefined", one.name)
    assert found.error is not None
    assert found.error.code == code
    assert found.before is not None
    assert " if %" in found.before  # the guard that the first pass has put there
    assert found.after is None
    assert code in str(found)


def test_a_corrupting_pass_is_blamed_with_the_users_line() -> None:
    found = bisect(looking_up(), pipeline=LoweringPipeline([Corrupting()]))
    assert found.term == "table"
    assert found.location is not None
    assert found.location.file == planted.__file__


def test_what_cannot_be_run_is_blamed_on_the_pass_that_left_it() -> None:
    pipeline = LoweringPipeline.parse("sym-guard-undefined,cse")
    found = bisect(hopping(), pipeline=pipeline.inserted(Unrunnable(), 1))
    assert (found.pass_name, found.number) == ("test-unrunnable", 2)
    assert found.report is not None
    assert found.stage is not None
    assert found.stage.difference is not None
    assert found.stage.difference.what == "run"
    assert found.report.stages[2].skipped == "test-unrunnable left what cannot be run"


def test_xla_is_to_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that the reference interpreter runs, and XLA does not, or otherwise."""
    run = CompiledOperator.get_conn_padded

    def wrong(self: CompiledOperator, x: Any, **options: Any) -> tuple[Any, Any]:
        connected, elements = run(self, x, **options)
        return connected, elements + 1e-6

    def refused(self: CompiledOperator, x: Any, **options: Any) -> tuple[Any, Any]:
        raise RuntimeError("no kernel")

    for broken, what in ((wrong, "matrix element"), (refused, "run")):
        monkeypatch.setattr(CompiledOperator, "get_conn_padded", broken)
        found = bisect(alike())
        assert found.pass_name == EXECUTABLE
        assert found.number == len(found.passes)
        assert found.stage is not None
        assert found.stage.difference is not None
        assert found.stage.difference.what == what
        assert found.before is not None
        assert "stablehlo." in found.before
        assert (found.after, found.diff()) == (None, "")


# endregion


def test_bad_arguments() -> None:
    with pytest.raises(SymbolicCompilerError) as compiler:
        bisect(hopping(), pipeline="no-such-pass")
    assert compiler.value.code == "C008"
    for arguments, code in (
        ({"samples": 0}, "V012"),
        ({"validate": "never"}, "V012"),
        ({"x": np.zeros((2, 3))}, "S007"),
    ):
        with pytest.raises(InputError) as caught:
            bisect(hopping(), **arguments)  # pyright: ignore[reportArgumentType]
        assert caught.value.code == code
    with pytest.raises(InputError) as state:
        bisect(hopping(), pipeline=f"{PIPELINE},bt-specialize{{batch=2 state=bf16}}")
    assert state.value.code == "V012"
