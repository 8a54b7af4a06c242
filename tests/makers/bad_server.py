"""A server on this machine that serves files, and misbehaves where it is told to."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

PAGE = b"<!DOCTYPE html><html><body>Please sign in</body></html>"


class Asked(NamedTuple):
    """One request: method, path with its query, and the range asked for."""

    method: str
    path: str
    range: str


class BadServer(ThreadingHTTPServer):
    """Serves `files` by path (with the query, if it has one).

    `faults` gives what goes wrong by path, one fault per GET in turn; the last one stays::

        page        a web page, status 200             disguised   the same, as octet-stream
        login       a redirect to a web page           redirect    a redirect to the file
        cut         half of what was promised          damaged     one wrong byte
        longer      a byte too many, and says so       no_range    ignores Range
        other_range answers with another range         endless     no length, no end
        silent      nothing for a second               trickle     a byte at a time
        401 403 404 503                                fine        as it should be
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.asked: list[Asked] = []

    @property
    def address(self) -> str:
        """The address of the root, without a slash at its end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client hangs up."""

    def next_fault(self, path: str) -> str:
        """Return what goes wrong this time."""
        faults = self.faults.get(path) or ["fine"]
        return faults.pop(0) if len(faults) > 1 else faults[0]


@contextmanager
def bad_server() -> Iterator[BadServer]:
    """Run a server while the block runs."""
    server = BadServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: BadServer

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Answer as GET would, without the content; faults are for GET, but for 404 and 403."""
        self.server.asked.append(Asked("HEAD", self.path, ""))
        faults = self.server.faults.get(self.path, ["fine"])
        known = self.path in self.server.files and faults[0] not in ("404", "403")
        self._head(200 if known else 404, len(self.server.files.get(self.path, b"")))

    def do_GET(self) -> None:
        """Answer, well or badly."""
        self.server.asked.append(Asked("GET", self.path, self.headers.get("Range", "")))
        fault = self.server.next_fault(self.path)
        if fault.isdecimal():
            return self._send(int(fault), PAGE, "text/html")
        if self.path == "/login" or fault == "page":
            return self._send(200, PAGE, "text/html")
        if fault == "disguised":
            return self._send(200, PAGE)
        if fault in ("login", "redirect"):
            return self._redirect("/login" if fault == "login" else f"{self.path}?moved")
        content = self.server.files.get(self.path.removesuffix("?moved"))
        if content is None:
            return self._send(404, PAGE, "text/html")
        return self._content(content, fault)

    def _content(self, content: bytes, fault: str) -> None:
        """Send a file, or a part of it."""
        if fault == "damaged":
            content = bytes([content[0] ^ 1]) + content[1:]
        if fault == "longer":
            content += b"x"
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(begin[1]) if begin and fault != "no_range" else 0
        stated = 0 if fault == "other_range" else start
        of = f"bytes {stated}-{len(content) - 1}/{len(content)}"
        rest = content[start:]
        if fault == "endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content + b"more")
            return
        self._head(206 if start else 200, len(rest), extra={"Content-Range": of} if start else {})
        if fault == "cut":
            self.wfile.write(rest[: len(rest) // 2])
        elif fault == "silent":
            self._slowly(rest[:1], 1.0)
        elif fault == "trickle":
            self._slowly(rest, 0.02)
        else:
            self.wfile.write(rest)

    def _slowly(self, content: bytes, pause_s: float) -> None:
        """Send byte by byte."""
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(pause_s)

    def _redirect(self, path: str) -> None:
        """Send the client elsewhere."""
        self._head(302, 0, extra={"Location": path})

    def _send(self, status: int, content: bytes, kind: str = "application/octet-stream") -> None:
        """Send something whole."""
        self._head(status, len(content), kind)
        self.wfile.write(content)

    def _head(
        self,
        status: int,
        length: int,
        kind: str = "application/octet-stream",
        extra: dict[str, str] | None = None,
    ) -> None:
        """Send the head of an answer."""
        self.send_response(status)
        for name, value in {"Content-Type": kind, **(extra or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
