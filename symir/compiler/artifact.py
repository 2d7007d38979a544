"""Artifact of a compilation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp

from dialects import bt, sym
from dialects.origins import LaneOrigins
from dialects.text import parse_module, print_module
from lowering.bt.lanes import connections_in, lanes_of_function
from symir.compiler.context import SymbolicPassReport
from symir.compiler.lowering import lower_to_bt, lower_to_stablehlo
from symir.compiler.manifest import manifest_of
from symir.compiler.options import SymbolicCompilerOptions
from symir.compiler.signature import SymbolicCacheKey
from symir.errors import SymbolicCompilerError
from symir.files import write_file
from symir.late import late
from symir.operator.ir import SymbolicOperatorIR

if TYPE_CHECKING:
    from symir.compiler.optimisation import OptimisationReport
    from symir.compiler.reference import ReferenceOperator
    from symir.runtime.compiled_operator import CompiledOperator


@late
def exported_bytes(
    operator: CompiledOperator,
    *,
    batch: str | int,
    dtype: np.dtype[Any],
    chunk: int,
    platforms: Sequence[str],
) -> bytearray:
    """Return what `SymbolicCompiledArtifact.export` writes."""
    ...


class BranchOrigin(NamedTuple):
    """Where a branch lane comes from.

    `row` and `emission` are None for a term with a fanout: which of its branches a lane
    holds differs from x to x. So they are for a sum of several lanes: `term` are then
    the names of their terms, joined by "+", and `tag` is the one that they share.
    """

    term: str
    row: int | None
    emission: int | None
    tag: str | None


@dataclass(frozen=True)
class SymbolicCompiledArtifact:
    """A compiled operator together with its IR at every level.

    Attributes:
        operator_ir: the `sym` level, in the precision that it was compiled in.
        branch_tensors: the `bt` level; None of a backend that has none.
        compiled_operator: what runs.
        backend: "jax" or "reference".
        lowerer_name: the name of the lowerer that made it.
        cache_key: its key in stores; None where no cache was involved.
        pass_reports: what the passes did, in order.
        metadata: facts, by name: see `metadata_map`.
        options: the options in effect; None where the lowerer did not say.
        lowering: the passes from `sym` to `bt`, as a pipeline string of xDSL; None of a
            backend that has none.
    """

    operator_ir: SymbolicOperatorIR
    branch_tensors: ModuleOp | None
    compiled_operator: CompiledOperator | ReferenceOperator
    backend: str
    lowerer_name: str
    cache_key: SymbolicCacheKey | None = None
    pass_reports: tuple[SymbolicPassReport, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    options: SymbolicCompilerOptions | None = None
    lowering: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        # As text: a module is a list of ops linked to each other, too deep for pickle
        module = self.branch_tensors
        text = None if module is None else print_module(module)
        return {**self.__dict__, "branch_tensors": text}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        text = state["branch_tensors"]
        module = None if text is None else parse_module(text)
        self.__dict__.update({**state, "branch_tensors": module})

    @property
    def operator_name(self) -> str:
        """The name of the operator."""
        return self.operator_ir.operator_name

    def cache_token(self) -> str:
        """Return the SHA-256, in hex, that identifies the compilation.

        Raises:
            SymbolicCompilerError: where it was compiled without a cache (C011).
        """
        if self.cache_key is not None:
            return self.cache_key.token
        raise SymbolicCompilerError(
            "C011",
            "the artifact was compiled without a cache",
            operator=self.operator_name,
            hint="operator_ir.static_fingerprint() identifies the operator",
        )

    def metadata_map(self) -> dict[str, Any]:
        """Return facts about the artifact, by name.

        They are `hilbert_size`, `dtype_str`, `term_count`, `total_padded_size` (the
        number of lanes), `declared_hermitian`, the analyses `term_fanouts` and
        `fusion_groups`, and what the caller of the compiler added.
        """
        ir = self.operator_ir
        return {
            "hilbert_size": ir.hilbert_size,
            "dtype_str": ir.dtype_str,
            "term_count": ir.term_count,
            "total_padded_size": self.lanes,
            "declared_hermitian": ir.declared_hermitian,
            **self.metadata,
        }

    def manifest(self) -> dict[str, Any]:
        """Return all that explains and reproduces the compilation, as JSON data.

        Beside names, the fingerprint and the cache key there are the options in effect,
        the passes with their stages, times and numbers of ops, the lowering as a
        pipeline string of xDSL, rows and lanes of each term, the parameters, what goes
        into a kernel and what comes out (shapes, "batch" standing for the number of
        samples, dtypes, and bytes per sample; x' has the dtype of x, given as the
        narrowest one), `metadata_map()`, and the versions.
        """
        return manifest_of(self)

    def export(
        self,
        path: str | os.PathLike[str],
        batch: str | int = "b",
        *,
        dtype: npt.DTypeLike | None = None,
        chunk: int = 256,
        platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
    ) -> None:
        """Write the compiled operator to a file that runs with JAX, without symir.

        The file holds what `jax.export` serialises of a function of x (batch, N) and a
        dictionary of parameters, which returns x' (batch, K, N) and the matrix elements
        (batch, K) as `get_conn_padded` does:

            jax.export.deserialize(bytearray(file.read_bytes())).call(x, {"h": 0.5})

        It has no defaults: every parameter has to be given, in its dtype. Where the
        operator computes with 64 bits, the process that loads it has to allow them.

        Args:
            path: the file; one that exists is replaced.
            batch: the number of samples, or a name for any number but 0: then samples
                run in chunks, which takes about as long as a whole last chunk.
            dtype: the dtype of x, by default the narrowest that holds the local values.
            chunk: how many samples run at once where `batch` is a name.
            platforms: what the file is to run on; of "cpu", "cuda", "rocm" and "tpu".

        Raises:
            InputError: for a dtype that cannot hold the local values (R002).
            SymbolicCompilerError: for an artifact without a kernel, or where the
                package flatbuffers is missing (C024); for an argument that cannot be
                (C025); where the file cannot be written (C015).
        """
        if self.backend != "jax":
            raise SymbolicCompilerError(
                "C024",
                "the artifact has no kernel that could be exported",
                operator=self.operator_name,
                expected="an artifact of the backend 'jax'",
                found=f"backend '{self.backend}'",
            )
        data = exported_bytes(
            cast("CompiledOperator", self.compiled_operator),
            batch=batch,
            dtype=state_dtype(self, dtype),
            chunk=chunk,
            platforms=platforms,
        )
        write_file(path, bytes(data), self.operator_name)

    @late
    def optimisation_report(
        self, batch: int = 1024, dtype: npt.DTypeLike | None = None
    ) -> OptimisationReport:
        """Return what the passes did, what they did not do and why, and the cost.

        It prints as a text, and `as_dict()` gives it as plain data. The passes run
        again, those of the kernel for this batch size and dtype of x, by default the
        narrowest one that holds the local values. The cost is predicted from the IR,
        and compares parts of one operator: it is no time.

        Raises:
            SymbolicCompilerError: where the passes cannot be run again (C026): of the
                backend "reference", or with passes that have no name; for a batch size
                or dtype that cannot be (C025).
        """
        ...

    @late
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the operator to a text file, with what `load_artifact` compiles it by.

        Raises:
            SymbolicCompilerError: where the file cannot be written (C015), or would not
                give the artifact back (C017): metadata are not plain data, parameters
                are not the operator's defaults, or passes or a lowerer that symir does
                not come with made what its own do not.
        """
        ...

    @late
    def _repr_html_(self) -> str:
        """Return what notebooks show."""
        ...

    def for_hilbert(self, hilbert: object) -> SymbolicCompiledArtifact:
        """Return the artifact for an equal space, which shares the kernel."""
        compiled = self.compiled_operator.for_hilbert(hilbert)
        return replace(self, compiled_operator=compiled)

    def ir(self, level: str, *, batch: int = 1, state: str = "i8") -> str:
        """Return the text of a level: `"sym"`, `"bt"` or `"stablehlo"`.

        `batch` and `state` choose the kernel to show at the last one.

        Raises:
            SymbolicCompilerError: for another level (C003).
        """
        if level == "sym":
            return self.operator_ir.text()
        if level not in ("bt", "stablehlo"):
            raise SymbolicCompilerError(
                "C003",
                "there is no such level",
                expected="sym, bt or stablehlo",
                found=repr(level),
            )
        branch_tensors = self.branch_tensors or lower_to_bt(self.operator_ir.module)
        if level == "bt":
            return print_module(branch_tensors)
        return print_module(lower_to_stablehlo(branch_tensors, batch, state))

    @property
    def lanes(self) -> int:
        """The number of lanes K, those that are never valid included."""
        return self.compiled_operator.max_conn_size

    def branch_layout(self) -> list[BranchOrigin]:
        """Return the term, row and emission that each branch lane comes from."""
        return [in_common(one) for one in self.lane_sources()]

    def lane_sources(self) -> list[tuple[BranchOrigin, ...]]:
        """Return all origins of each branch lane: of a sum of lanes more than one."""
        return lane_sources(self.operator_ir.module, self.branch_tensors)


