"""The page over HTTP: for this machine alone, and always that of the file as it is."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import symir as sym
from symir.explorer.server import HOST, Server


@contextmanager
def serving(server: Server) -> Generator[Server]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(
    server: Server, path: str = "/", host: str | None = None
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    connection.request("GET", path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    answer.text = answer.read().decode()  # pyright: ignore[reportAttributeAccessIssue]
    connection.close()
    return answer


def text_of(answer: http.client.HTTPResponse) -> str:
    return answer.text  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    path = tmp_path / "operator.py"
    path.write_text("first")
    return path


def test_a_page_is_made_again_where_the_file_has_changed(watched: Path) -> None:
    made: list[str] = []

    def make(token: str) -> str:
        made.append(token)
        return f"{watched.read_text()} {token}"

    with serving(Server(make, watched)) as server:
        assert text_of(get(server)).startswith("first")
        token = text_of(get(server, "/token"))
        assert text_of(get(server)).endswith(token)
        assert len(made) == 1
        watched.write_text("second")
        assert text_of(get(server, "/token")) != token
        assert text_of(get(server)).startswith("second")
        watched.unlink()
        assert text_of(get(server, "/token")) == "missing"


def test_only_this_machine_by_its_name_is_answered(watched: Path) -> None:
    with serving(Server(lambda _: "secret", watched)) as server:
        port = server.server_port
        assert server.server_address[0] == "127.0.0.1"
        for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
            assert get(server, host=host).status == 200
        for host in (
            *("evil.example", f"evil.example:{port}", "127.0.0.1", "localhost:1"),
            *(f"127.0.0.1.evil.example:{port}", f"[::1]:{port}", ""),
        ):
            answer = get(server, host=host)
            assert answer.status == 403, host
            assert "secret" not in text_of(answer)


def test_there_is_nothing_else(watched: Path) -> None:
    with serving(Server(lambda _: "page", watched)) as server:
        for path in ("/operator.py", "/../operator.py", "/token/", "/?x"):
            assert get(server, path).status == 404, path
        answer = get(server)
        assert answer.getheader("Content-Type") == "text/html; charset=utf-8"
        assert answer.getheader("X-Frame-Options") == "DENY"
        assert answer.getheader("Access-Control-Allow-Origin") is None


def test_a_port_that_is_taken_has_its_error(watched: Path) -> None:
    with (
        serving(Server(lambda _: "", watched)) as server,
        pytest.raises(sym.InputError, match=r"T023[\s\S]*--port 0"),
    ):
        Server(lambda _: "", watched, server.server_port)
    with pytest.raises(sym.InputError, match="T023"):
        Server(lambda _: "", watched, 10**6)
