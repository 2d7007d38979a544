# pyright: basic
"""Local energies: symir's fused kernel against the kernels of NetKet.

`python -m benchmarks.local_energy` prints a table; `--only tfim_8x8,heisenberg` chooses
operators, `--models rbm,jastrow` wavefunctions, `--dtypes f64` the parameters,
`--quick` is a glance, `--deep` are deep networks, `--bars` those that have to be so
many times faster, which fails where one is not. `--json FILE` writes all figures,
`--markdown FILE` the table, and `--write-docs` puts it into docs/benchmarks.md;
`--report FILE ..` shows what was measured before. Before anything is timed, the
energies are compared.

docs/benchmarks.md says what the columns are.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from netket.vqs.mc import kernels
from netket.vqs.mc.kernels_packed import local_value_kernel_jax_packed

import symir as sym
from benchmarks import models
from benchmarks.harness import (
    environment,
    figures_of,
    in_fresh_process,
    interleave,
    load,
    markdown,
    medians_of,
    milliseconds,
    ratio,
    write_docs,
)
from benchmarks.models import Model, Peer
from benchmarks.wavefunctions import WAVEFUNCTIONS, Setting, initial

__all__ = ["SYSTEMS", "Pair", "System", "compare", "pairs_of"]

OURS, DEFAULT = "symir", "default"
CHUNKS, PACKED = (1024, 4096, 16384), (1024, 4096)
FIRST = (OURS, DEFAULT, f"packed {PACKED[-1]}")
"""What first calls are measured of."""

DTYPES = {"f64": np.float64, "f32": np.float32}

TOLERANCE = 1e-10
"""Of energies in f64, relative to the sum of the sizes of what they are sums of."""

SINGLE_TIMES, SINGLE_FLOOR = 2.0, 1e-6
"""Errors in f32 are at most so many times those of NetKet, or below a few roundings."""

COMPARED = 64
"""So many samples are compared."""

MIB = 2**20


# region Systems

SPINS = (
    "rbm",
    "rbm_complex",
    "rbm_modphase",
    "rbm_symm",
    "jastrow",
    "mlp1",
    "mlp2",
    "cnn",
    "resnet",
    "gcnn",
    "arnn",
    "vit",
)
CHEAP = ("rbm", "rbm_complex", "rbm_symm", "jastrow", "mlp1", "mlp2")
BOSONS = (
    "rbm",
    "rbm_complex",
    "rbm_one_hot",
    "embedding",
    "jastrow",
    "mlp1",
    "mlp2",
    "resnet",
    "arnn",
    "vit",
)
FERMIONS = (
    "rbm",
    "rbm_complex",
    "rbm_modphase",
    "jastrow",
    "mlp1",
    "mlp2",
    "slater",
    "slater_jastrow",
    "backflow",
)

HEAVY = {"resnet": 256, "gcnn": 256, "arnn": 256, "vit": 256}
"""How many samples a call takes at most, by the wavefunction."""


@dataclass(frozen=True)
class System:
    """An operator, and the wavefunctions that are measured with it.

    Attributes:
        define: returns it in symir's language and in that of NetKet.
        small: returns a small one of its kind, to compare energies of; None where
            that of another system is enough.
        script: which of NetKet's operators a user's script has: symir takes it over.
        shapes: those of the lattices, of the system and of the small one.
        batch: how many samples a call takes.
    """

    define: Callable[[], Model]
    small: Callable[[], Model] | None
    script: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    wavefunctions: tuple[str, ...]
    batch: int = 1024


def _square(
    define: Callable[[int], Model],
    length: int,
    script: str,
    wavefunctions: tuple[str, ...] = SPINS,
) -> System:
    return System(
        partial(define, length),
        partial(define, 4),
        script,
        ((length, length), (4, 4)),
        wavefunctions,
    )


ISING, LOCAL = "IsingJax", "LocalOperatorJax"
CONSERVING = "ParticleNumberAndSpinConserving.."

SYSTEMS: dict[str, System] = {
    "tfim_8x8": _square(models.tfim, 8, ISING),
    # Of more samples NetKet's default kernel takes tens of gigabytes
    "tfim_16x16": replace(
        _square(models.tfim, 16, ISING, CHEAP), small=None, batch=256
    ),
    "heisenberg_8x8": _square(models.heisenberg, 8, LOCAL),
    "j1_j2_8x8": _square(models.j1_j2, 8, LOCAL, (*CHEAP, "rbm_modphase", "vit")),
    "fermi_hubbard_4x4": System(
        lambda: models.fermi_hubbard(4, (8, 8)),
        lambda: models.fermi_hubbard(3, (4, 4)),
        "FermiHubbardJax",
        ((32,), (18,)),
        FERMIONS,
    ),
    "bose_hubbard_32": System(
        lambda: models.bose_hubbard(32),
        lambda: models.bose_hubbard(16),
        "BoseHubbardJax",
        ((32,), (16,)),
        BOSONS,
    ),
    "molecule_10": System(
        models.molecule,
        lambda: models.molecule(4, (2, 2)),
        CONSERVING,
        ((20,), (8,)),
        FERMIONS,
        batch=256,
    ),
}
"""The systems by name."""

REPEATING: dict[str, System] = {
    "molecule_10_peaked": System(
        partial(models.molecule, decay=0.5),
        None,
        CONSERVING,
        ((20,), (8,)),
        ("mlp2", "backflow"),
    ),
}
"""Systems whose samples have many x' in common, for benchmarks/energy_ablation.py:
NetKet's kernels would take minutes for each of them."""

