"""`bt-materialize-strategy`: x' from images instead of from values per lane.

Where what a lane writes at a site is a function of x at that very site, as when a spin
is flipped or a particle is created, x' is put together of a few images that all lanes
share, and of masks that are constants:

    x' = select(mask, -x, x)        instead of       gather, negate, select per write

That saves the gathers of the sources, and several writes of one kind are one select.
Masks of (lanes, sites) are part of the kernel: large ones, whose text would take longer
to compile than they save, are left to `convert-bt-to-stablehlo`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, i1
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import bt
from dialects.provenance import in_place_of
from dialects.stablehlo import constant, constant_of, shape_of
from dialects.tables import NO_SITE
from lowering.analysis.site_wise import Piece, SiteWiseAnalysis, is_regular
from lowering.bt.lanes import is_connected, lane_count, rewrite_lanes, sinks_of
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter

MAX_IMAGES = 3
"""Most images: the selects of more cost more than they save."""

MAX_SITES_OF_VALID = 32
"""Lanes that may not be valid need one more select on all of x', which XLA's CPU back
end vectorises on short lattices only: beyond, and for one write, values are faster."""

MAX_MASK_ELEMENTS = 512 * 1024
"""Lanes x sites of a mask that is worth its text: two bytes an element."""

Mask = npt.NDArray[np.bool_]


def _pieces(
    value: SSAValue, table: npt.NDArray[Any], analysis: SiteWiseAnalysis
) -> tuple[Piece, ...] | None:
    """Return what is written, as functions of x at the sites that it is written to."""
    form = analysis.of(value)
    if form is None:
        return None
    lanes = table.shape
    pieces = tuple(
        Piece(np.broadcast_to(piece.where, lanes), piece.value) for piece in form.pieces
    )
    own = np.broadcast_to(form.table, lanes)
    for piece in pieces:
        if len(shape_of(piece.value)) == 1:
            return None
        meant = piece.where & (table != NO_SITE)
        if piece.is_image and (own[meant] != table[meant]).any():
            return None
    return pieces


def _images(
    op: bt.BranchesOp, analysis: SiteWiseAnalysis
) -> dict[SSAValue, Mask] | None:
    """Return the mask of each image, (lanes, sites); None where there is none."""
    lanes, sites = lane_count(op.result), analysis.sites
    masks: dict[SSAValue, Mask] = {}
    for site, value in zip(op.sites, op.values, strict=True):
        found = constant_of(site)
        if found is None:
            return None
        table = np.broadcast_to(found, (lanes,))
        if ((table < 0) & (table != NO_SITE)).any() or (table >= sites).any():
            return None
        pieces = _pieces(value, table, analysis)
        if pieces is None:
            return None
        meant = np.flatnonzero(table != NO_SITE)
        # A later write wins, also where it restores the source
        for mask in masks.values():
            mask[meant, table[meant]] = False
        for piece in pieces:
            if analysis.is_source(piece.value):
                continue
            if piece.is_image and not is_regular(piece.value):
                return None
            rows = np.flatnonzero(piece.where & (table != NO_SITE))
            mask = masks.setdefault(piece.value, np.zeros((lanes, sites), bool))
            mask[rows, table[rows]] = True
    return {image: mask for image, mask in masks.items() if mask.any()}


@dataclass
class MaterializeImages(RewritePattern):
    """Branches that write functions of x at the same sites are images.

    %v = bt.gather %x[%i] : (..) -> tensor<?x7xf64>
    %w = stablehlo.negate %v : tensor<?x7xf64>
    %b = bt.branches [%i] = [%w] amplitude %a : .. -> !bt.branches<7 x 1>
    becomes
    %v = bt.gather %x[%all] : (..) -> tensor<?x8xf64>
    %w = stablehlo.negate %v : tensor<?x8xf64>
    %b = bt.images [%mask] = [%w] amplitude %a : .. -> !bt.branches<7 x 8>
    """

    analyses: dict[SSAValue, SiteWiseAnalysis] = field(
        default_factory=dict[SSAValue, SiteWiseAnalysis]
    )
    """Analyses of each x, so that leaves share their images."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.BranchesOp, rewriter: PatternRewriter) -> None:
        config = _config_of(op)
        if config is None or shape_of(config)[0] != bt.BATCH:
            return
        at = Inserter(rewriter, op.location)
        analysis = self.analyses.setdefault(config, SiteWiseAnalysis(config, at))
        lanes, sites = lane_count(op.result), analysis.sites
        if not op.sites or not lanes:
            return
        if lanes * sites > MAX_MASK_ELEMENTS:
            remark(
                f"{lanes} lanes on {sites} sites write their values one by one",
                done=False,
                hint="their masks would make the kernel's text too long",
                at=op,
            )
            return
        if op.valid is not None and (len(op.sites) == 1 or sites > MAX_SITES_OF_VALID):
            remark(
                f"{lanes} lanes that may not be valid write values", done=False, at=op
            )
            return
        analysis.at = Inserter(rewriter, op.location)
        masks = _images(op, analysis)
        if masks is None or len(masks) > MAX_IMAGES:
            remark(
                f"{lanes} lanes write values that are no function of x at the same "
                "site",
                done=False,
                at=op,
            )
            return
        constants = [analysis.at.add(constant(mask, i1)) for mask in masks.values()]
        kind = bt.BranchesType.get(lanes, sites)
        images, origins = list(masks), bt.origins_of(op.result)
        new = bt.ImagesOp(constants, images, op.amplitude, op.valid, kind, origins)
        rewriter.replace(op, in_place_of(op, new))
        remark(f"x' of {lanes} lanes is put together of {len(masks)} images", at=new)


def _config_of(op: bt.BranchesOp) -> SSAValue | None:
    """Return x; None where lanes are not those of `bt.connections` of one x alone."""
    if not is_connected(op):
        return None
    sinks = sinks_of(op.result)
    found = {sink.config for sink in sinks if isinstance(sink, bt.ConnectionsOp)}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class BtMaterializeStrategyPass(ModulePass):
    """Put x' together of images where that is possible. Before `bt-specialize`."""

    name = "bt-materialize-strategy"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_lanes(op, MaterializeImages())
