"""Measuring side by side: interleaved rounds, medians, and ratios of medians.

Machines are noisy and drift: a time alone means little, the ratio of two functions that
took turns in one run does.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

import jax

PACKAGES = ("symir", "jax", "jaxlib", "netket", "numpy", "xdsl", "xdsl-jax")


def interleave(
    functions: Mapping[str, Callable[[], Any]], *, rounds: int, inner: int
) -> dict[str, list[float]]:
    """Return the seconds per call of each function, one entry per round.

    In each round every function is called `inner` times in a row; the functions take
    turns, in rotating order so that none always follows the same one.
    """
    for function in functions.values():
        jax.block_until_ready(function())
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for name in turns(list(functions), rounds):
        start = time.perf_counter()
        for _ in range(inner):
            jax.block_until_ready(functions[name]())
        seconds[name].append((time.perf_counter() - start) / inner)
    return seconds


def turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield all names once in each round, in rotating order."""
    for turn in range(rounds):
        shift = turn % len(names)
        yield from names[shift:]
        yield from names[:shift]


def in_fresh_process(program: str) -> str:
    """Return what a Python program prints in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True
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
        "device": str(jax.devices()[0]),
        "x64": str(jax.config.read("jax_enable_x64")),
        **found,
    }


def _threads() -> int:
    """Return how many CPUs this process may use; XLA takes as many threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