def state_dtype(
    artifact: SymbolicCompiledArtifact, dtype: npt.DTypeLike | None
) -> np.dtype[Any]:
    """Return a dtype of x, by default the narrowest that holds the local values."""
    if dtype is None:
        return artifact.operator_ir.space.default_dtype()
    try:
        return np.dtype(dtype)
    except TypeError as error:
        raise SymbolicCompilerError(
            "C025",
            "there is no kernel for this dtype",
            operator=artifact.operator_name,
            expected="a dtype of NumPy, such as int8",
            found=repr(dtype),
        ) from error


def lane_sources(
    module: ModuleOp, lowered: ModuleOp | None
) -> list[tuple[BranchOrigin, ...]]:
    """Return all origins of each lane of an operator once it has been lowered.

    They follow from the origins of the branches. Where these are not known, and the
    number of lanes is another one, a lane may come from any.
    """
    operator = cast(sym.OperatorOp, module.body.block.first_op)
    current = _origins_in(module if lowered is None else lowered)
    branches = sum(term.branches for term in operator.terms)
    if current is None or current.branches not in (0, branches):
        origins = [(origin,) for origin in lane_origins(module)]
        lanes = None if lowered is None else lanes_of_function(lowered)
        if lanes is None or lanes == len(origins):
            return origins
        return [tuple(one for (one,) in origins)] * lanes
    named = branch_names(operator)
    sources: list[tuple[BranchOrigin, ...]] = []
    last: npt.NDArray[Any] | None = None
    for own in current:
        if own is not last:
            numbers: list[int] = own.tolist()
            names = (named[number] for number in numbers)
            sources.append(tuple(dict.fromkeys(names)))
        else:
            sources.append(sources[-1])
        last = own
    return sources


