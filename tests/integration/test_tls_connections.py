"""Connections by TLS whose handshake does not end: they count as all others, and end in the same time."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from services.api_in_thread import Running, connect, running
from services.certificates import Certificates, certificates
from serving_doubles import Shop

from serving.http import connections
from serving.http.server import Tls

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
BEGINNING = b"\x16\x03\x01\x02\x00\x01\x00"  # of a handshake


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("pems"))


def by_tls(pems: Certificates) -> AbstractContextManager[Running]:
    return running(Shop().services, tls=Tls(pems.broker))


def status(port: int, pems: Certificates) -> int:
    """Of a request by TLS."""
    trusting = ssl.create_default_context(cafile=str(pems.authority))
    with trusting.wrap_socket(connect(port), server_hostname="127.0.0.1") as connection:
        connection.sendall(HEALTH)
        return int(connection.recv(65536).split()[1])


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_clients_that_begin_no_handshake_count_as_connections(
    pems: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "max_connections", lambda: 2)
    with by_tls(pems) as at:
        silent = [connect(at.port)]
        assert status(at.port, pems) == 200
        silent.append(connect(at.port))
        wait_until(lambda: len(at.server.server_state.connections) == 2)
        assert status(at.port, pems) == 503
        silent += [connect(at.port) for _ in range(2)]
        wait_until(lambda: len(at.server.server_state.connections) == 4)
        with connect(at.port) as another:
            assert another.recv(1) == b""
        for connection in silent:
            connection.close()
        wait_until(lambda: not at.server.server_state.connections)
        assert status(at.port, pems) == 200


@pytest.mark.parametrize("sent", [b"", BEGINNING], ids=["nothing", "a part"])
def test_a_handshake_that_does_not_arrive_ends_its_connection(
    pems: Certificates, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "RECEIVING_S", 0.3)
    with by_tls(pems) as at:
        with connect(at.port) as connection:
            connection.sendall(sent)
            assert connection.recv(1) == b""
        wait_until(lambda: not at.server.server_state.connections)


def test_what_is_no_handshake_is_refused_and_forgotten(pems: Certificates) -> None:
    with by_tls(pems) as at:
        with connect(at.port) as connection:
            connection.sendall(HEALTH)
            assert not connection.recv(65536).startswith(b"HTTP")
        wait_until(lambda: not at.server.server_state.connections)


def test_a_server_ends_though_a_client_does_not_begin_its_handshake(pems: Certificates) -> None:
    with by_tls(pems) as at, connect(at.port) as connection:
        wait_until(lambda: len(at.server.server_state.connections) == 1)
        at.server.stop()
        assert connection.recv(1) == b""
