"""Passes of installed packages, in each place where a pass has a name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from xdsl.xdsl_opt_main import xDSLOptMain

import symir as sym
from lowering.registry import get_all_passes, known_passes
from symir.compiler.lowering import OPERATOR_PIPELINE, LoweringPipeline
from symir.models import transverse_field_ising
from symir.tools.cli import main
from symir.tools.opt import main as opt
from symir.validation import bisect

MODULE = '''"""A package of somebody else."""

from dataclasses import dataclass

from xdsl.passes import ModulePass
from xdsl.universe import Universe

from lowering.relations import Relation


@dataclass(frozen=True)
class LeaveAlonePass(ModulePass):
    """Leave everything what it is."""

    name = "sym-leave-alone"
    relation = Relation.EQUAL
    times: int = 1

    def apply(self, ctx, op):
        op.walk()


UNIVERSE = Universe(all_passes={"sym-leave-alone": lambda: LeaveAlonePass})
'''
PASS = "sym-leave-alone"
TFIM = str(Path(__file__).parents[4] / "examples" / "tfim_chain.py")


X = np.array([[1, -1, 1], [1, 1, 1]])


def ising() -> sym.SymbolicOperator:
    return transverse_field_ising(3, [(0, 1), (1, 2)])


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with a pass, as pip leaves it behind."""
    (tmp_path / "leaving_alone.py").write_text(MODULE)
    folder = tmp_path / "leaving_alone-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: leaving_alone\nVersion: 1.0\n")
    entry = "[xdsl.universe]\nleaving_alone = leaving_alone:UNIVERSE\n"
    (folder / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("leaving_alone", None)


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "ising.mlir"
    path.write_text(ising().to_ir().text())
    return str(path)


pytestmark = pytest.mark.usefixtures("installed")


def test_other_packages_are_imported_only_if_need_be() -> None:
    assert PASS not in known_passes("cse", *get_all_passes())
    assert "leaving_alone" not in sys.modules
    assert PASS in known_passes("cse", PASS)
    assert {"cse", *get_all_passes()} <= set(known_passes(PASS))


def test_a_pipeline_names_it() -> None:
    pipeline = LoweringPipeline.parse(f"{PASS}{{times=2}},cse")
    assert pipeline.names == (PASS, "cse")
    assert str(LoweringPipeline.parse(str(pipeline))) == str(pipeline)


def test_compilations_name_it() -> None:
    lowering = f"{PASS},{OPERATOR_PIPELINE}"
    lowered = sym.lower(ising(), lowering=lowering)
    assert [stage.name for stage in lowered.stages][:2] == ["sym", PASS]
    own, other = (ising().compile(lowering=text) for text in (lowering, None))
    assert (own.get_conn_padded(X)[1] == other.get_conn_padded(X)[1]).all()


def test_the_explorer_names_it(tmp_path: Path) -> None:
    lowering = f"{PASS},{OPERATOR_PIPELINE}"
    page = sym.explore(ising(), tmp_path / "page.html", lowering=lowering)
    assert PASS in page.read_text()


@pytest.mark.parametrize("driver", [opt, lambda args: xDSLOptMain("", args).run()])
def test_drivers_name_it(driver: object, text: str) -> None:
    assert callable(driver)
    driver([text, "-p", f"{PASS},cse"])


def test_bisections_name_it() -> None:
    found = bisect(ising(), pipeline=f"{PASS},cse")
    assert found.passes == (PASS, "cse")
    assert found.stage is None
    assert main(["bisect", TFIM, "--quiet", "-p", PASS]) == 0


def test_a_name_that_is_near_is_suggested(text: str) -> None:
    for wrong, right in (("sym-leave-alnoe", PASS), ("bt-prun", "bt-prune")):
        with pytest.raises(sym.SymbolicCompilerError) as caught:
            LoweringPipeline.parse(f"cse,{wrong}")
        assert caught.value.code == "C008"
        assert caught.value.hint == f"did you mean {right!r}?"
        with pytest.raises(SystemExit, match=f"did you mean {right!r}") as told:
            opt([text, "-p", wrong])
        assert str(told.value.code).startswith("error: [C008] ")
    with pytest.raises(sym.SymbolicCompilerError) as caught:
        LoweringPipeline.parse("nothing-like-any-other")
    assert caught.value.hint is None
