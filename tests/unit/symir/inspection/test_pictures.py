"""Pictures: what is drawn is what the operator does; without a display, with errors."""

# pyright: basic

from __future__ import annotations

import builtins
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symir as sym
from symir.compiler import default_symbolic_compiler
from tests.unit.symir.compiler.test_diagnostics import MODELS
from tests.unit.symir.explorer import operators


def texts(axes: Any) -> list[str]:
    return [one.get_text() for one in axes.texts]


def drawn(axes: Any) -> None:
    """Draw all of it, which finds texts that matplotlib cannot take."""
    axes.figure.savefig(io.BytesIO(), format="svg")


# ---- connectivity ----


def test_sites_and_matrix_elements_are_shown() -> None:
    x = np.array([1, 1, 1, 1, -1, 1, 1, 1], np.int8)
    axes: Any = sym.plot_connectivity(operators.tfim(), x)
    drawn(axes)
    assert texts(axes)[:8] == [*"↑↑↑↑↓↑↑↑"]
    assert sorted(texts(axes)[8:]) == sorted(["1"] * 6 + ["-1"] * 2 + ["-1"] * 8)
    other = sym.plot_connectivity(operators.tfim(), x, parameters={"h": 0.25})
    assert texts(other).count("-0.25") == 8


def test_one_branch_shows_what_it_changes() -> None:
    x = np.ones(8, np.int8)
    axes: Any = sym.plot_connectivity(operators.tfim(), x, lane=10)
    drawn(axes)
    assert texts(axes) == ["↑", "↑", "↑→↓", *["↑"] * 5, "-1"]
    assert axes.get_title() == "tfim, lane 10"
    place = axes.texts[-1].xy
    sites = axes.collections[1].get_offsets()
    near = np.linalg.norm(np.asarray(sites) - place, axis=1)
    assert int(np.argmin(near)) == 2


@pytest.mark.parametrize("name", MODELS)
def test_every_model_can_be_drawn(name: str) -> None:
    operator = MODELS[name]()
    axes: Any = sym.plot_connectivity(operator, operator.space.random_states(1, 0)[0])
    assert len(axes.collections[1].get_offsets()) == operator.space.size
    costs: Any = sym.plot_cost(operator)
    widths = sum(patch.get_width() for patch in costs.patches)
    assert widths == pytest.approx(100)


def test_names_are_no_formulas() -> None:
    operator = operators.tfim().named("$\\frac{1$ _x")
    axes: Any = sym.plot_connectivity(operator, np.ones(8, np.int8))
    drawn(axes)
    drawn(sym.plot_cost(operator))


def test_axes_that_are_given_are_used() -> None:
    first = sym.plot_connectivity(operators.tfim(), np.ones(8, np.int8))
    again = sym.plot_cost(operators.tfim(), ax=first)
    assert again is first


def test_wrong_configurations_and_lanes_have_their_errors() -> None:
    with pytest.raises(sym.InputError, match="R007"):
        sym.plot_connectivity(operators.tfim(), np.zeros(8))
    for lane in (-1, 16):
        with pytest.raises(sym.InputError, match=r"C084[\s\S]*0 to 15"):
            sym.plot_connectivity(operators.tfim(), np.ones(8), lane=lane)


# ---- cost ----


def test_costs_are_those_of_the_table() -> None:
    artifact = default_symbolic_compiler().compile(operators.fermi_hubbard())
    axes: Any = sym.plot_cost(artifact)
    drawn(axes)
    table = artifact.optimisation_report().cost
    rows = sorted(table.terms, key=lambda row: -row.share)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [f"{row.name} ({row.lanes_after})" for row in rows]
    for number, row in enumerate(rows):
        bars = [
            p for p in axes.patches if round(p.get_y() + p.get_height() / 2) == number
        ]
        assert sum(bar.get_width() for bar in bars) == pytest.approx(100 * row.share)


def test_what_has_no_cost_has_an_error() -> None:
    options = {"backend_preference": "reference"}
    artifact = default_symbolic_compiler().compile(operators.tfim(), options)
    for wrong in (artifact, 3):
        with pytest.raises(sym.InputError, match="C084"):
            sym.plot_cost(wrong)  # pyright: ignore[reportArgumentType]


# ---- benchmarks ----

FIGURES = {
    "models": {
        "tfim_8x8": {
            "rows": [
                {"operator": "symir", "ms": 2.0},
                {"operator": "symir coalesce=static", "ms": 1.0},
                {"operator": "netket Ising", "ms": 3.0},
                {"operator": "netket LocalOperatorJax", "ms": 9.0},
                {"operator": "hand-written", "ms": 0.5},
            ]
        },
        "only_us": {"rows": [{"operator": "symir", "ms": 2.0}]},
    }
}


def test_peers_are_compared_with_the_fastest_options(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text(json.dumps(FIGURES))
    for figures in (FIGURES, path, str(path)):
        axes: Any = sym.plot_benchmarks(figures)
        drawn(axes)
        points = {
            one.get_label(): np.asarray(one.get_offsets()).tolist()
            for one in axes.collections
        }
        assert points == {
            "NetKet's fastest": [[3.0, 0.0]],
            "hand-written": [[0.5, 0.0]],
        }
        assert [one.get_text() for one in axes.get_yticklabels()] == [
            "tfim_8x8",
            "only_us",
        ]


def test_what_are_no_figures_has_an_error(tmp_path: Path) -> None:
    text = tmp_path / "text.json"
    text.write_text("no json")
    for wrong in (
        *({}, {"models": 3}, {"models": {"a": {"rows": [{"operator": "b"}]}}}),
        *({"models": {"a": {"rows": []}}}, text, tmp_path / "missing.json"),
    ):
        with pytest.raises(sym.InputError, match=r"C084[\s\S]*--json FILE"):
            sym.plot_benchmarks(wrong)


# ---- without matplotlib ----


def test_without_matplotlib_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refusing(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refusing)
    for call in (
        lambda: sym.plot_connectivity(operators.tfim(), np.ones(8)),
        lambda: sym.plot_cost(operators.tfim()),
        lambda: sym.plot_benchmarks(FIGURES),
    ):
        with pytest.raises(sym.InputError, match=r"C083[\s\S]*symir\[plot\]"):
            call()
