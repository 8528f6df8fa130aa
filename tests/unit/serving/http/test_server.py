"""The port of several processes: refused while another program has it, free again as soon as they have ended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from core.errors import InvalidSettings
from serving.http.server import Server, reserved_port

HOST = "127.0.0.1"


@contextmanager
def serving(port: int) -> Iterator[None]:
    """A server on a shared port while the block runs."""
    app, answering = FastAPI(), threading.Event()
    app.state.services = SimpleNamespace(api_key=None)
    server = Server(app, host=HOST, port=port, shares_port=True, on_bound=lambda *_: answering.set())
    thread = threading.Thread(target=server.run_until_stopped)
    thread.start()
    try:
        assert answering.wait(30)
        yield
    finally:
        server.stop()
        thread.join()


def test_servers_start_again_while_connections_they_closed_linger() -> None:
    with httpx.Client() as client:
        with reserved_port(HOST, 0) as port, serving(port):
            client.get(f"http://{HOST}:{port}/")  # kept alive: the server closes it, and the kernel keeps this end
        with reserved_port(HOST, port) as again:
            assert again == port


def test_connections_of_an_ended_server_keep_no_port() -> None:
    """The side that closes first remembers a connection for a minute."""
    with socket.create_server((HOST, 0)) as ended:
        address = ended.getsockname()
        with socket.create_connection(address) as client:
            ended.accept()[0].close()
            assert client.recv(1) == b""
    with reserved_port(*address) as port:
        assert port == address[1]


def test_a_port_that_other_processes_will_share_is_refused() -> None:
    with reserved_port(HOST, 0) as port, pytest.raises(InvalidSettings, match="choose another port"):
        reserved_port(HOST, port).__enter__()


def test_a_port_on_which_another_program_listens_is_refused() -> None:
    with socket.create_server((HOST, 0)) as program, pytest.raises(InvalidSettings, match="choose another port"):
        reserved_port(HOST, program.getsockname()[1]).__enter__()