DEEP: dict[str, System] = {
    f"deep_{name}_{length}x{length}": replace(
        _square(define, length, script, deep),
        small=None,
        batch=4096 // length**2,
    )
    for name, define, script in (
        ("tfim", models.tfim, ISING),
        ("heisenberg", models.heisenberg, LOCAL),
    )
    for length, deep in (
        (8, ("deep_cnn", "deep_resnet", "deep_arnn")),
        (16, ("deep_cnn", "deep_resnet")),
    )
}
DEEP["fermi_hubbard_8x8"] = System(
    lambda: models.fermi_hubbard(8, (32, 32)),
    lambda: models.fermi_hubbard(3, (4, 4)),
    "FermiHubbardJax",
    ((8, 8), (3, 3)),
    ("slogdet", "slogdet_jastrow", "slogdet_sum", "slogdet_backflow"),
    batch=128,
)
"""Systems of `--deep`: few samples, since NetKet's kernels take seconds for them."""

BARS: dict[tuple[str, str], tuple[float | None, float | None]] = {
    ("deep_tfim_16x16", "deep_cnn"): (12, 4),
    ("deep_tfim_8x8", "deep_cnn"): (4, 1.5),
    ("deep_heisenberg_16x16", "deep_cnn"): (10, None),
    ("deep_tfim_16x16", "deep_resnet"): (6, 2.5),
    ("fermi_hubbard_8x8", "slogdet"): (20, 20),
    ("fermi_hubbard_8x8", "slogdet_jastrow"): (20, 20),
    ("fermi_hubbard_8x8", "slogdet_sum"): (5, 5),
    ("fermi_hubbard_8x8", "slogdet_backflow"): (6, 6),
    ("deep_tfim_8x8", "deep_arnn"): (1.5, 1.5),
    ("tfim_8x8", "vit"): (1, 1),
    ("tfim_8x8", "gcnn"): (1, 1),
}
"""How many times faster than the best of NetKet energies have to be, in f64 and f32."""

NOISE = 0.95
"""What is as fast may measure slower by so much."""


