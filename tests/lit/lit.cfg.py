"""Configuration of the lit tests: what is a test, where it runs, what it may call."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import lit.formats

# lit executes this file with `config` defined.
config: Any = globals()["config"]

_HERE = Path(__file__).parent

config.name = "symir"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]

config.test_source_root = str(_HERE)
# Temporary files (%t) stay out of the source tree.
config.test_exec_root = str(_HERE.parent.parent / "build" / "lit")

# Keep JAX on the CPU, where the printed numbers do not depend on the machine.
config.environment["JAX_PLATFORMS"] = "cpu"

# RUN lines call symir-opt, symir, xdsl-opt and filecheck by name: those of the
# environment whose Python runs lit, whatever else is installed, forked from one
# process. The directory is not resolved, since the interpreter of a virtual environment
# is a link out of it.
sys.path.insert(0, str(_HERE.parent.parent))
_forked = import_module("tests.forked").start(config.environment)
_tools = [str(_forked), str(Path(sys.executable).parent)]
config.environment["PATH"] = os.pathsep.join(
    [*_tools, config.environment.get("PATH", "")]
)

# Examples and input files of the repository.
config.substitutions.append(("%root", str(_HERE.parent.parent)))
config.substitutions.append(("%examples", str(_HERE.parent.parent / "examples")))

# Starting JAX on a busy machine is slow; a hang is still found.
config.maxIndividualTestTime = 120
