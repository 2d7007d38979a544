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

from dataclasses import dataclass, field
from typing import ClassVar, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType, i32
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter
from xdsl.utils.exceptions import PassFailedException

from dialects import sym
from dialects.stablehlo import compare, constant, select, tensor
from dialects.tables import NO_SITE
from lowering.relations import Relation
from lowering.rewriting import Inserter
from lowering.sites import Alias, alias

Write = tuple[SSAValue, SSAValue]
"""A site and the value that is written there."""

Chain = tuple[Write, ...]
"""A configuration as the writes on the source that made it, the first one first."""


@dataclass
class _TermNormalizer:
    """Rewrites the block of one term, op by op."""

    term: sym.TermOp
    local_value: Attribute
    chains: dict[SSAValue, Chain] = field(default_factory=dict[SSAValue, Chain])

    def run(self) -> None:
        self.chains[self.term.source] = ()
        # Reductions read inside of their bodies
        for op in list(self.term.body.block.walk()):
            self._visit(op)
        self._erase_dead_configurations()

    def _visit(self, op: Operation) -> None:
        match op:
            case sym.WriteOp():
                write = (op.site, op.value)
                self.chains[op.result] = (*self._chain(op.config), write)
            case sym.SelectOp():
                self.chains[op.result] = self._select(op)
            case sym.ReadOp() if op.config is not self.term.source:
                chain = self._chain(op.config)
                value = self._read(chain, op.site, Inserter.before(op))
                op.result.replace_all_uses_with(value)
                Rewriter.erase_op(op)
            case sym.EmitOp():
                self._emit(op)
            case _:
                pass

    def _chain(self, config: SSAValue) -> Chain:
        if config in self.chains:
            return self.chains[config]
        maker = config.owner
        name = maker.name if isinstance(maker, Operation) else "a block argument"
        raise PassFailedException(
            f"sym-forward-reads: term @{self.term.sym_name.data} holds a configuration "
            f"made by '{name}'; run sym-expand-updates first"
        )

    def _read(self, chain: Chain, site: SSAValue, at: Inserter) -> SSAValue:
        """Return the value at a site after a chain of writes on the source."""
        maybe: list[Write] = []
        value: SSAValue | None = None
        for written, candidate in reversed(chain):
            match alias(self.term, written, site):
                case Alias.ALWAYS:
                    value = candidate
                    break
                case Alias.SOMETIMES:
                    maybe.append((written, candidate))
                case Alias.NEVER:
                    pass
        forwards = value is not None or bool(maybe)
        if value is None:
            value = at.add(sym.ReadOp(self.term.source, site, self.local_value))
        for written, candidate in reversed(maybe):
            same = _same_site(written, site, at)
            value = at.add(select(same, candidate, value))
        if forwards and sym.may_be_missing(site):
            value = self._or_zero(site, value, at)
        return value

    def _or_zero(self, site: SSAValue, value: SSAValue, at: Inserter) -> SSAValue:
        """Return what is read at a site: 0 where it is none, whatever was written."""
        nowhere = at.add(constant(np.array(NO_SITE), i32))
        exists = at.add(compare("NE", at.add(sym.IndexOp(site)), nowhere))
        element = cast(TensorType[Attribute], self.local_value).element_type
        zero = at.add(constant(np.zeros(()), element))
        return at.add(select(exists, value, zero))

    def _select(self, op: sym.SelectOp) -> Chain:
        """Merge two chains into one that writes what the predicate chooses."""
        at = Inserter.before(op)
        on_true, on_false = self._chain(op.on_true), self._chain(op.on_false)
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
            kept = self._read(tuple(merged), site, at)
            merged.append((site, at.add(select(op.predicate, value, kept))))
        for site, value in on_false[shared:]:
            kept = self._read(tuple(merged), site, at)
            merged.append((site, at.add(select(op.predicate, kept, value))))
        return tuple(merged)

    def _emit(self, op: sym.EmitOp) -> None:
        """Emit the configuration as a chain of its own, without overwritten writes."""
        at = Inserter.before(op)
        chain = self._chain(op.config)
        config = self.term.source
        for k, (site, value) in enumerate(chain):
            if any(
                alias(self.term, site, later) is Alias.ALWAYS
                for later, _ in chain[k + 1 :]
            ):
                continue
            config = at.add(sym.WriteOp(config, site, value))
        op.operands[0] = config

    def _erase_dead_configurations(self) -> None:
        for op in reversed(list(self.term.body.block.walk())):
            dead = isinstance(op, sym.WriteOp | sym.SelectOp)
            if dead and not op.results[0].uses:
                Rewriter.erase_op(op)


def _same_site(a: SSAValue, b: SSAValue, at: Inserter) -> SSAValue:
    return at.add(compare("EQ", at.add(sym.IndexOp(a)), at.add(sym.IndexOp(b))))


@dataclass(frozen=True)
class SymForwardReadsPass(ModulePass):
    """Bring every term into the normal form that `convert-sym-to-bt` takes."""

    name = "sym-forward-reads"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for operator in op.walk():
            if not isinstance(operator, sym.OperatorOp):
                continue
            local_value = tensor(sym.real_type(operator.element))
            for term in operator.terms:
                _TermNormalizer(term, local_value).run()
