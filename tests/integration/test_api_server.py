"""The real server on a real socket: ports, signals, shutdown, and bodies as bytes on the wire."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from doubles import MemoryStore, MemoryTransaction
from services.api_in_thread import connect, running
from services.certificates import certificates
from serving_doubles import Shop

from core.errors import InvalidSettings
from serving.app import create_app
from serving.http.server import Tls, serve


def exchange(port: int, request: bytes) -> bytes:
    """Bytes to the server, and what it says until it closes."""
    with connect(port) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_port_0_takes_a_free_port_and_the_server_names_it() -> None:
    with running(Shop().services) as server:
        assert server.port > 0
        assert httpx.get(f"{server.url}/health").json() == {"status": "alive", "version": "1.2.3"}


def test_ids_with_slashes_and_any_script_work_over_http() -> None:
    with running(Shop().services) as server, httpx.Client(base_url=server.url) as client:
        client.post("/v1/interactions", json={"user_id": "ü/日本", "item_id": "a"})
        answer = client.get("/v1/users/%C3%BC%2F%E6%97%A5%E6%9C%AC/recommendations?n=1").json()
    assert (answer["user_id"], answer["items"][0]["item_id"]) == ("ü/日本", "b")


def test_an_oversized_content_length_is_refused_and_the_connection_closed() -> None:
    with running(Shop().services) as server:
        head = b"POST /v1/interactions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
        reply = exchange(server.port, head)
    assert reply.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in reply.lower()


def test_invalid_http_is_answered_with_400() -> None:
    with running(Shop().services) as server:
        assert exchange(server.port, b"hello\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_a_client_that_disconnects_during_its_body_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop()
    with running(shop.services) as server:
        with connect(server.port) as connection:
            connection.sendall(b"POST /v1/interactions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\n{")
        assert httpx.get(f"{server.url}/v1/status").json()["events"] == 0
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_events_of_concurrent_clients_count_once() -> None:
    shop = Shop()
    with running(shop.services) as server, httpx.Client(base_url=server.url) as client:

        def post(number: int) -> int:
            event = {"event_id": f"e{number}", "user_id": f"u{number % 7}", "item_id": "a"}
            return int(client.post("/v1/interactions", json=event).json()["accepted"])

        with ThreadPoolExecutor(16) as pool:
            assert sum(pool.map(post, range(200))) == 200
    with shop.store.read() as read:
        assert read.totals().events == 200
        assert sum(state.seq for state in (read.users.find(f"u{i}") for i in range(7)) if state) == 200


class SlowStore(MemoryStore):
    """A store whose commit waits to be let through."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        self.begun.set()
        assert self.gate.wait(timeout=30)
        with super().transaction() as tx:
            yield tx


def test_stopping_commits_and_answers_the_request_in_flight() -> None:
    store = SlowStore()
    shop = Shop(store)
    with running(shop.services) as server, ThreadPoolExecutor(1) as pool:
        store.gate.clear()
        store.begun.clear()
        event = {"event_id": "e", "user_id": "u", "item_id": "a"}
        reply = pool.submit(httpx.post, f"{server.url}/v1/interactions", json=event, timeout=20)
        assert store.begun.wait(timeout=20)
        server.server.stop()
        store.gate.set()
        assert reply.result().json()["accepted"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_and_returns_to_the_caller(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    serve(create_app(Shop().services), port=0, on_bound=lambda _host, _port: os.kill(os.getpid(), number))
    assert signal.getsignal(number) is before


def test_a_port_that_is_taken_is_an_error_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidSettings, match=rf"server\.port: 127\.0\.0\.1:{port} .*choose another port"):
            serve(create_app(Shop().services), port=port)


def test_an_address_of_another_machine_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(InvalidSettings, match=r"server\.(host|port)"):
        serve(create_app(Shop().with_services(api_key="k" * 16)), host="192.0.2.1", port=0)


def test_an_api_open_to_other_machines_does_not_start_without_a_key() -> None:
    with pytest.raises(InvalidSettings, match=r"needs server\.api_key"):
        serve(create_app(Shop().services), host="0.0.0.0", port=0)


def test_with_a_certificate_the_api_speaks_https_alone(tmp_path: Path) -> None:
    pems = certificates(tmp_path)
    with running(Shop().services, tls=Tls(pems.broker)) as at:
        trusting = ssl.create_default_context(cafile=str(pems.authority))
        assert httpx.get(f"https://127.0.0.1:{at.port}/health", verify=trusting).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"https://127.0.0.1:{at.port}/health")
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"http://127.0.0.1:{at.port}/health")


def test_every_https_answer_and_no_other_demands_https(tmp_path: Path) -> None:
    pems = certificates(tmp_path)
    trusting = ssl.create_default_context(cafile=str(pems.authority))
    requests = [("GET", "/health", ""), ("GET", "/nowhere", ""), ("POST", "/health", ""), ("GET", "/", 70_000 * "x")]
    statuses = [200, 404, 405, 431]

    def demands(url: str) -> list[tuple[int, str | None]]:
        with httpx.Client(base_url=url, verify=trusting) as client:
            answers = [client.request(method, path, headers={"X-Text": text}) for method, path, text in requests]
        return [(answer.status_code, answer.headers.get("strict-transport-security")) for answer in answers]

    with running(Shop().services, tls=Tls(pems.broker)) as at:
        assert demands(f"https://127.0.0.1:{at.port}") == [(status, "max-age=31536000") for status in statuses]
    with running(Shop().services) as at:
        assert demands(at.url) == [(status, None) for status in statuses]


def test_a_certificate_that_cannot_be_used_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for name in ("no.pem", "missing.pem"):
        with pytest.raises(InvalidSettings, match=rf"server\.tls_certificate: .*{name}"):
            serve(create_app(Shop().services), port=0, tls=Tls(tmp_path / name))
