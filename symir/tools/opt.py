"""`symir-opt`: xDSL's driver with the dialects, the passes and the parser of symir."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from xdsl.dialects.builtin import ModuleOp
from xdsl.xdsl_opt_main import xDSLOptMain

from dialects.text import Parser


class SymirOptMain(xDSLOptMain):
    """The driver; dialects and passes come through the `xdsl.universe` entry point."""

    def register_all_frontends(self) -> None:
        super().register_all_frontends()

        def parse_mlir(source: IO[str]) -> ModuleOp:
            parser = Parser(self.ctx, source.read(), self.get_input_name())
            return parser.parse_module(not self.args.no_implicit_module)

        self.available_frontends["mlir"] = parse_mlir


def main(args: Sequence[str] | None = None) -> None:
    """Run `symir-opt`."""
    SymirOptMain("symir modular optimizer driver", args).run()


if __name__ == "__main__":
    main()
