"""`sym-forward-reads`: bring every term into normal form.

After it every read is of the source x, every emitted configuration is a linear chain of
writes on x in which no write is overwritten in every row, and no `sym.select` is left.
Labels may alias: whether two of them name the same site is decided from the table, for
all rows, for none, or per row by comparing their indices.

    read(write(c, s, v), t)      v, read(c, t), or select(s == t, v, read(c, t));
                                 0 where t is no site
    select(p, write(a, s, v), b) write(.., s, select(p, v, read(b, s)))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType, i32
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import PassFailedException

from dialects import sym
from dialects.stablehlo import compare, constant, select, tensor
from dialects.tables import NO_SITE
from lowering.analysis.sites import Alias, alias, writes_of
from lowering.relations import Relation
from lowering.rewriting import Inserter, rewrite_once

Write = tuple[SSAValue, SSAValue]
"""A site and the value that is written there."""


def _chain(config: SSAValue, term: sym.TermOp) -> list[Write]:
    """Return the writes on the source that made a configuration, the first one first.

    Raises `PassFailedException` where something else made it.
    """
    writes = writes_of(config)
    start = writes[0].config if writes else config
    if start is not term.source:
        maker = start.owner
        name = maker.name if isinstance(maker, Operation) else "a block argument"
        raise PassFailedException(
            f"sym-forward-reads: term @{term.sym_name.data} holds a configuration "
            f"made by '{name}'; run sym-expand-updates first"
        )
    return [(write.site, write.value) for write in writes]


def _read(
    chain: Sequence[Write], site: SSAValue, term: sym.TermOp, at: Inserter
) -> SSAValue:
    """Return the value at a site after a chain of writes on the source."""
    local_value = tensor(sym.real_type(sym.operator_of(term).element))
    maybe: list[Write] = []
    value: SSAValue | None = None
    for written, candidate in reversed(chain):
        match alias(term, written, site):
            case Alias.ALWAYS:
                value = candidate
                break
            case Alias.SOMETIMES:
                maybe.append((written, candidate))
            case Alias.NEVER:
                pass
    forwards = value is not None or bool(maybe)
    if value is None:
        value = at.add(sym.ReadOp(term.source, site, local_value))
    for written, candidate in reversed(maybe):
        same = _same_site(written, site, at)
        value = at.add(select(same, candidate, value))
    if forwards and sym.may_be_missing(site):
        value = _or_zero(site, value, at)
    return value


def _or_zero(site: SSAValue, value: SSAValue, at: Inserter) -> SSAValue:
    """Return what is read at a site: 0 where it is none, whatever was written."""
    nowhere = at.add(constant(np.array(NO_SITE), i32))
    exists = at.add(compare("NE", at.add(sym.IndexOp(site)), nowhere))
    element = cast(TensorType[Attribute], value.type).element_type
    zero = at.add(constant(np.zeros(()), element))
    return at.add(select(exists, value, zero))


def _same_site(a: SSAValue, b: SSAValue, at: Inserter) -> SSAValue:
    return at.add(compare("EQ", at.add(sym.IndexOp(a)), at.add(sym.IndexOp(b))))


class ForwardRead(RewritePattern):
    """A read of what was written becomes the value, where that may be at its site.

    %y = sym.write %x[%i], %v : tensor<f64>
    %a = sym.read %y[%j] : tensor<f64>
    becomes, where %i and %j are one site in some of the rows,
    %y = sym.write %x[%i], %v : tensor<f64>
    %b = sym.read %x[%j] : tensor<f64>
    %p = stablehlo.compare EQ, %i_number, %j_number
    %a = stablehlo.select %p, %v, %b : tensor<i1>, tensor<f64>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.ReadOp, rewriter: PatternRewriter) -> None:
        term = sym.term_of(op)
        if op.config is term.source:
            return
        at = Inserter(rewriter, op.location)
        value = _read(_chain(op.config, term), op.site, term, at)
        rewriter.replace(op, (), (value,))


class WriteChosen(RewritePattern):
    """A choice of two chains of writes becomes one chain that writes chosen values.

    %y = sym.write %x[%i], %v : tensor<f64>
    %z = sym.select %p, %y, %x
    becomes
    %b = sym.read %x[%i] : tensor<f64>
    %w = stablehlo.select %p, %v, %b : tensor<i1>, tensor<f64>
    %z = sym.write %x[%i], %w : tensor<f64>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.SelectOp, rewriter: PatternRewriter) -> None:
        term, at = sym.term_of(op), Inserter(rewriter, op.location)
        on_true, on_false = _chain(op.on_true, term), _chain(op.on_false, term)
        merged: list[Write] = []
        shared = 0
        for (site, value), (other, alternative) in zip(on_true, on_false, strict=False):
            if site is not other:
                break
            if value is not alternative:
                value = at.add(select(op.predicate, value, alternative))
            merged.append((site, value))
            shared += 1
        for site, value in on_true[shared:]:
            kept = _read(merged, site, term, at)
            merged.append((site, at.add(select(op.predicate, value, kept))))
        for site, value in on_false[shared:]:
            kept = _read(merged, site, term, at)
            merged.append((site, at.add(select(op.predicate, kept, value))))
        rewriter.replace(op, (), (_written(merged, term, at),))


class EmitWrites(RewritePattern):
    """An emission gets a chain of its own, without writes that are overwritten.

    %y = sym.write %x[%i], %v : tensor<f64>
    %z = sym.write %y[%i], %w : tensor<f64>
    sym.emit %z, %a : tensor<f64>
    becomes, with the old writes for others,
    %u = sym.write %x[%i], %w : tensor<f64>
    sym.emit %u, %a : tensor<f64>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.EmitOp, rewriter: PatternRewriter) -> None:
        term = sym.term_of(op)
        chain = _chain(op.config, term)
        later = [[site for site, _ in chain[k + 1 :]] for k in range(len(chain))]
        kept = [
            write
            for write, others in zip(chain, later, strict=True)
            if not any(alias(term, write[0], s) is Alias.ALWAYS for s in others)
        ]
        at = Inserter(rewriter, op.location)
        op.operands[0] = _written(kept, term, at)
        rewriter.notify_op_modified(op)


def _written(chain: Sequence[Write], term: sym.TermOp, at: Inserter) -> SSAValue:
    config: SSAValue = term.source
    for site, value in chain:
        config = at.add(sym.WriteOp(config, site, value))
    return config


class EraseUnusedWrite(RewritePattern):
    """`%y = sym.write %x[%i], %v` goes where nothing is emitted that was made of it."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.WriteOp, rewriter: PatternRewriter) -> None:
        if not op.result.uses:
            rewriter.erase(op)


@dataclass(frozen=True)
class SymForwardReadsPass(ModulePass):
    """Bring every term into the normal form that `convert-sym-to-bt` takes."""

    name = "sym-forward-reads"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, ForwardRead(), WriteChosen(), EmitWrites())
        rewrite_once(op, EraseUnusedWrite(), backwards=True)