@dataclass(frozen=True)
class Pair:
    """An operator and a wavefunction, with parameters of one type.

    Attributes:
        name: that of the system.
        wavefunction: its name.
        dtype: f64 or f32.
        is_small: whether it is the small system.
    """

    name: str
    wavefunction: str
    dtype: str
    is_small: bool = False

    @property
    def system(self) -> System:
        return (SYSTEMS | REPEATING | DEEP)[self.name]

    @cached_property
    def operators(self) -> Operators:
        return _operators(self.name, self.is_small)

    def setting(self, dtype: str) -> Setting:
        shape = self.system.shapes[self.is_small]
        return Setting(self.operators.script.hilbert, shape, DTYPES[dtype])

    @cached_property
    def module(self) -> Any:
        return WAVEFUNCTIONS[self.wavefunction](self.setting(self.dtype))

    @cached_property
    def variables(self) -> Any:
        return initial(self.module, self.operators.script.hilbert.size)

    @cached_property
    def x(self) -> Any:
        batch = min(self.system.batch, HEAVY.get(self.wavefunction, self.system.batch))
        return jnp.asarray(self.operators.samples(batch))

    @property
    def bar(self) -> float | None:
        """How many times faster it has to be, if that is said."""
        found = BARS.get((self.name, self.wavefunction), (None, None))
        return found[list(DTYPES).index(self.dtype)]

    def energy(self) -> sym.LocalEnergy:
        """Return symir's energy of the operator that a script has."""
        return sym.LocalEnergy(
            sym.from_netket(self.operators.script), self.module.apply
        )


@dataclass(frozen=True)
class Operators:
    """NetKet's operators of a system: that of a script, and the best of all."""

    script: Any
    best_name: str
    best: Any
    samples: Callable[[int], Any] = field(repr=False)


_OPERATORS: dict[tuple[str, bool], Operators] = {}


def _operators(name: str, is_small: bool) -> Operators:
    """Return the operators of a system: made once, as they take seconds."""
    key = (name, is_small)
    if key not in _OPERATORS:
        system = (SYSTEMS | REPEATING | DEEP)[name]
        define = system.small if is_small and system.small else system.define
        model = define()
        titles = [title for title in model.peers if title.startswith("netket ")]
        made = {
            title.removeprefix("netket "): _made(model.peers[title])
            for title in titles
            if not is_small or title.endswith(system.script)
        }
        script = made[system.script]
        best_name = system.script if is_small else _best(made, model.samples(256))
        best = made[best_name]
        _OPERATORS[key] = Operators(script, best_name, best, model.samples)
    return _OPERATORS[key]


def _made(peer: Peer | Callable[[], Any]) -> Any:
    return peer.make() if isinstance(peer, Peer) else peer()


def _best(operators: Mapping[str, Any], x: Any) -> str:
    """Return the name of the fastest of those with the fewest connected states."""
    fewest = min(operator.max_conn_size for operator in operators.values())
    few = {k: v for k, v in operators.items() if v.max_conn_size == fewest}
    if len(few) == 1:
        return next(iter(few))
    connected = jax.jit(lambda operator, x: operator.get_conn_padded(x))
    calls = {name: partial(connected, one, x) for name, one in few.items()}
    seconds = interleave(calls, rounds=7, turn=0.01)
    return min(few, key=lambda name: median(seconds[name]))


def pairs_of(
    systems: tuple[str, ...] = (),
    wavefunctions: tuple[str, ...] = (),
    dtypes: tuple[str, ...] = tuple(DTYPES),
    is_small: bool = False,
) -> list[Pair]:
    """Return pairs; of systems the beginning of a name is enough, and none are all."""
    return [
        Pair(name, wavefunction, dtype, is_small)
        for name, system in (SYSTEMS | REPEATING | DEEP).items()
        if name in systems or name in SYSTEMS
        if not systems or name.startswith(systems)
        if not is_small or system.small is not None
        for wavefunction in system.wavefunctions
        if not wavefunctions or wavefunction in wavefunctions
        for dtype in dtypes
    ]


# endregion
# region Values


def reference(pair: Pair, dtype: str, x: Any) -> tuple[Any, Any]:
    """Return the energies of x by NetKet's default kernel, and their magnitudes.

    The parameters are those of the pair, rounded as there, in a dtype. A magnitude is
    the sum of the sizes of what an energy is the sum of: energies may cancel.
    """
    module = WAVEFUNCTIONS[pair.wavefunction](pair.setting(dtype))
    real, complex_dtype = DTYPES[dtype], np.result_type(DTYPES[dtype], np.complex64)
    variables = jax.tree.map(
        lambda leaf: leaf.astype(complex_dtype if jnp.iscomplexobj(leaf) else real),
        pair.variables,
    )

    @jax.jit
    def energies(operator: Any, variables: Any, x: Any) -> tuple[Any, Any]:
        kernel = kernels.local_value_kernel_jax
        total = kernel(module.apply, variables, x, operator)
        connected, elements = operator.get_conn_padded(x)
        after = module.apply(variables, connected.reshape(-1, x.shape[-1]))
        before = module.apply(variables, x)
        change = after.reshape(elements.shape) - before[:, None]
        return total, (jnp.abs(elements) * jnp.exp(change.real)).sum(axis=1)

    total, magnitude = energies(pair.operators.script, variables, x)
    return np.asarray(total), np.asarray(magnitude)


