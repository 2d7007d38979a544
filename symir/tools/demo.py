"""`symir demo`: one operator at every level, and its connected states."""

from __future__ import annotations

import inspect
import shutil
from typing import TYPE_CHECKING, TextIO, cast

from dialects.text import print_module
from lowering.bt.bt_specialize import state_type
from symir.compiler import lower_to_bt, lower_to_stablehlo
from symir.operator.symbolic_operator import SymbolicOperator
from symir.plain_text import elided_constants, elided_middle, shortened_lines
from symir.tools import run
from symir.tools.configurations import Samples
from symir.tools.progress import Progress
from symir.tools.show import Style

if TYPE_CHECKING:
    from symir.runtime.compiled_operator import CompiledOperator

_BATCH = 4
_SHOWN = 1
_SEED = 2
_LINES = 40
_WIDTH = 110


def tfim_chain() -> SymbolicOperator:
    """Return the operator that the demo is about; the demo shows what this does."""
    import symir as sym

    n, J, h = 8, 1.0, 1.0
    ring = [(i, (i + 1) % n) for i in range(n)]
    z_i, z_j = sym.site("i").value, sym.site("j").value
    return (
        sym.DOperator(sym.spin(0.5, n), "tfim", hermitian=True)
        .for_each(("i", "j"), over=ring)
        .named("bonds")
        .emit(amplitude=J * z_i * z_j, tag="zz")
        .for_each_site("i")
        .named("field")
        .emit(sym.write("i", -z_i), amplitude=-sym.symbol("h", default=h), tag="flip")
        .build()
    )


_WELCOME = """\
symir compiles operators on lattices. This is a transverse-field Ising chain of 8 spins,

  H = J sum_i Z_i Z_(i+1) - h sum_i X_i

on its way from what you write to the states that it connects. Lines that end in `...`
are cut to fit; `symir emit` prints them whole."""

_DECLARATION = """\
Two terms: over the bonds, x stays as it is; over the sites, one spin flips."""

_SYM = """\
The physics, as written: each term iterates over rows of sites, reads the source x,
makes x' by updates, and emits x' with the matrix element <x|H|x'>."""

_BT = """\
The same for a whole batch: every row is a lane, x' is a list of (site, value) writes,
and the batch size is still open (?)."""

_STABLEHLO = """\
One kernel for {batch} samples of {state}, which XLA compiles for CPU, GPU or TPU."""

_STATES = """\
The kernel at work on {batch} random samples, of which one is shown. From x, each lane
leads to x' with the matrix element on its right."""

_NEXT = """\
Put an operator into a file, say my_operator.py, with `import symir as sym` and a global
variable that holds it; examples/ has four to start from. Then

  symir emit my_operator.py --level bt
  symir run my_operator.py --random 4 --seed 0
  symir run my_operator.py --input configs.npy --output out.npz
  symir run my_operator.py --input configs.csv --param h=0.7

or stay in Python, also under jax.jit:

  compiled = operator.compile()
  xp, mels = compiled.get_conn_padded(x)   # x: (.., N) -> xp: (.., K, N), mels: (.., K)

symir run --help says more."""


def run_demo(stream: TextIO, progress: Progress) -> None:
    """Print the demo.

    Raises:
        InputError: where JAX cannot be imported (T020), or XLA fails (T021).
    """
    operator = tfim_chain()
    state = state_type(operator.space.default_dtype())
    branch_tensors = lower_to_bt(operator.to_ir().module)
    kernel = lower_to_stablehlo(branch_tensors, _BATCH, state)
    sections = (
        ("The operator, in Python", _DECLARATION, _source()),
        ("Level sym", _SYM, operator.to_ir().text(elide_rows_over=_LINES)),
        ("Level bt (branch tensors)", _BT, print_module(branch_tensors)),
        (
            "Level stablehlo",
            _STABLEHLO.format(batch=_BATCH, state=state),
            print_module(kernel),
        ),
        ("Connected states", _STATES.format(batch=_BATCH), ""),
        ("Your own operators and data", _NEXT, ""),
    )
    print(_WELCOME, file=stream)
    for number, (title, text, code) in enumerate(sections, 1):
        heading = f"{number}. {title}"
        strong = Style.of(stream).strong(heading)
        print(f"\n{strong}\n{'-' * len(heading)}\n{text}\n", file=stream)
        for line in _fitting(code, stream):
            print(f"  {line}".rstrip(), file=stream)
        if title == "Connected states":
            _show_states(operator, stream, progress)


def _fitting(code: str, stream: TextIO) -> list[str]:
    """Return no more of a code than fits."""
    width = _WIDTH
    if stream.isatty():
        width = max(60, shutil.get_terminal_size((_WIDTH, 24)).columns - 1)
    fitting = elided_middle(elided_constants(code), _LINES)
    return shortened_lines(fitting, width - 2).splitlines()


def _source() -> str:
    """Return the body of `tfim_chain`, without its docstring."""
    source = inspect.getsource(tfim_chain)
    body = inspect.cleandoc(source[source.index("import symir") :])
    return body.replace("return (", "operator = (", 1)


def _show_states(
    operator: SymbolicOperator, stream: TextIO, progress: Progress
) -> None:
    states = operator.space.random_states(_BATCH, _SEED)
    artifact = run.compile_artifact(operator, progress)
    layout = artifact.branch_layout()
    outcome = run.run(
        cast("CompiledOperator", artifact.compiled_operator),
        Samples(states, states.dtype),
        layout,
        block=_BATCH,
        show=_SHOWN,
        output=None,
        progress=progress,
    )
    run.show_outcome(outcome, operator, layout, stream, lanes=operator.max_conn_size)
