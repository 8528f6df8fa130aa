"""The proxy of deploy/Caddyfile before two APIs: what one client sends, or one API that ends, keeps nobody out."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from services.postgres import free_port
from services.required import program

CADDYFILE = Path(__file__).parents[2] / "deploy" / "Caddyfile"
BROKEN_BODIES = {
    "a length that is none": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk that is too long": b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
}


class _Api(BaseHTTPRequestHandler):
    """Answers once a request has arrived."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        while self.rfile.readline().strip() != b"0":  # the last chunk
            pass
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def api() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Api) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def proxy(folder: Path, *upstreams: int, health_interval: str = "2s") -> Iterator[int]:
    """The proxy without TLS and without its own interface, by its port, once it answers."""
    caddy, port = program("caddy", package="caddy"), free_port()
    text = CADDYFILE.read_text("utf-8")
    for line, here in {"admin 127.0.0.1:2019": "admin off", "interval 2s": f"interval {health_interval}"}.items():
        assert line in text
        text = text.replace(line, here)
    (folder / "Caddyfile").write_text(text)
    addresses = " ".join(f"127.0.0.1:{upstream}" for upstream in upstreams)
    variables = {"SITE": f"http://127.0.0.1:{port}", "UPSTREAMS": addresses, "HOME": str(folder)}
    command = [caddy, "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | variables, stdout=log, stderr=log)
    try:
        transport = httpx.HTTPTransport(retries=10)  # until it listens
        with httpx.Client(transport=transport, timeout=30) as client:
            assert client.get(f"http://127.0.0.1:{port}/health").status_code == 200
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def statuses(port: int, number: int) -> list[int]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        return [client.get("/health").status_code for _ in range(number)]


@pytest.mark.parametrize("body", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
def test_a_body_that_breaks_off_keeps_nobody_out(body: bytes, tmp_path: Path) -> None:
    with ExitStack() as stack:
        ports = [stack.enter_context(api()).server_port for _ in range(2)]
        port = stack.enter_context(proxy(tmp_path, *ports))
        for _ in range(4):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(b"POST /v1/recommendations HTTP/1.1\r\nHost: 127.0.0.1\r\n" + body)
                assert connection.recv(65536).split()[1] in (b"400", b"502")
        assert statuses(port, 10) == [200] * 10


def test_requests_to_an_api_that_has_ended_go_to_the_other(tmp_path: Path) -> None:
    with api() as other, proxy(tmp_path, other.server_port, free_port(), health_interval="10m") as port:
        assert statuses(port, 20) == [200] * 20
