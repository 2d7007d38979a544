"""Traces: what is in them, and that they are traces whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symir as sym
from symir import models, spans
from symir.compiler.lowering import LoweringPipeline, operator_pipeline
from symir.errors import InputError
from symir.operator.symbolic_operator import SymbolicOperator
from tests.unit.symir.compiler.test_diagnostics import MODELS

ROOT = Path(__file__).parent.parent.parent.parent
NAMES = 'a "quoted" \\ name\n\t\x00 \u20ac \U0001f600 \ud800'


def events_of(path: Path) -> list[dict[str, Any]]:
    """Return the spans of a trace, once it is seen to be one."""

    def reject(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(path.read_bytes().decode("utf-8"), parse_constant=reject)
    assert found["displayTimeUnit"] == "ms"
    events: list[dict[str, Any]] = found["traceEvents"]
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    spans = [event for event in events if event["ph"] == "X"]
    assert all(event["ph"] in "XM" for event in events)
    for event in spans:
        assert event["dur"] >= 0 <= event["ts"]
        assert (event["pid"], event["tid"]) in named
        assert isinstance(event["args"], dict)
    return spans


def check_nesting(events: list[dict[str, Any]]) -> None:
    """Assert that spans nest in each thread, and sum up to no more than is around."""
    threads: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        threads[event["pid"], event["tid"]].append(event)
    for inside in threads.values():
        inside.sort(key=lambda event: (event["ts"], -event["dur"]))
        around: list[dict[str, Any]] = []
        left: dict[int, float] = {}
        for event in inside:
            while around and _end(around[-1]) <= event["ts"]:
                around.pop()
            if around:
                assert _end(event) <= _end(around[-1]) + 1e-6, event
                left[id(around[-1])] -= event["dur"]
                assert left[id(around[-1])] >= -1e-6, around[-1]
            left[id(event)] = event["dur"]
            around.append(event)


def _end(event: dict[str, Any]) -> float:
    return event["ts"] + event["dur"]


def ising(name: str = "ising") -> SymbolicOperator:
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(sym.spin(0.5, 4), name)
        .for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 3)])
        .named("bonds")
        .emit(amplitude=i.value * j.value)
        .for_each_site("i")
        .named("field")
        .emit(sym.write("i", -i.value), amplitude=-1.0)
        .build()
    )


# region What is in a trace


def test_a_compilation_and_runs(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    x = np.ones((6, 4), np.int8)
    with sym.trace(path):
        compiled = ising().compile(cache_namespace=str(tmp_path))
        compiled.get_conn_padded(x)
        compiled.get_conn_padded(x)
        ising().compile(cache_namespace=str(tmp_path))
    events = events_of(path)
    check_nesting(events)
    names = [(event["cat"], event["name"]) for event in events]
    for expected in (
        *(
            ("definition", "build"),
            ("definition", "translate"),
            ("compiler", "compile"),
        ),
        *(("stage", "pre-cache"), ("stage", "post-cache"), ("stage", "lowering")),
        *(("symbolic pass", "symbolic_validation"), ("verification", "verify")),
        *(("jax", "trace"), ("jax", "lower to StableHLO"), ("jax", "compile by XLA")),
        *(("kernel", "kernel"), ("kernel", "merge")),
    ):
        assert expected in names
    probes = [event["args"]["hit"] for event in events if event["name"] == "look up"]
    assert probes == [False, True]
    runs = [event["args"] for event in events if event["cat"] == "run"]
    run = {"operator": "ising", "results": [[6, 7, 4], [6, 7]], "bytes_in": 24}
    assert runs == [{**run, "bytes_out": 6 * 7 * 4 + 6 * 7 * 8}] * 2
    xla = [e for e in events if e["name"] == "compile by XLA"]
    assert any(event["args"]["function"] == "jit(connections)" for event in xla)
    # A run that compiles nothing has nothing in it
    last = max((e for e in events if e["cat"] == "run"), key=lambda e: e["ts"])
    assert not [e for e in events if last["ts"] < e["ts"] < _end(last)]


@pytest.mark.parametrize("name", MODELS)
def test_models_are_traced(name: str, tmp_path: Path) -> None:
    operator, path = MODELS[name](), tmp_path / "trace.json"
    with sym.trace(path):
        operator.compile(cache=False)
    events = events_of(path)
    check_nesting(events)
    (compiled,) = [event for event in events if event["name"] == "compile"]
    passes = [event for event in events if event["cat"] == "pass"]
    assert {"convert-sym-to-bt", "cse"} <= {event["name"] for event in passes}
    assert sum(event["dur"] for event in passes) <= compiled["dur"]


def test_passes_have_sizes(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    pipeline = LoweringPipeline.parse(operator_pipeline())
    with sym.trace(path):
        pipeline.run(ising().to_ir().module)
    passes = [event for event in events_of(path) if event["cat"] == "pass"]
    passes.sort(key=lambda event: event["ts"])
    assert tuple(event["name"] for event in passes) == pipeline.names
    assert [event["args"]["spec"] for event in passes] == str(pipeline).split(",")
    # 3 rows of 2 sites, 4 of 1, and a constant
    assert passes[0]["args"]["before"] == {"ops": 12, "table_bytes": 24 + 16 + 8}
    for one, following in pairwise(passes):
        assert one["args"]["after"] == following["args"]["before"]
    assert len({event["args"]["after"]["ops"] for event in passes}) > 1


def test_local_energies(tmp_path: Path) -> None:
    import jax.numpy as jnp

    path = tmp_path / "trace.json"
    x = ising().space.random_states(5, 0)
    weights = 0.1 * np.ones((4, 3))
    with sym.trace(path):
        energy = sym.LocalEnergy(
            ising(), lambda w, x: jnp.log(jnp.cosh(x @ w)).sum(axis=-1)
        )
        energy(weights, x)
    events = events_of(path)
    check_nesting(events)
    stages = {event["name"] for event in events if event["cat"] == "local energy"}
    assert stages == {"compile", "import a function"}
    passes = {event["name"] for event in events if event["cat"] == "pass"}
    assert {"bt-local-energy", "apply-exponential-sums", "bt-specialize"} <= passes
    (run,) = [event["args"] for event in events if event["cat"] == "run"]
    assert run["operator"] == "ising"
    assert run["results"] == [[5]]


def test_a_run_that_jax_traces_has_no_results(tmp_path: Path) -> None:
    import jax

    compiled = ising().compile()
    path = tmp_path / "trace.json"
    with sym.trace(path):
        jax.jit(compiled.get_conn_padded)(np.ones((3, 4), np.int8))
    (run,) = [event["args"] for event in events_of(path) if event["cat"] == "run"]
    assert run == {"operator": "ising", "traced": True}


def test_threads_have_spans_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        barrier.wait()
        for _ in range(20):
            with spans.span(f"outer {number}", "test"), spans.span("inner", "test"):
                pass

    threads = [
        threading.Thread(target=work, args=(k,), name=f"worker {k}") for k in range(4)
    ]
    with sym.trace(path):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = events_of(path)
    check_nesting(events)
    assert len({event["tid"] for event in events}) == 4
    assert {event["pid"] for event in events} == {os.getpid()}
    assert len(events) == 4 * 20 * 2
    shown = json.loads(path.read_text())["traceEvents"]
    names = {e["args"]["name"] for e in shown if e["name"] == "thread_name"}
    assert names == {f"worker {k}" for k in range(4)}


# endregion
# region Traces of all kinds


def test_names_and_values_of_all_kinds(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    values = {
        NAMES: [float("nan"), float("inf"), 1j, np.float64(2), {1, 2}, None, True]
    }
    with sym.trace(path), spans.span(NAMES, NAMES, **values):
        pass
    (event,) = events_of(path)
    readable = NAMES.replace("\ud800", "\\ud800")
    assert event["name"] == event["cat"] == readable
    assert event["args"] == {readable: ["nan", "inf", "1j", 2.0, "{1, 2}", None, True]}


def test_an_exception_ends_spans_and_traces(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    with (
        pytest.raises(ZeroDivisionError),
        sym.trace(path),
        spans.span("outer", "test"),
        spans.span("inner", "test"),
    ):
        raise ZeroDivisionError
    events = events_of(path)
    check_nesting(events)
    assert [event["args"] for event in events] == [{"error": "ZeroDivisionError"}] * 2
    assert not spans.is_recording()


def test_a_pass_that_fails_is_in_the_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    operator = models.bose_hubbard(sym.fock(2, 3), [(0, 1)])
    with pytest.raises(sym.SymbolicCompilerError), sym.trace(path):
        operator.compile(lowering="convert-sym-to-bt", cache=False)
    events = events_of(path)
    check_nesting(events)
    ends = {event["name"]: event["args"].get("error") for event in events}
    assert ends["convert-sym-to-bt"] is None  # the pipeline tells of it, not the pass
    assert ends["lowering"] == ends["compile"] == "SymbolicCompilerError"


def test_traces_may_be_nested(tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer.json", tmp_path / "inner.json"
    with sym.trace(outer), spans.span("around", "test"):
        with sym.trace(inner), spans.span("both", "test"):
            pass
        with spans.span("outer alone", "test"):
            pass
    assert {e["name"] for e in events_of(outer)} == {"around", "both", "outer alone"}
    # What began before a trace did is none of it
    assert {e["name"] for e in events_of(inner)} == {"both"}


def test_the_number_of_spans_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans, "EVENTS", 3)
    path = tmp_path / "trace.json"
    with sym.trace(path):
        for _ in range(5):
            with spans.span("one", "test"):
                pass
    assert len(events_of(path)) == 3
    assert json.loads(path.read_text())["otherData"] == {"dropped_spans": 2}


def test_nothing_is_recorded_by_itself() -> None:
    assert not spans.is_recording()
    first = spans.span("one", "test", more=1)
    assert first is spans.span("two", "test")
    assert not first
    with first as entered:
        entered.set(anything=1)


@pytest.mark.parametrize("path", ["", "no/such/folder/trace.json"])
def test_files_that_cannot_be(path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, sym.trace(tmp_path / path):
        raise AssertionError("nothing runs")
    assert caught.value.code == "C072"
    assert not spans.is_recording()


@pytest.mark.parametrize("path", [None, 3, b"trace.json"])
def test_what_is_no_path(path: Any) -> None:
    with pytest.raises(InputError) as caught, sym.trace(path):
        raise AssertionError("nothing runs")
    assert caught.value.code == "C072"


def test_a_path_is_where_it_was_when_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    with sym.trace("trace.json"):
        monkeypatch.chdir(tmp_path / "other")
    assert events_of(tmp_path / "trace.json") == []


def test_a_folder_that_goes_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    with pytest.raises(InputError) as caught, sym.trace(folder / "trace.json"):
        folder.rmdir()
    assert caught.value.code == "C072"
    folder.mkdir()

    def fail() -> None:
        folder.rmdir()
        raise KeyError

    # What goes wrong within counts more
    with pytest.raises(KeyError), sym.trace(folder / "trace.json"):
        fail()
    assert "no trace is written" in caplog.text
    assert not spans.is_recording()


# endregion
# region Whole processes


def run(code: str, trace: Path | str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SYMIR_TRACE": str(trace), "PYTHONPATH": str(ROOT)},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


BUILD = """
import os, sys
import symir as sym
sym.DOperator(sym.qubit(2), "op").for_each_site("i").emit(amplitude=1.0).build()
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("", 0),
        ("raise KeyError('x')", 1),
        ("sys.exit(3)", 3),
        ("if os.fork(): os.wait()", 0),
    ],
)
def test_a_process(end: str, code: int, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    done = run(BUILD + end, path, tmp_path)
    assert done.returncode == code, done.stderr
    assert [event["name"] for event in events_of(path)] == ["translate", "build"]
    assert [*tmp_path.iterdir()] == [path]


def test_a_process_in_its_own_file(tmp_path: Path) -> None:
    done = run(BUILD + "print(os.getpid())", tmp_path / "{pid}.json", tmp_path)
    events = events_of(tmp_path / f"{done.stdout.strip()}.json")
    assert [event["pid"] for event in events] == [int(done.stdout)] * 2


def test_a_process_that_goes_to_another_folder(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    done = run(f"{BUILD}os.chdir('other')", "trace.json", tmp_path)
    assert done.returncode == 0, done.stderr
    names = [event["name"] for event in events_of(tmp_path / "trace.json")]
    assert names == ["translate", "build"]


def test_a_process_whose_file_cannot_be(tmp_path: Path) -> None:
    done = run(BUILD, tmp_path / "none" / "trace.json", tmp_path)
    assert done.returncode == 0
    assert "no trace is written to" in done.stderr


# endregion
# region Metadata of XLA


def op_names(text: str) -> set[str]:
    return {part.partition('"')[0] for part in text.split('op_name="')[1:]}


def test_terms_are_in_the_metadata_of_xla() -> None:
    import jax

    compiled = ising().compile()
    x = np.ones((6, 4), np.int8)
    lowered = jax.jit(lambda x: compiled.get_conn_padded(x)).lower(x)
    text = lowered.compile().as_text() or ""
    names = op_names(text)
    assert any(name.endswith("symir_connections/ising/bonds/emit0") for name in names)
    assert any(name.endswith("symir_connections/ising/field/emit0") for name in names)
    # and the user's file
    assert f'"{__file__}"' in text


def test_terms_are_in_the_metadata_of_local_energies() -> None:
    import jax
    import jax.numpy as jnp

    energy = sym.LocalEnergy(
        ising(), lambda w, x: jnp.log(jnp.cosh(x @ w)).sum(axis=-1)
    )
    x = np.ones((6, 4), np.int8)
    lowered = jax.jit(lambda w: energy(w, x)).lower(np.ones((4, 3)))
    names = op_names(lowered.compile().as_text() or "")
    assert any("/ising/bonds/emit0" in name for name in names), names


# endregion
