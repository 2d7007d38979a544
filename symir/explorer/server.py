"""`symir explore --serve`: the page on the loopback address, made anew when it changes.

Only this machine is answered, and only where the request names it: a page of another
site that resolves its own name to 127.0.0.1 gets nothing (DNS rebinding).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

from symir.errors import InputError

HOST = "127.0.0.1"

_NAMES = (HOST, "localhost")


class Server(ThreadingHTTPServer):
    """A server of one page, that is made when it is asked for after a file changed.

    Args:
        make: returns the page, given the token that tells this page from later ones;
            what it raises goes to the client as an error of the server.
        watched: the file whose change makes the page an old one.
        port: 0 for any that is free.

    Raises:
        InputError: where the port cannot be had (T023).
    """

    daemon_threads = True

    def __init__(self, make: Callable[[str], str], watched: Path, port: int = 0):
        self._make = make
        self._watched = watched
        self._lock = threading.Lock()
        self._page: tuple[str, str] | None = None
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                "T023",
                f"port {port} of {HOST} cannot be had",
                expected="a port that is free, or --port 0 for any",
                found=str(error),
            ) from error

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.server_port}/"

    def token(self) -> str:
        """Return what differs where the watched file does."""
        try:
            return hashlib.sha256(self._watched.read_bytes()).hexdigest()[:16]
        except OSError:
            return "missing"

    def page(self) -> str:
        """Return the page, made at most once for each state of the file."""
        with self._lock:
            token = self.token()
            if self._page is None or self._page[0] != token:
                self._page = (token, self._make(token))
            return self._page[1]


class _Handler(BaseHTTPRequestHandler):
    server_version = "symir"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = cast(Server, self.server)
        name, _, port = (self.headers.get("Host") or "").rpartition(":")
        if name not in _NAMES or port != str(server.server_port):
            self._answer(HTTPStatus.FORBIDDEN, "this host is not served\n", "plain")
        elif self.path == "/":
            self._answer(HTTPStatus.OK, server.page(), "html")
        elif self.path == "/token":
            self._answer(HTTPStatus.OK, server.token(), "plain")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "there is no such page\n", "plain")

    def _answer(self, status: HTTPStatus, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"text/{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal belongs to the user."""
