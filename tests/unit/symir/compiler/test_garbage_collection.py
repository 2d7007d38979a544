"""The garbage collector is paused within, and left as it was."""

from __future__ import annotations

import gc
from collections.abc import Generator
from threading import Barrier, Thread

import pytest

from symir.compiler.garbage_collection import collector_paused


@pytest.fixture(autouse=True)
def _restored() -> Generator[None]:  # pyright: ignore[reportUnusedFunction]
    was_enabled = gc.isenabled()
    yield
    (gc.enable if was_enabled else gc.disable)()


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_left_as_it_was(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled() == enabled


def test_an_error_ends_the_pause() -> None:
    gc.enable()
    with pytest.raises(ValueError, match="inside"), collector_paused():
        raise ValueError("inside")
    assert gc.isenabled()


def test_the_last_thread_ends_the_pause() -> None:
    gc.enable()
    both_inside, one_left = Barrier(2), Barrier(2)
    seen: list[bool] = []

    def first() -> None:
        with collector_paused():
            both_inside.wait()
        one_left.wait()

    other = Thread(target=first)
    other.start()
    with collector_paused():
        both_inside.wait()
        one_left.wait()
        seen.append(gc.isenabled())
    other.join()
    assert seen == [False]
    assert gc.isenabled()
