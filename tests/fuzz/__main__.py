"""Many random operators at every level: `python -m tests.fuzz 10000`.

Goes on after a failure, with the smallest program that shows it printed as source, and
ends with what was found.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, reject, seed, settings

from symir.errors import DefinitionError
from tests.fuzz.check import check
from tests.fuzz.programs import Program
from tests.fuzz.strategy import MOST_LANES, programs

__all__ = ["QUIET", "main", "trial"]

AT_ONCE = 200
"""Programs of one seed: a failure ends them, and the next seed goes on."""


QUIET = (
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
    HealthCheck.filter_too_much,
)
"""Programs are large, and what is discarded is counted here."""


def trial(
    counts: Counter[str], *, texts: int = 1, jax: int = 1, relations: int = 1
) -> Callable[[Program], None]:
    """Return what builds a program and checks it, counting how it goes.

    Args:
        counts: "programs" drawn, those "checked", and the codes of those discarded.
        texts: one in so many is printed and parsed at every level.
        jax: one in so many is compiled by JAX; none if 0.
        relations: of one in so many all passes of the optimiser are checked; none if 0.
    """

    def run(program: Program) -> None:
        counts["programs"] += 1
        try:
            operator = program.build()
        except DefinitionError as error:
            counts[error.code] += 1
            reject()
        if operator.max_conn_size > MOST_LANES:
            counts["too many lanes"] += 1
            reject()
        number = counts["checked"]
        counts["checked"] += 1
        check(
            program,
            operator,
            by_text=number % texts == 0,
            by_jax=bool(jax) and number % jax == 0,
            by_relation=bool(relations) and number % relations == 0,
        )

    return run


def main(arguments: list[str] | None = None) -> int:
    """Check as many programs as asked for; return the number of seeds that failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("programs", type=int, help="how many programs")
    parser.add_argument("--seed", type=int, default=0, help="of the first ones")
    parser.add_argument(
        "--texts", type=int, default=10, help="one in so many is parsed"
    )
    parser.add_argument(
        "--jax", type=int, default=20, help="one in so many is compiled"
    )
    parser.add_argument(
        "--relations",
        type=int,
        default=5,
        help="of one in so many all passes of the optimiser are checked",
    )
    options = parser.parse_args(arguments)
    warnings.simplefilter("error")

    counts, failures, start = Counter[str](), 0, time.perf_counter()
    number: int = options.seed
    while (left := options.programs - counts["programs"]) > 0:
        run = trial(
            counts,
            texts=options.texts,
            jax=options.jax,
            relations=options.relations,
        )
        failures += not _passes(number, min(left, AT_ONCE), run)
        number += 1
        elapsed = time.perf_counter() - start
        rate = counts["checked"] / elapsed
        print(f"seed {number - 1}: {dict(counts)}, {rate:.1f} a second", flush=True)
    print(f"{counts['checked']} programs checked, {failures} seeds with failures")
    return failures


def _passes(number: int, most: int, run: Callable[[Program], None]) -> bool:
    """Check the programs of one seed; print what fails, shrunk."""
    decorate = settings(
        max_examples=most,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=QUIET,
        report_multiple_bugs=False,
    )
    try:
        seed(number)(decorate(given(programs())(run)))()
    except Exception as error:
        # The notes hold the program, as source
        notes = getattr(error, "__notes__", ())
        print("\n".join([f"FAILED: {type(error).__name__}: {error}", *notes]))
        return False
    return True


if __name__ == "__main__":
    sys.exit(bool(main()))
