"""A venue on this machine: it answers over HTTP as the venues do, with the faults that they have. Loopback only."""

# A stand-in takes what it is handed, whether it uses every argument or not.
# ruff: noqa: ARG005

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

from venue_archive import archive_file
from venue_payloads import Refusal, answer
from venue_truth import Truth

# What may go wrong with one request: its number from 0 and its path -> the name of a fault, or None.
Faults = Callable[[int, str], str | None]


@dataclass
class Served:
    """A running venue: where it is, what it knows, and what it was asked.

    Faults: `429`, `429:SECONDS` (Retry-After), `418`, `500`, `503`, `403`; `cut` (half a body of the stated length),
    `cut_open` (half a body of no stated length), `drop` (no answer at all), `slow:SECONDS`, `text` (a page of HTML).
    `mangle` changes an answer before it goes out, `damage` the bytes of an archive file.
    """

    truth: Truth
    url: str = ""
    faults: Faults = lambda number, path: None
    mangle: Callable[[str, dict[str, str], Any], Any] = lambda path, query, payload: payload
    damage: Callable[[str, bytes], bytes | None] = lambda path, body: body
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def paths(self, part: str = "") -> list[str]:
        """The paths that were asked for, those that hold `part`."""
        return [path for path, _ in self.asked if part in path]


@contextmanager
def serving(truth: Truth, **more: Any) -> Iterator[Served]:
    """A venue on a free port, until the block ends."""
    served = Served(truth, **more)
    server = _Server(("127.0.0.1", 0), type("Request", (_Request,), {"served": served}))
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        # A proxy of the surroundings is for the network, not for this machine.
        with patch.dict(os.environ, {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}):
            yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """A server that takes it calmly when a client goes away, as killed ones do."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    """One request to the venue."""

    served: Served
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        served = self.served
        with served.lock:
            number = len(served.asked)
            served.asked.append((parts.path, query))
        fault = served.faults(number, parts.path)
        name, _, detail = (fault or "").partition(":")
        if name == "slow":
            time.sleep(float(detail))
        if name == "drop":
            self.close_connection = True
            return
        if name.isdigit():
            self._send(int(name), b'{"code":-1003,"msg":"fault"}', {"Retry-After": detail} if detail else {})
            return
        if name == "text":
            self._send(200, b"<html>please wait</html>", {})
            return
        status, body = self._body(parts.path, query)
        self._send(status, body, {}, cut=name if name.startswith("cut") else "")

    def _body(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        if path.startswith("/data/"):
            found = archive_file(self.served.truth, path)
            found = None if found is None else self.served.damage(path, found)
            return (404, b"not there") if found is None else (200, found)
        try:
            payload = self.served.mangle(path, query, answer(self.served.truth, path, query))
        except Refusal as refusal:
            return refusal.status, json.dumps(refusal.payload).encode()
        return 200, json.dumps(payload).encode()

    def _send(self, status: int, body: bytes, headers: dict[str, str], cut: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for key, value in headers.items():
            self.send_header(key, value)
        if cut:
            self.close_connection = True
            self.send_header("Connection", "close")
        if cut != "cut_open":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)

    def log_message(self, *words: Any) -> None:
        """Says nothing."""
