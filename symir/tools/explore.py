"""`symir explore`: the page of an operator in a file, written or served."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

from symir.errors import SymirError
from symir.explorer.page import error_page, page_of
from symir.explorer.server import Server
from symir.explorer.writing import explored, written_to
from symir.tools.configurations import read_samples
from symir.tools.load import UserCodeError, load_explored, split_reference
from symir.tools.progress import Progress

SHOWN = 16
"""Most configurations of a file that are shown."""


def write(
    reference: str, inputs: Path | None, output: Path | None, progress: Progress
) -> Path:
    """Write the page of `FILE[:NAME]`, and return where.

    Raises:
        SymirError: where there is no such operator, it cannot be lowered, or the page
            cannot be written (C082).
        UserCodeError: where the file is Python that raises.
    """
    source, _ = split_reference(reference)
    with progress.stage(f"looking at {reference}"):
        page = page_of_file(reference, inputs)
    return written_to(output or Path(source.with_suffix(".html").name), page)


def serve(reference: str, inputs: Path | None, port: int, progress: Progress) -> None:
    """Serve the page of `FILE[:NAME]` until the user interrupts.

    Raises:
        SymirError: where there is no such file or port.
    """
    source, _ = split_reference(reference)
    # What is wrong from the beginning is said here, and what comes later on the page
    load_explored(reference)

    def make(token: str) -> str:
        try:
            with progress.stage(f"looking at {reference}"):
                return page_of_file(reference, inputs, live=token)
        except SymirError as error:
            return error_page(reference, str(error), live=token)
        except UserCodeError as error:
            return error_page(reference, f"{error}\n{error.text}", live=token)

    with Server(make, source, port) as server:
        print(f"{server.url} shows {reference}; interrupt to stop", flush=True)
        if sys.stdout.isatty():
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def page_of_file(
    reference: str, inputs: Path | None = None, *, live: str | None = None
) -> str:
    """Return the page of the operator or local energy that `FILE[:NAME]` refers to."""
    what, *arguments = load_explored(reference)
    x = None
    if inputs is not None:
        space = what.operator.kernel.space if arguments else what.space
        x = next(read_samples(inputs, space).blocks(SHOWN))
    return page_of(explored(what, *arguments, x=x), live=live)
