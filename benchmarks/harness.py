# pyright: basic
"""Measuring side by side: interleaved rounds, medians, and ratios of medians.

Machines are noisy and drift: a time alone means little, the ratio of two functions that
took turns in one run does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import jax
import numpy as np

PACKAGES = ("symir", "jax", "jaxlib", "netket", "nkdsl", "numpy", "xdsl", "xdsl-jax")

DOCS = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def interleave(
    functions: Mapping[str, Callable[[], Any]], *, rounds: int, turn: float
) -> dict[str, list[float]]:
    """Return the seconds per call of each function, one entry per round.

    In each round every function is called for about `turn` seconds, at least once; the
    functions take turns, in rotating order so that none always follows the same one.
    """
    inner: dict[str, int] = {}
    for name, function in functions.items():
        jax.block_until_ready(function())  # compiles
        start = time.perf_counter()
        jax.block_until_ready(function())
        inner[name] = max(1, int(turn / (time.perf_counter() - start)))
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for name in turns(list(functions), rounds):
        start = time.perf_counter()
        for _ in range(inner[name]):
            jax.block_until_ready(functions[name]())
        seconds[name].append((time.perf_counter() - start) / inner[name])
    return seconds


# region Comparing


def branch_sums(xp: Any, mels: Any) -> dict[bytes, complex]:
    """Add up the matrix elements of one sample that lead to the same x'."""
    sums: dict[bytes, complex] = defaultdict(complex)
    for config, element in zip(np.asarray(xp), np.asarray(mels), strict=True):
        sums[config.tobytes()] += complex(element)
    return {config: total for config, total in sums.items() if abs(total) > 1e-12}


def check_equal(name: str, ours: Any, theirs: Any, samples: int = 32) -> None:
    """Raise where the outputs of two operators are not the same operator's."""
    for k in range(min(samples, len(ours[0]))):
        a = branch_sums(ours[0][k], ours[1][k])
        b = branch_sums(theirs[0][k], theirs[1][k])
        if a.keys() != b.keys() or any(
            abs(a[config] - b[config]) > 1e-10 * max(1, abs(b[config])) for config in a
        ):
            raise SystemExit(f"{name}: the outputs differ at sample {k}")


# endregion


def turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield all names once in each round, in rotating order."""
    for turn in range(rounds):
        shift = turn % len(names)
        yield from names[shift:]
        yield from names[:shift]


def in_fresh_process(program: str, limit: float | None = None) -> str:
    """Return what a Python program prints in a process of its own.

    It writes bytecode, as installed packages have it: symir is not compiled each time.

    Raises:
        subprocess.TimeoutExpired: where it takes longer than a number of seconds.
    """
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    run = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=limit,
    )
    return run.stdout


def ratio(seconds: Mapping[str, list[float]], slow: str, fast: str) -> float:
    """Return the median over rounds of how many times longer `slow` takes."""
    pairs = zip(seconds[slow], seconds[fast], strict=True)
    return median(a / b for a, b in pairs)


def milliseconds(samples: list[float]) -> float:
    """Return the median in milliseconds."""
    return median(samples) * 1e3


def environment() -> dict[str, str]:
    """Return what a figure depends on: versions, threads, devices."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return {
        "python": platform.python_version(),
        "cpus": str(os.cpu_count()),
        "threads": str(_threads()),
        "load": load(),
        "device": str(jax.devices()[0]),
        "x64": str(jax.config.read("jax_enable_x64")),
        **found,
    }


def load() -> str:
    """Return how many processes wanted to run in the last 1, 5 and 15 minutes."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    return "/".join(f"{value:.1f}" for value in os.getloadavg())


def described(setting: Mapping[str, str]) -> str:
    """Return the text of an environment."""
    return ", ".join(f"{key} {value}" for key, value in setting.items())


Chosen = TypeVar("Chosen")


def figures_of(
    arguments: argparse.Namespace,
    chosen: list[Chosen],
    run: Callable[[list[Chosen], argparse.Namespace], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return the figures of former runs, or those of a new one."""
    if arguments.report:
        return [json.loads(path.read_text()) for path in arguments.report]
    jax.config.update("jax_enable_x64", True)
    return [run(chosen, arguments)]


def medians_of(figures: Mapping[str, Any]) -> str:
    """Return where a run was made, and of how many rounds its medians are."""
    return f"{described(figures['environment'])}. Medians of {figures['rounds']} rounds"


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def write_docs(name: str, text: str, page: Path = DOCS) -> None:
    """Replace what is between the markers of a name in a page.

    Raises:
        ValueError: where the page has no such markers.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no {begin} .. {end}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def _threads() -> int:
    """Return how many CPUs this process may use; XLA takes as many threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
