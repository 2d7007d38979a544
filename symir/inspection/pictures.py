# pyright: basic
"""Pictures with matplotlib: what an operator connects, what it costs, benchmarks.

matplotlib is an extra: `pip install "symir[plot]"`. Each function draws on the axes
that it is given, or on new ones, and returns them; nothing is shown or saved.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from symir.compiler.artifact import SymbolicCompiledArtifact
from symir.compiler.checks import as_configurations
from symir.compiler.costs import BYTES_PER_SECOND, OPERATIONS_PER_SECOND, cost_table
from symir.compiler.lowering import OPERATOR_PIPELINE, run_passes
from symir.errors import InputError
from symir.explorer.connections import Connected, connected
from symir.explorer.lattice import Layout, bonds_of, layout_of
from symir.operator.symbolic_operator import SymbolicOperator
from symir.plain_text import is_signs, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # pyright: ignore[reportMissingImports]

COLOURS = (
    *("#3b6fd4", "#d0762a", "#2f9367", "#b6468a"),
    *("#7a5fc9", "#a8871d", "#2a93a8", "#c2504a"),
)
"""Colours of terms, again from the first after the last, as in the explorer."""

INK, SOFT, FAINT = "#1f2328", "#5b626b", "#c9c9c0"

MARGIN = 0.9
SITES_NAMED = 150
ELEMENTS_NAMED = 120
TERMS_SHOWN = 40


def _new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure, of so many inches.

    Raises:
        InputError: where matplotlib cannot be imported (C083).
    """
    try:
        from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "C083",
            "matplotlib cannot be imported",
            expected="matplotlib beside symir",
            found=str(error),
            hint='pip install "symir[plot]"; symir explore draws without it',
        ) from error
    # No pyplot: a figure belongs to the caller, and needs no display
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def _wrong(message: str, expected: str, found: object, **details: Any) -> InputError:
    return InputError(
        "C084", message, expected=expected, found=str(found)[:200], **details
    )


# region What an operator connects