def compare(pair: Pair, found: Mapping[str, Any], x: Any) -> dict[str, float]:
    """Return the errors of energies of x, relative to their magnitudes.

    In f32 settings of NetKet have errors of their own, and the largest is what symir's
    is held against.

    Raises:
        ValueError: where one is too large: in f64 above a tolerance, in f32 symir's
            above those of NetKet.
    """
    exact, magnitude = reference(pair, "f64", x)
    errors = {name: _error(one, exact, magnitude) for name, one in found.items()}
    allowed = TOLERANCE
    if pair.dtype == "f32":
        single, _ = reference(pair, "f32", x)
        errors["netket"] = _error(single, exact, magnitude)
        peers = [error for name, error in errors.items() if name != OURS]
        allowed = max(SINGLE_TIMES * max(peers), SINGLE_FLOOR)
    # What is not a number is too large as well
    wrong = [name for name, error in errors.items() if not error <= allowed]
    if wrong:
        shown = ", ".join(f"{name} {errors[name]:.1e}" for name in errors)
        raise ValueError(f"errors above {allowed:.1e}: {shown}")
    return errors


def _error(energies: Any, exact: Any, magnitude: Any) -> float:
    return float(np.max(np.abs(np.asarray(energies) - exact) / magnitude))


# endregion
# region Measuring


@dataclass(frozen=True)
class Ready:
    """A compiled function to be timed.

    Attributes:
        call: returns energies.
        temp: how many bytes XLA takes besides inputs and outputs.
    """

    call: Callable[[], Any]
    temp: int


def contenders(pair: Pair) -> dict[str, Callable[..., Any]]:
    """Return NetKet's kernels with each setting, functions of operator, .., x."""
    apply = pair.module.apply

    def default(operator: Any, variables: Any, x: Any) -> Any:
        return kernels.local_value_kernel_jax(apply, variables, x, operator)

    def chunked(chunk: int, operator: Any, variables: Any, x: Any) -> Any:
        return kernels.local_value_kernel_jax_chunked(
            apply, variables, x, operator, chunk_size=chunk
        )

    def packed(chunk: int, operator: Any, variables: Any, x: Any) -> Any:
        return local_value_kernel_jax_packed(
            apply, variables, x, operator, chunk_size=chunk
        )

    return {
        DEFAULT: default,
        **{f"chunk {size}": partial(chunked, size) for size in CHUNKS},
        **{f"packed {size}": partial(packed, size) for size in PACKED},
    }


def ready(function: Callable[..., Any], *arguments: Any) -> Ready:
    compiled = jax.jit(function).lower(*arguments).compile()
    memory = compiled.memory_analysis()
    temp = 0 if memory is None else memory.temp_size_in_bytes
    return Ready(lambda: compiled(*arguments), temp)


def evaluations(pair: Pair) -> dict[str, float]:
    """Return how many x' of a sample there are, with padding, and other than x."""
    operator, x = pair.operators.best, pair.x[:256]
    connected, _ = operator.get_conn_padded(x)
    is_new = (connected != x[:, None]).any(axis=-1)
    return {"padded": connected.shape[1], "live": float(is_new.sum(axis=1).mean())}