def branch_names(operator: sym.OperatorOp) -> list[BranchOrigin]:
    """Return the name of each branch, by the number that it had at first."""
    named = [origin for term in operator.terms for origin in _branches_of(term)]
    if operator.origins is None:
        return named
    place = np.argsort(operator.origins.data.ragged[0])
    return [named[number] for number in place.tolist()]


def _origins_in(module: ModuleOp) -> LaneOrigins | None:
    """Return the origins of the lanes of a lowered operator, where known."""
    for op in module.ops:
        if isinstance(op, sym.OperatorOp):
            return op.lane_origins()
    found = connections_in(module)
    return bt.origins_of(found[0].branches) if found else None


def in_common(origins: Sequence[BranchOrigin]) -> BranchOrigin:
    """Return what the origins of a lane have in common; `BranchOrigin` says what."""
    if len(origins) == 1:
        return origins[0]
    terms = "+".join(dict.fromkeys(origin.term for origin in origins))
    tags = {origin.tag for origin in origins}
    return BranchOrigin(terms, None, None, tags.pop() if len(tags) == 1 else None)


def lane_origins(module: ModuleOp) -> Iterator[BranchOrigin]:
    """Yield where each branch lane of the operator in a module comes from, in order."""
    operator = cast(sym.OperatorOp, module.body.block.first_op)
    for term in operator.terms:
        yield from islice(_branches_of(term), term.lanes)


def _branches_of(term: sym.TermOp) -> Iterator[BranchOrigin]:
    """Yield the name of each branch of a term: one for all where it has a fanout."""
    name = term.sym_name.data
    if term.lanes < term.branches:
        yield from repeat(BranchOrigin(name, None, None, None), term.branches)
        return
    tags = [e.tag.data if e.tag is not None else None for e in term.emissions]
    for row in range(term.rows.data.rows):
        for k, tag in enumerate(tags):
            yield BranchOrigin(name, row, k, tag)
