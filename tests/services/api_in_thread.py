"""The real server in a thread of the test's process, on a free port, and connections to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from serving.app import Services, create_app
from serving.http.server import Server, Tls

TIMEOUT_S = 30.0


@dataclass
class Running:
    """A server in a thread."""

    server: Server
    url: str
    port: int


@contextmanager
def running(services: Services, *, tls: Tls | None = None) -> Iterator[Running]:
    """A server that answers while the block runs."""
    bound: list[int] = []
    up = threading.Event()

    def on_bound(_host: str, port: int) -> None:
        bound.append(port)
        up.set()

    server = Server(create_app(services), host="127.0.0.1", port=0, on_bound=on_bound, tls=tls)
    thread = threading.Thread(target=server.run_until_stopped)
    thread.start()
    try:
        assert up.wait(timeout=TIMEOUT_S)
        yield Running(server, f"http://127.0.0.1:{bound[0]}", bound[0])
    finally:
        server.stop()
        thread.join(timeout=TIMEOUT_S)
    assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
