"""Pipelines of xDSL passes: `sym` to `bt` per operator, `bt` to a kernel per shape.

A pipeline is written as xDSL's pass-pipeline string: `symir-opt -p` takes the same
text. Nothing here needs JAX.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import fields, replace
from difflib import get_close_matches
from functools import cache

from xdsl.dialects.builtin import ArrayAttr, DenseIntOrFPElementsAttr, ModuleOp
from xdsl.ir import Attribute, Operation
from xdsl.passes import ModulePass, PassPipeline
from xdsl.utils.arg_spec import ArgSpec, parse_pipeline
from xdsl.utils.exceptions import (
    ArgSpecParseError,
    ParseError,
    PassFailedException,
    VerifyException,
)

from dialects import bt, sym
from dialects.text import context
from dialects.verification import Seen, fault_in
from lowering.registry import get_all_passes, known_passes
from lowering.remarks import collected
from symir.compiler.context import SymbolicPassReport
from symir.compiler.dump import dumping
from symir.compiler.failures import tolerated
from symir.compiler.signature import extension_token
from symir.compiler.trace import Trace, op_count
from symir.errors import SymbolicCompilerError
from symir.provenance import whereabouts
from symir.spans import is_recording, span

_SIMPLIFY = ["stablehlo-fold-constants", "canonicalize", "cse"]

_STRATEGIES = [
    "bt-compact",
    "bt-join-diagonal",
    "bt-reduce-strategy",
    "bt-materialize-strategy",
]


def operator_pipeline(
    coalesce: str = "none",
    opt_level: int = 2,
    without: Collection[str] = (),
    *,
    most_kept: float | None = None,
) -> str:
    """Return the passes from a `sym.operator` to a function on branch tensors.

    Args:
        coalesce: "none", "diagonal" or "static": see `SymbolicCompilerOptions`.
        opt_level: 0 to 3, likewise.
        without: names of passes that are left out, of `optional_passes()`.
        most_kept: that option of `bt-compact`.
    """
    optimised = coalesce != "none" or opt_level > 2
    bounded = optimised and "bt-narrow" not in without
    arranged = opt_level > 0 and _ARRANGE not in without
    tidy = _SIMPLIFY if opt_level else []
    passes = [
        *(["sym-gather-terms", "sym-fuse-terms"] if opt_level > 1 else []),
        "sym-guard-undefined",
        "sym-expand-updates",
        "sym-forward-reads",
        *tidy,
        "sym-guard-space",
        _convert(bounds=bounded, values=coalesce == "static", arrange=arranged),
        *tidy,
    ]
    if optimised:
        passes += ["bt-prune"]
    if coalesce != "none":
        passes += ["bt-coalesce-diagonal", *tidy]
    if coalesce == "static":
        passes += ["bt-coalesce-static", *tidy]
    if optimised:
        passes += [*_STRATEGIES, *tidy]
    compact = "bt-compact" + ("" if most_kept is None else f"{{{most_kept=}}}")
    kept = [name for name in passes if name not in without]
    return ",".join(compact if name == "bt-compact" else name for name in kept)


def _convert(*, bounds: bool, values: bool, arrange: bool) -> str:
    """Return the conversion, with what it tells the passes of the kernel."""
    said = [
        *(["bounds=true"] if bounds else []),
        *(["values=true"] if values else []),
        *([] if arrange else ["arrange=false"]),
    ]
    return f"convert-sym-to-bt{{{' '.join(said)}}}" if said else "convert-sym-to-bt"


_ARRANGE = "stablehlo-arrange-gathers"
_OF_KERNELS = ("bt-narrow", _ARRANGE)
"""Passes of `KERNEL_PIPELINE` that depend on what a function says."""


@cache
def optional_passes() -> frozenset[str]:
    """Return the names of the passes that a compilation can be without."""
    every = LoweringPipeline.parse(operator_pipeline("static", 3)).names
    needed = LoweringPipeline.parse(operator_pipeline("none", 0)).names
    return frozenset({*every, *_OF_KERNELS}) - frozenset(needed)


_IN_FILES = ("canonicalize", "cse", "dce")
"""Passes of xDSL that only rewrite IR: others read and write files and run programs."""


def lowering_of_file(text: str) -> LoweringPipeline:
    """Return the pipeline that a file asks for, which may be anybody's.

    Raises:
        SymbolicCompilerError: for other passes, or a text that is no pipeline (C008).
    """
    lowering = LoweringPipeline.parse(text)
    known = {*get_all_passes(), *_IN_FILES}
    others = [name for name in lowering.names if name not in known]
    if not others:
        return lowering
    raise SymbolicCompilerError(
        "C008",
        "files cannot ask for every pass",
        expected=f"passes of symir, {', '.join(_IN_FILES)}",
        found=", ".join(others),
    )


OPERATOR_PIPELINE = operator_pipeline()
"""Default of `operator_pipeline`: every branch has a lane of its own."""

KERNEL_PIPELINE = (
    "bt-specialize{{batch={batch} state={state}}},bt-narrow,convert-bt-to-stablehlo,"
    "stablehlo-fold-constants,cse,stablehlo-arrange-gathers,dce"
)
"""From branch tensors to a kernel for one batch size and state type."""


class LoweringPipeline:
    """Passes over IR, in order; immutable, and printed as a pass-pipeline string."""

    def __init__(self, passes: Iterable[ModulePass]):
        self._passes = tuple(passes)

    @classmethod
    def parse(cls, text: str) -> LoweringPipeline:
        """Return the pipeline of a pass-pipeline string.

        Passes are those of `symir-opt`: of symir, of xDSL, and of installed packages.

        Raises:
            SymbolicCompilerError: for a text that is none, or an unknown pass (C008).
        """
        try:
            specs = tuple(parse_pipeline(text))
            known = known_passes(*(spec.name for spec in specs))
            if all(spec.name in known for spec in specs):
                return cls(_made(known[spec.name](), spec) for spec in specs)
            return cls(PassPipeline.parse_spec(known, text).passes)
        except (Exception, ArgSpecParseError) as error:
            # xDSL derives ArgSpecParseError from BaseException.
            raise no_pipeline(text, error) from error

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the passes, in order; some may come twice."""
        return tuple(one.name for one in self._passes)

    def __iter__(self) -> Iterator[ModulePass]:
        return iter(self._passes)

    def __len__(self) -> int:
        return len(self._passes)

    def __str__(self) -> str:
        return ",".join(map(_spec_of, self._passes))

    def __repr__(self) -> str:
        return f"LoweringPipeline.parse({str(self)!r})"

    def inserted(self, new: ModulePass, position: int) -> LoweringPipeline:
        """Return the pipeline with one more pass, in front of that at a position."""
        return LoweringPipeline(
            (*self._passes[:position], new, *self._passes[position:])
        )

    def signature(self) -> str:
        """Return a text that differs where the pipeline does: a part of cache keys."""
        return "|".join([str(self), *map(_signature_of, self._passes)])

    def run(
        self,
        module: ModuleOp,
        *,
        in_place: bool = False,
        verify: bool = True,
        verified: bool = False,
        trace: Trace | None = None,
    ) -> ModuleOp:
        """Apply the passes to a copy of a module, verifying before and after each.

        With `in_place` it is the module itself that changes; with `verified` it is
        known to be valid before the first of them. The trace gets a stage and a report
        for each pass.

        Raises:
            SymbolicCompilerError: where a pass leaves invalid IR (C001) or fails
                (C002).
        """
        result = module if in_place else module.clone()
        trace = trace or Trace(keeps_stages=False)
        write = dumping(trace.dump, module) if trace.dump else None
        valid = Seen.of(result) if verify and verified else Seen()
        if verify and not verified:
            with span("verify", "verification"):
                _verify(result, "the operator is invalid IR", valid)
        sizes = _sizes(result) if is_recording() else {}
        before = op_count(result)
        ctx = context()
        for position, one in enumerate(self._passes):
            start = time.perf_counter()
            error: SymbolicCompilerError | None = None
            with span(one.name, "pass") as recorded, collected() as remarks:
                try:
                    one.apply(ctx, result)
                except Exception as exception:
                    error = _failed(one, exception)
            elapsed = 1000 * (time.perf_counter() - start)
            if recorded:
                before_it, sizes = sizes, _sizes(result)
                recorded.set(spec=_spec_of(one), before=before_it, after=sizes)
            if verify and error is None:
                message = f"the pass '{one.name}' left invalid IR"
                with span("verify", "verification", after=one.name):
                    error = _verify_error(result, message, one.name, valid)
            after = op_count(result)
            trace.reports.append(
                SymbolicPassReport(
                    one.name,
                    "lowering",
                    elapsed,
                    before,
                    after,
                    error=None if error is None else error.found,
                    remarks=tuple(remarks),
                )
            )
            before = after
            if error is not None:
                raise error from error.__cause__
            # In front of the first pass the last stage is of another run
            same = valid.unchanged and verify and position > 0
            trace.add(one, result, same=same)
            if write:
                write(one.name, result)
        return result

    def run_and_verify(
        self, module: ModuleOp, *, verified: bool = False, trace: Trace | None = None
    ) -> ModuleOp:
        """Apply the passes to a copy of a module, verifying before and after all.

        Only where what they leave is invalid, or one fails, they run again, verified
        one by one, to tell which one is wrong, and are reported again: the last report
        is on that one. Otherwise as `run`, for passes that are known; the stages have
        not been verified.
        """
        try:
            with span("verify", "verification"):
                if not verified:
                    _verify(module, "the operator is invalid IR", Seen())
            result = self.run(module, verify=False, trace=trace)
            with span("verify", "verification"):
                _verify(result, "the passes left invalid IR", Seen())
        except Exception:
            again = trace and replace(trace, keeps_stages=False)
            self.run(module, verified=verified, trace=again)
            raise  # a pass that is right the second time
        return result

    def run_what_works(
        self,
        module: ModuleOp,
        optional: Collection[str],
        *,
        verified: bool = False,
        trace: Trace | None = None,
    ) -> ModuleOp:
        """Apply the passes as `run_and_verify` does, without optional ones that fail.

        Those are named. Where one of them fails, or leaves invalid IR, all others run
        again; the last report before that is on it, with a remark: see `tolerated`.
        """
        trace = trace or Trace(keeps_stages=False)
        start = len(trace.stages)
        try:
            return self.run_and_verify(module, verified=verified, trace=trace)
        except SymbolicCompilerError as error:
            if error.pass_name not in optional:
                raise
            said = tolerated(error, f"the pass '{error.pass_name}' is left out")
            trace.reports.append(replace(trace.reports[-1], remarks=(said,)))
            others = [one for one in self if one.name != error.pass_name]
        del trace.stages[start:]
        return LoweringPipeline(others).run_what_works(
            module, optional, verified=verified, trace=trace
        )