def plot_connectivity(
    op: SymbolicOperator,
    x: npt.ArrayLike,
    *,
    lane: int | None = None,
    parameters: Mapping[str, complex] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a configuration on the lattice of an operator, with its branches.

    Sites show the local values of x, and every branch of a matrix element other than 0
    has it as a label, amid the sites of its row, in the colour of its term. With a
    `lane` that branch alone is shown, with an arrow at each site that it changes. The
    lattice is found from the rows; what is no ring, chain or square lattice is drawn by
    forces or on a circle.

    Args:
        op: the operator.
        x: one configuration, (N,).
        lane: the number of a branch, as in `branch_layout()`.
        parameters: values of parameters, beside the defaults; 1 where there is neither.
        ax: where to draw.

    Raises:
        InputError: where matplotlib is missing (C083), x is none of the space (S007,
            S008, R007), or there is no such lane (C084).
    """
    axes = _new_axes(6.4, 5.2) if ax is None else ax
    ir = op.to_ir()
    one = as_configurations(op.name, op.space, x)[:1].astype(op.space.default_dtype())
    values = ir.bind(parameters, otherwise=1.0)
    found = connected(ir, one, values)
    if lane is not None and not 0 <= lane < len(found.origins):
        raise _wrong(
            "there is no such branch",
            f"a lane from 0 to {len(found.origins) - 1}",
            lane,
            operator=op.name,
        )
    bonds = bonds_of(ir.operator)
    layout = layout_of(op.space.size, bonds)
    _draw_bonds(axes, layout, bonds)
    changes = {} if lane is None else found.changes(0, lane)
    _draw_sites(axes, layout, one[0], changes, op)
    _draw_elements(axes, layout, found, lane, op)
    about = op.name if lane is None else f"{op.name}, lane {lane}"
    axes.set_title(about, color=INK, fontsize=11, parse_math=False)
    axes.set_aspect("equal")
    (left, top), (right, bottom) = layout.positions.min(0), layout.positions.max(0)
    axes.set(xlim=(left - MARGIN, right + MARGIN), ylim=(bottom + MARGIN, top - MARGIN))
    axes.set_axis_off()
    return axes


def _draw_bonds(axes: Axes, layout: Layout, bonds: npt.NDArray[Any]) -> None:
    from matplotlib.collections import (  # pyright: ignore[reportMissingImports]
        LineCollection,
    )

    ends = layout.positions[bonds]
    if layout.kind == "square":
        ends = ends[np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1) <= 2.3]
    axes.add_collection(
        LineCollection(list(ends), colors=FAINT, linewidths=1.2, zorder=1)
    )


def _draw_sites(
    axes: Axes,
    layout: Layout,
    x: npt.NDArray[Any],
    changes: Mapping[int, float],
    op: SymbolicOperator,
) -> None:
    places = layout.positions
    signs, high = is_signs(op.space), max(map(max, op.space.local_states))
    size = float(np.clip(9000 / len(x), 12, 420))
    faces = [SOFT if value == high else "white" for value in x]
    axes.scatter(*places.T, s=size, c=faces, edgecolors=SOFT, linewidths=1.2, zorder=2)
    if len(x) > SITES_NAMED:
        return
    for site, value in enumerate(x.tolist()):
        text = _value(value, signs)
        if site in changes:
            text = f"{text}\N{RIGHTWARDS ARROW}{_value(changes[site], signs)}"
        is_dark = value == high and site not in changes
        axes.annotate(
            text,
            places[site],
            ha="center",
            va="center",
            fontsize=10 if len(x) <= 36 else 7,
            color="white" if is_dark else INK,
            zorder=5,
            bbox={"boxstyle": "round,pad=0.3", "fc": "white", "ec": INK}
            if site in changes
            else None,
            parse_math=False,
        )


def _value(value: float, signs: bool) -> str:
    if signs:
        return "\N{UPWARDS ARROW}" if value > 0 else "\N{DOWNWARDS ARROW}"
    return f"{value:g}"


def _draw_elements(
    axes: Axes, layout: Layout, found: Connected, lane: int | None, op: SymbolicOperator
) -> None:
    terms = {term.name: (k, term) for k, term in enumerate(op.terms)}
    elements = found.elements[0]
    lanes = np.flatnonzero(elements != 0)[:ELEMENTS_NAMED].tolist()
    center = layout.positions.mean(axis=0)
    shown: dict[str, str] = {}
    for one in lanes if lane is None else [lane]:
        origin = found.origins[one]
        k, term = terms.get(origin.term, (0, None))
        sites = list(found.changes(0, one))
        if term is not None and origin.row is not None:
            sites = term.rows.array[origin.row].tolist() or sites
        colour = COLOURS[k % len(COLOURS)]
        shown[origin.term] = colour
        axes.annotate(
            number(elements[one].item()),
            _label_place(layout, sites, center),
            ha="center",
            va="center",
            fontsize=8,
            color=colour,
            zorder=4,
            bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": FAINT, "lw": 0.6},
            parse_math=False,
        )
    from matplotlib.lines import Line2D  # pyright: ignore[reportMissingImports]

    handles = [Line2D([], [], color=colour, lw=3) for colour in shown.values()]
    if handles:
        names = [name.lstrip("_") or "term" for name in shown]
        place = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
        legend = axes.legend(handles, names, frameon=False, fontsize=8, **place)
        for text in legend.get_texts():
            text.set_parse_math(False)


def _label_place(
    layout: Layout, sites: Sequence[int], center: npt.NDArray[Any]
) -> tuple[float, float]:
    """Return the middle of some sites, or a place beside the only one."""
    if not sites:
        return float(center[0]), float(center[1])
    own = layout.positions[list(sites)]
    if layout.copies > 1 and np.ptp(own[:, 0]) > np.ptp(layout.positions[:, 0]) / 2:
        # Of copies side by side: at the first one
        own = own[:1]
    middle = own.mean(axis=0)
    if len(own) == 1 or len(set(sites)) == 1:
        out = middle - center
        is_round = layout.kind in ("ring", "circle", "graph")
        way = out / max(float(np.linalg.norm(out)), 1e-9) if is_round else [0.7, 0.7]
        middle = middle + 0.5 * np.asarray(way)
    return float(middle[0]), float(middle[1])


# endregion
# region What it costs


def plot_cost(
    artifact: SymbolicCompiledArtifact | SymbolicOperator, *, ax: Axes | None = None
) -> Axes:
    """Draw what each term is predicted to cost per sample, the most expensive on top.

    Each bar is the term's share of the time, split into operations for matrix elements,
    selects for x', bytes read and bytes written. It is predicted from the branch
    tensors (`symir explain --cost`), and is no measured time.

    Args:
        artifact: what a compiler returned, or an operator: then its default lowering.
        ax: where to draw.

    Raises:
        InputError: where matplotlib is missing (C083), or the artifact has no branch
            tensors, as of the backend "reference" (C084).
    """
    if isinstance(artifact, SymbolicOperator):
        ir = artifact.to_ir()
        lowered = run_passes(ir.module, f"sym-plan-fusion,{OPERATOR_PIPELINE}")
    elif isinstance(artifact, SymbolicCompiledArtifact):
        ir, lowered = artifact.operator_ir, artifact.branch_tensors
    else:
        ir, lowered = None, None
    if ir is None or lowered is None:
        raise _wrong(
            "there are no branch tensors that a cost could be found from",
            "an artifact of the backend 'jax', or an operator",
            type(artifact).__name__ if ir is None else "the backend 'reference'",
        )
    table = cost_table(ir.module, lowered, ir.space.default_dtype().itemsize)
    rows = sorted(table.terms, key=lambda row: row.share, reverse=True)[:TERMS_SHOWN]
    axes = _new_axes(7.2, 0.36 * len(rows) + 1.5) if ax is None else ax
    kinds = {
        "operations": ("flops", OPERATIONS_PER_SECOND, COLOURS[0]),
        "selects": ("selects", OPERATIONS_PER_SECOND, COLOURS[5]),
        "bytes read": ("bytes_read", BYTES_PER_SECOND, COLOURS[6]),
        "bytes written": ("bytes_written", BYTES_PER_SECOND, COLOURS[4]),
    }
    seconds = sum(
        table.total(name) / per_second for name, per_second, _ in kinds.values()
    )
    left = np.zeros(len(rows))
    for label, (name, per_second, colour) in kinds.items():
        own = [getattr(row, name) / per_second for row in rows]
        width = 100 * np.array(own) / (seconds or 1.0)
        axes.barh(
            range(len(rows)), width, left=left, color=colour, label=label, height=0.62
        )
        left = left + width
    labels = [f"{row.name} ({row.lanes_after})" for row in rows]
    axes.set_yticks(range(len(rows)), labels, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("predicted share of the time, in %")
    axes.set_title(
        f"{ir.operator_name}: terms (lanes)", color=INK, fontsize=11, parse_math=False
    )
    axes.legend(frameon=False, fontsize=8)
    _plain(axes)
    return axes


# endregion
# region Benchmarks

PEERS = {
    "NetKet's fastest": (lambda name: name.startswith("netket "), "o"),
    "nkDSL": (lambda name: name.startswith("nkDSL"), "s"),
    "hand-written": (lambda name: name == "hand-written", "D"),
}


def plot_benchmarks(
    figures: Mapping[str, Any] | str | os.PathLike[str], *, ax: Axes | None = None
) -> Axes:
    """Draw how many times longer peers take than symir with its fastest options.

    Args:
        figures: what `python -m benchmarks.get_conn --json FILE` has written: the file,
            or what is in it.
        ax: where to draw.

    Raises:
        InputError: where matplotlib is missing (C083), or these are no such figures
            (C084).
    """
    models = _models(figures)
    axes = _new_axes(7.2, 0.36 * len(models) + 1.5) if ax is None else ax
    names = list(models)
    for k, (label, (is_one, marker)) in enumerate(PEERS.items()):
        found = [
            (ratio, place)
            for place, rows in enumerate(models.values())
            if (ratio := _ratio(rows, is_one)) is not None
        ]
        if found:
            axes.scatter(
                *zip(*found, strict=True),
                marker=marker,
                color=COLOURS[k],
                label=label,
                s=36,
                zorder=3,
            )
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_xscale("log")
    for which in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        which(lambda value, _: f"{value:g}")
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("time / symir's time; to the right of 1 symir is faster")
    axes.grid(axis="x", which="both", color=FAINT, linewidth=0.4, zorder=0)
    axes.legend(frameon=False, fontsize=8)
    _plain(axes)
    return axes


def _models(
    figures: Mapping[str, Any] | str | os.PathLike[str],
) -> dict[str, list[Mapping[str, Any]]]:
    """Return the rows of each model, the contenders with a time."""
    try:
        plain: Any = figures
        if not isinstance(figures, Mapping):
            plain = json.loads(Path(figures).read_text())
        models: dict[str, list[Mapping[str, Any]]] = {
            str(name): [
                {"operator": str(row["operator"]), "ms": float(row["ms"])}
                for row in one["rows"]
            ]
            for name, one in plain["models"].items()
        }
        if all(
            any(row["operator"].startswith("symir") for row in rows)
            for rows in models.values()
        ):
            return models
        found = "a model without a time of symir"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        found = f"{type(error).__name__}: {error}"
    raise _wrong(
        "these are no figures of a benchmark",
        "what python -m benchmarks.get_conn --json FILE writes",
        found,
    )


def _ratio(rows: Sequence[Mapping[str, Any]], is_one: Any) -> float | None:
    ours = min(row["ms"] for row in rows if row["operator"].startswith("symir"))
    theirs = [row["ms"] for row in rows if is_one(row["operator"])]
    return min(theirs) / ours if theirs else None


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


# endregion
