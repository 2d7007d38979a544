"""Samples of autoregressive wavefunctions, next to NetKet's direct sampler.

`python -m benchmarks.sampling` prints a table; `--json FILE` writes all figures. NetKet
draws from the models as they are, with the whole network for each site, and from its
fast ones, whose layers keep their inputs. That of dense layers does not work under
`jax.jit`: its conditionals are computed without, of samples that are there already.

Before anything is timed, log psi of the samples is that of the model, and their
probabilities are the products of its conditionals.
"""

# pyright: basic

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np

import symir as sym
from benchmarks.get_conn import say
from benchmarks.harness import (
    environment,
    figures_of,
    interleave,
    load,
    markdown,
    medians_of,
    milliseconds,
    ratio,
    write_docs,
)
from symir.netket import ARDirectSampler

SITES, SAMPLES = 64, 1024

OURS, WHOLE, FAST = "symir", "netket", "netket fast"

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "dense 2 x 4": ("ARNNDense", {"layers": 2, "features": 4}),
    "dense 3 x 16": ("ARNNDense", {"layers": 3, "features": 16}),
    "conv1d 3 x 16": ("ARNNConv1D", {"layers": 3, "features": 16, "kernel_size": 9}),
    "conv2d 3 x 16": (
        "ARNNConv2D",
        {"layers": 3, "features": 16, "kernel_size": (3, 5)},
    ),
}
"""NetKet's models, by a name: the class and its options."""

DTYPES = {"f32": jnp.float32, "f64": jnp.float64}

HILBERT = nk.hilbert.Spin(0.5, SITES)


def model_of(kind: str, name: str, dtype: str) -> tuple[Any, Any]:
    """Return a model of NetKet and its parameters."""
    own, options = MODELS[name]
    create = getattr(nk.models, kind + own)
    model = create(hilbert=HILBERT, param_dtype=DTYPES[dtype], **options)
    x = jnp.zeros((SAMPLES, SITES), jnp.int8)
    return model, model.init(jax.random.key(0), x)


def checked(model: Any, w: Any, dtype: str) -> Any:
    """Return samples; raise where their probabilities are not those of the model."""
    x, log_psi = sym.Autoregressive(model.apply, HILBERT).sample(
        w, jax.random.key(1), SAMPLES
    )
    close: Any = {"rtol": 1e-3 if dtype == "f32" else 1e-9}
    np.testing.assert_allclose(log_psi, model.apply(w, x), **close)
    index = HILBERT.states_to_local_indices(x)[..., None]
    each = jnp.take_along_axis(model.apply(w, x, method=model.conditionals), index, -1)
    np.testing.assert_allclose(2 * log_psi, jnp.log(each[..., 0]).sum(1), **close)
    return x


def with_netket(model: Any, w: Any) -> Callable[[], Any]:
    """Return what draws samples by NetKet's sampler."""
    sampler = nk.sampler.ARDirectSampler(HILBERT, dtype=jnp.int8)
    state = sampler.init_state(model, w, seed=1)
    return lambda: sampler.sample(model, w, state=state, chain_length=SAMPLES)[0]


def without_jit(model: Any, w: Any, x: Any) -> Callable[[], Any]:
    """Return what computes the conditionals of samples site after site."""
    empty = model.init(jax.random.key(0), x, 0, method=model.conditional)["cache"]

    def each() -> Any:
        cache, found = empty, []
        for site in range(SITES):
            given = {**w, "cache": cache}
            options = {"method": model.conditional, "mutable": ["cache"]}
            own, changed = model.apply(given, x, site, **options)
            cache = changed["cache"]
            found.append(own)
        return found

    return each


def measure(name: str, dtype: str, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each contender, which take turns."""
    model, w = model_of("", name, dtype)
    fast, of_fast = model_of("Fast", name, dtype)
    x = checked(model, w, dtype)
    own = ARDirectSampler(HILBERT, dtype=jnp.int8)
    state = own.init_state(model, w, seed=1)
    is_dense = MODELS[name][0] == "ARNNDense"
    contenders = {
        OURS: lambda: own.sample(model, w, state=state, chain_length=SAMPLES)[0],
        WHOLE: with_netket(model, w),
        FAST: without_jit(fast, of_fast, x) if is_dense else with_netket(fast, of_fast),
    }
    return interleave(contenders, rounds=rounds, turn=0.1)


def run(chosen: list[tuple[str, str]], arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure models, and return all figures."""
    figures: dict[str, Any] = {
        "environment": environment(),
        "rounds": arguments.rounds,
        "models": [],
    }
    for name, dtype in chosen:
        before = load()
        seconds = measure(name, dtype, arguments.rounds)
        figures["models"].append(
            {"name": name, "dtype": dtype, "load": before, "seconds": seconds}
        )
        say(" | ".join(_line(figures["models"][-1])))
        jax.clear_caches()
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def report(figures: Mapping[str, Any]) -> str:
    """Return what was measured in one run, in Markdown."""
    header = ("model", "type", "symir, ms", "netket, times", "fast, times", "load")
    return f"{medians_of(figures)}.\n\n" + markdown(
        header, [_line(one) for one in figures["models"]]
    )


def _line(one: Mapping[str, Any]) -> list[str]:
    seconds = one["seconds"]
    times = [f"{ratio(seconds, peer, OURS):.1f}" for peer in (WHOLE, FAST)]
    own = f"{milliseconds(seconds[OURS]):.1f}"
    return [one["name"], one["dtype"], own, *times, one["load"]]


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(MODELS), help="models, by name")
    parser.add_argument("--dtypes", default="f64,f32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--report", type=Path, nargs="+", help="figures to show again")
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    names, dtypes = arguments.only.split(","), arguments.dtypes.split(",")
    if not {*names} <= {*MODELS} or not {*dtypes} <= {*DTYPES}:
        parser.error("there is no such model or dtype")
    runs = figures_of(arguments, list(product(names, dtypes)), run)
    text = "\n\n".join(map(report, runs))
    print(text)
    if arguments.write_docs:
        write_docs("sampling", text)


if __name__ == "__main__":
    main()