def _made(kind: type[ModulePass], spec: ArgSpec) -> ModulePass:
    # xDSL reads the type hints of a pass, which takes long and is for its options
    return kind.from_pass_spec(spec) if spec.parameters or fields(kind) else kind()


def _names_in(text: str) -> list[str]:
    return [spec.name for spec in parse_pipeline(text)]


def no_pipeline(
    text: str, error: BaseException, known: Collection[str] | None = None
) -> SymbolicCompilerError:
    """Return the error on a text that is no pipeline, with names that are near.

    `known` has the names of all passes, if they are not those of `known_passes`.
    """
    hint = None
    with suppress(Exception, ArgSpecParseError):
        names = _names_in(text)
        known = known_passes(*names) if known is None else known
        unknown = (name for name in names if name not in known)
        near = [get_close_matches(name, known, n=1) for name in unknown]
        found = [repr(name) for some in near for name in some]
        hint = f"did you mean {', '.join(found)}?" if found else None
    return SymbolicCompilerError(
        "C008",
        "this is no pass pipeline",
        expected="pass names of symir-opt -h, separated by commas",
        found=f"{text!r}: {str(error).strip().splitlines()[-1].strip()}",
        hint=hint,
    )


def _spec_of(one: ModulePass) -> str:
    try:
        return str(one.pipeline_pass_spec())
    except Exception:
        # A setting that a pass pipeline cannot say, such as a function
        return one.name