def measure(pair: Pair, rounds: int, turn: float) -> dict[str, Any]:
    """Compare the energies of all contenders, and let them take turns.

    Raises:
        ValueError: where the energies are not the same.
    """
    variables, x, operator = pair.variables, pair.x, pair.operators.best
    energy = pair.energy()
    found = {OURS: ready(energy, variables, x)}
    for name, function in contenders(pair).items():
        found[name] = ready(function, operator, variables, x)
    some = slice(0, COMPARED)
    energies = {name: np.asarray(one.call())[some] for name, one in found.items()}
    errors = compare(pair, energies, x[some])
    calls = {name: one.call for name, one in found.items()}
    seconds = interleave(calls, rounds=rounds, turn=turn)
    rows = {
        name: {
            "ms": milliseconds(times),
            "times_symir": ratio(seconds, name, OURS),
            "temp_bytes": found[name].temp,
            "error": errors[name],
            "all_ms": [1e3 * time for time in times],
        }
        for name, times in seconds.items()
    }
    return {
        "samples": len(x),
        "operator": pair.operators.best_name,
        "parts": parts_of(energy, variables, x),
        **evaluations(pair),
        "bar": pair.bar,
        "rows": rows,
    }


def parts_of(energy: sym.LocalEnergy, variables: Any, x: Any) -> list[str]:
    """Return how the ratio of each part of log psi is found."""
    program = energy.program(variables, x.dtype)
    return list(map(str, program.rungs)) if program.is_fused else ["network"]


_FIRST_CALL = """
import gc, time, jax
jax.config.update("jax_enable_x64", True)
from benchmarks import local_energy
pair = local_energy.Pair({name!r}, {wavefunction!r}, {dtype!r})
call = local_energy.first_call(pair, {contender!r})
gc.collect()  # the garbage that importing left is not the kernel's
start = time.perf_counter()
jax.block_until_ready(call())
print(time.perf_counter() - start)
"""


def first_call(pair: Pair, contender: str) -> Callable[[], Any]:
    """Return what a user calls first: from NetKet's operator to energies."""
    operators = pair.operators
    operator = operators.script if contender == OURS else operators.best
    jax.block_until_ready((pair.variables, pair.x))
    if contender == OURS:
        return lambda: pair.energy()(pair.variables, pair.x)
    function = jax.jit(contenders(pair)[contender])
    return lambda: function(operator, pair.variables, pair.x)


def first_seconds(pair: Pair, contender: str, repeats: int) -> float:
    """Return the seconds of a first call in a fresh process, the median of a few."""
    program = _FIRST_CALL.format(
        name=pair.name,
        wavefunction=pair.wavefunction,
        dtype=pair.dtype,
        contender=contender,
    )
    return median(float(in_fresh_process(program).split()[-1]) for _ in range(repeats))


# endregion
# region Reporting

HEADER = (
    "operator",
    "wavefunction",
    "type",
    "parts",
    "best / symir",
    "best is",
    "default / symir",
    "temp MiB: symir, best, default",
    "first call: packed / symir, default / symir",
    "evaluations: padded, not x",
    "error: symir, default",
)


def report(figures: Mapping[str, Any]) -> str:
    """Return what was measured in one run, in Markdown."""
    about = (
        f"{medians_of(figures)}; "
        f"first calls are medians over processes ({figures['first_repeats']})."
    )
    rows = [row for one in figures["pairs"] for row in _cells(one)]
    failed = [
        f"- {one['name']}, {one['wavefunction']}, {one['dtype']}: {one['failed']}"
        for one in figures["pairs"]
        if "failed" in one
    ]
    text = f"{about}\n\n{markdown(HEADER, rows)}"
    return "\n\n".join([text, "Not measured:", "\n".join(failed)]) if failed else text


def best_of(rows: Mapping[str, Any]) -> str:
    """Return the fastest setting of NetKet's."""
    return min((name for name in rows if name != OURS), key=lambda k: rows[k]["ms"])


def _cells(one: Mapping[str, Any]) -> Iterator[list[str]]:
    if "failed" in one:
        return
    rows = one["rows"]
    best = best_of(rows)
    temps = [f"{rows[name]['temp_bytes'] / MIB:.1f}" for name in (OURS, best, DEFAULT)]
    errors = [f"{rows[name]['error']:.0e}" for name in (OURS, DEFAULT)]
    yield [
        *(one["name"], one["wavefunction"], one["dtype"]),
        ", ".join(one["parts"]),
        f"{rows[best]['times_symir']:.2f}{_bar(one)}",
        best,
        f"{rows[DEFAULT]['times_symir']:.1f}",
        ", ".join(temps),
        _first(one.get("first_seconds", {})),
        f"{one['padded']}, {one['live']:.1f}",
        ", ".join(errors),
    ]


