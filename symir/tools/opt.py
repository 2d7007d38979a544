"""`symir-opt`: xDSL's driver with the dialects, the passes and the parser of symir."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass, PassPipeline
from xdsl.targets.mlir import MLIRTarget
from xdsl.universe import Universe
from xdsl.utils.arg_spec import ArgSpecParseError
from xdsl.utils.exceptions import ParseError, PassFailedException, VerifyException
from xdsl.xdsl_opt_main import xDSLOptMain

from dialects.registry import get_all_dialects
from dialects.text import Parser, Printer, print_module
from symir.compiler.lowering import no_pipeline
from symir.operator.ir import fingerprint
from symir.tools.colours import coloured
from symir.tools.show import Style

_TOLD = (OSError, ParseError, PassFailedException, VerifyException)


class SymirOptMain(xDSLOptMain):
    """The driver; dialects and passes come through the `xdsl.universe` entry point."""

    def register_all_dialects(self) -> None:
        """Register every dialect; StableHLO with the ops that xdsl-jax lacks."""
        known = {**Universe.get_multiverse().all_dialects, **get_all_dialects()}
        for name, factory in known.items():
            self.ctx.register_dialect(name, factory)

    def register_all_frontends(self) -> None:
        super().register_all_frontends()

        def parse_mlir(source: IO[str]) -> ModuleOp:
            # Networks may have ops that no dialect here has
            self.ctx.allow_unregistered = True
            parser = Parser(self.ctx, source.read(), self.get_input_name())
            return parser.parse_module(not self.args.no_implicit_module)

        self.available_frontends["mlir"] = parse_mlir

    def register_all_targets(self) -> None:
        super().register_all_targets()
        self.available_targets["mlir"] = lambda: _MLIRTarget

    def setup_pipeline(self) -> None:
        """Print the IR after each pass in our own way, if that is asked for."""
        try:
            super().setup_pipeline()
        except (ValueError, ArgSpecParseError) as error:
            known = self.available_passes
            sys.exit(f"error: {no_pipeline(self.args.passes, error, known)}")
        if self.args.print_between_passes:
            passes = self.pipeline.passes
            changes = _Changes(
                len(passes),
                Style.of(sys.stdout),
                verifies=not self.args.disable_verify,
                times=self.args.time_passes,
            )
            self.pipeline = PassPipeline(passes, changes)

    def output_resulting_program(self, prog: ModuleOp) -> str:
        """Return the text of the result, in colours below that of the passes."""
        text = super().output_resulting_program(prog)
        between = self.args.print_between_passes and self.args.output_file is None
        return _shown(text, Style.of(sys.stdout)) if between else text


@dataclass(frozen=True)
class _MLIRTarget(MLIRTarget):
    """The text of a module as symir prints it; in colours it is xDSL's."""

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        if self.syntax_highlight:
            super().emit(ctx, module, output)
            return
        printer = Printer(
            stream=output,
            print_generic_format=self.print_generic_format,
            print_properties_as_attributes=self.print_properties_as_attributes,
            print_debuginfo=self.print_debuginfo,
        )
        printer.print_op(module)
        printer.print_metadata(ctx.loaded_dialects)
        print("\n", file=output)


class _Changes:
    """Prints what each pass left below a headline; the headline alone if nothing new.

    Headlines are comments: what is printed is MLIR. What the last pass left is printed
    by the driver.
    """

    def __init__(self, total: int, style: Style, *, verifies: bool, times: bool):
        self._total = total
        self._style = style
        self._verifies = verifies
        self._times = times
        self._number = 0
        self._ops = 0
        self._mark = ""
        self._start = 0.0

    def __call__(
        self, before: ModulePass | None, module: ModuleOp, after: ModulePass | None
    ) -> None:
        elapsed = time.perf_counter() - self._start
        if self._verifies:
            module.verify()
        ops, mark = sum(1 for _ in module.walk()) - 1, fingerprint(module)
        if before is None:
            self._number = 0
        else:
            self._number += 1
            changed = mark != self._mark
            took = f", {elapsed:.6f} s" if self._times else ""
            self._print_headline(before, ops if changed else None, took)
            if changed and after is not None:
                print(_shown(print_module(module), self._style), end="\n\n")
        self._ops, self._mark = ops, mark
        sys.stdout.flush()
        self._start = time.perf_counter()

    def _print_headline(self, one: ModulePass, ops: int | None, took: str) -> None:
        place = f"// pass {self._number} of {self._total}"
        counts = f"{self._ops} ops, nothing changed"
        if ops is not None:
            counts = f"{self._ops} -> {ops} ops"
        spec = one.pipeline_pass_spec()
        print(self._style.strong(f"{place}: {spec}: {counts}{took}"))


def _shown(text: str, style: Style) -> str:
    return coloured(text) if style.colours else text


def main(args: Sequence[str] | None = None) -> None:
    """Run `symir-opt`; what is wrong with its input is told without a traceback."""
    try:
        SymirOptMain("symir modular optimizer driver", args).run()
    except _TOLD as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