def _signature_of(one: ModulePass) -> str:
    own = getattr(one, "signature", None)
    return str(own()) if callable(own) else extension_token(one)


def _failed(one: ModulePass, exception: Exception) -> SymbolicCompilerError:
    expected = isinstance(exception, PassFailedException)
    found = str(exception) if expected else _plain(exception)
    error = SymbolicCompilerError(
        "C002", f"the pass '{one.name}' failed", found=found, pass_name=one.name
    )
    error.__cause__ = exception
    return error


def _verify(module: ModuleOp, message: str, valid: Seen) -> None:
    error = _verify_error(module, message, None, valid)
    if error is not None:
        raise error from error.__cause__


def _verify_error(
    module: ModuleOp, message: str, pass_name: str | None, valid: Seen
) -> SymbolicCompilerError | None:
    fault = fault_in(module, valid)
    if fault is None:
        return None
    expected = isinstance(fault.error, VerifyException)
    found = str(fault.error).strip() if expected else _plain(fault.error)
    op = f"'{fault.op.name}'"
    error = SymbolicCompilerError(
        "C001",
        message,
        found=found if op in found else f"{op}: {found}",
        pass_name=pass_name,
        **whereabouts(fault.op),
    )
    error.__cause__ = fault.error
    return error


def _plain(error: Exception) -> str:
    message = error.msg if isinstance(error, ParseError) else str(error)
    return f"{type(error).__name__}: {message.strip()}"