def _bar(one: Mapping[str, Any]) -> str:
    bar = one.get("bar")
    if bar is None:
        return ""
    return f" (bar {bar:g}{': missed' if _is_missed(one) else ''})"


def _is_missed(one: Mapping[str, Any]) -> bool:
    """Whether energies take longer than they may."""
    bar = one.get("bar")
    if "failed" in one or bar is None:
        return False
    least = NOISE if bar == 1 else bar
    times = one["rows"][best_of(one["rows"])]["times_symir"]
    return not times >= least


def _first(seconds: Mapping[str, float]) -> str:
    if not seconds:
        return "-"
    _, default, packed = FIRST
    return ", ".join(f"{seconds[k] / seconds[OURS]:.2f}" for k in (packed, default))


def say(text: str) -> None:
    """Tell whoever waits how far a run is."""
    print(text, file=sys.stderr, flush=True)


def run(pairs: list[Pair], arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure pairs, and return all figures; one that fails stops no other."""
    figures: dict[str, Any] = {
        "environment": environment(),
        "rounds": arguments.rounds,
        "first_repeats": arguments.first_repeats,
        "pairs": [],
    }
    for pair in pairs:
        one: dict[str, Any] = {
            "name": pair.name,
            "wavefunction": pair.wavefunction,
            "dtype": pair.dtype,
            "load": load(),
        }
        try:
            one |= measure(pair, arguments.rounds, arguments.turn)
        except Exception as error:
            one["failed"] = f"{type(error).__name__}: {error}".splitlines()[0]
        if arguments.first_repeats and "failed" not in one:
            one["first_seconds"] = {
                name: first_seconds(pair, name, arguments.first_repeats)
                for name in FIRST
            }
        figures["pairs"].append(one)
        cells = next(_cells(one), [pair.name, pair.wavefunction, one.get("failed", "")])
        say(" | ".join(cells))
        jax.clear_caches()
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return figures


QUICK = (("tfim_8x8", "heisenberg_8x8"), ("rbm", "rbm_complex", "mlp1", "jastrow"))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help=f"some of {','.join(SYSTEMS)}; or beginnings")
    parser.add_argument("--models", help=f"some of {','.join(WAVEFUNCTIONS)}")
    parser.add_argument("--dtypes", default="f64,f32")
    parser.add_argument("--quick", action="store_true", help="few pairs")
    parser.add_argument(
        "--deep", action="store_true", help="convolutions of depth 3, 5, determinants"
    )
    parser.add_argument("--bars", action="store_true", help="pairs that have a bar")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--turn", type=float, default=0.05, help="seconds of a turn")
    parser.add_argument("--first-repeats", type=int, default=1, help="0 for none")
    parser.add_argument("--report", type=Path, nargs="+", help="figures to show again")
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    parser.add_argument("--markdown", type=Path, help="write the table to a file")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    systems, wavefunctions = _names(arguments.only), _names(arguments.models)
    if arguments.quick:
        systems, wavefunctions = systems or QUICK[0], wavefunctions or QUICK[1]
    if arguments.bars:
        systems = systems or tuple(SYSTEMS | DEEP)
    systems = (systems or tuple(DEEP)) if arguments.deep else systems
    pairs = pairs_of(systems, wavefunctions, _names(arguments.dtypes))
    if arguments.bars:
        pairs = [pair for pair in pairs if pair.bar is not None]
    if not pairs:
        parser.error("there is no such pair")
    runs = figures_of(arguments, pairs, run)
    text = "\n\n".join(map(report, runs))
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n")
    if arguments.write_docs:
        name = (
            "bars" if arguments.bars else "deep" if arguments.deep else "local_energy"
        )
        write_docs(name, text)
    measured = [one for figures in runs for one in figures["pairs"]]
    if arguments.bars and any(map(_is_missed, measured)):
        raise SystemExit("some bars are missed")
    if any("failed" in one for one in measured):
        raise SystemExit("some pairs failed")


# endregion

if __name__ == "__main__":
    main()