def _sizes(module: ModuleOp) -> dict[str, int]:
    """Return what a trace says of the IR around a pass."""
    tables = sum(map(table_bytes, module.walk()))
    return {"ops": op_count(module), "table_bytes": tables}


def table_bytes(op: Operation) -> int:
    """Return the bytes of the tables of an op: rows, data, sets, constants."""
    return sum(map(_size_of, (*op.properties.values(), *op.attributes.values())))


def _size_of(attribute: Attribute) -> int:
    match attribute:
        case sym.RowsAttr() | sym.SetsAttr():
            return len(attribute.data.data)
        case sym.ColumnAttr():
            return _size_of(attribute.values)
        case DenseIntOrFPElementsAttr():
            return len(attribute.data.data)
        case ArrayAttr():
            return sum(map(_size_of, attribute))
        case _:
            return 0


def run_passes(module: ModuleOp, pipeline: str) -> ModuleOp:
    """Apply a pass pipeline to a copy of a module, verifying after every pass.

    Raises:
        SymbolicCompilerError: where a pass leaves invalid IR (C001) or fails (C002).
    """
    return LoweringPipeline.parse(pipeline).run(module)


def lower_to_bt(module: ModuleOp) -> ModuleOp:
    """Lower the operators of a module to branch tensors."""
    return run_passes(module, OPERATOR_PIPELINE)


def lower_to_stablehlo(
    module: ModuleOp, batch: int, state: str, *, verify: bool = True
) -> ModuleOp:
    """Lower branch tensors to a kernel for one batch size and state type (`i8`, ..).

    Both are verified, and what is in between where something is wrong: to verify after
    each pass was a quarter of the time.
    """
    pipeline = kernel_pipeline(batch, state, module)
    trace = Trace(dump=f"kernel-{batch}x{state}", keeps_stages=False)
    if not verify:
        return pipeline.run(module, verify=False, trace=trace)
    return pipeline.run_and_verify(module, trace=trace)


def kernel_pipeline(batch: int, state: str, module: ModuleOp) -> LoweringPipeline:
    """Return the passes from branch tensors to a kernel for one batch size and type.

    Gathers of a module with `bt.unarranged` stay as they are.
    """
    pipeline = LoweringPipeline.parse(KERNEL_PIPELINE.format(batch=batch, state=state))
    if not any(isinstance(op, bt.UnarrangedOp) for op in module.walk()):
        return pipeline
    return LoweringPipeline(one for one in pipeline if one.name != _ARRANGE)
