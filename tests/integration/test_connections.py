"""Connections that send too much, too slowly or several requests at once, on a real socket."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from services.api_in_thread import connect, running
from serving_doubles import Shop

from serving.app import Services
from serving.http import connections
from serving.http.connections import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED
from serving.http.repeated_lines import NUM_LINES

KEY = "a-key-of-sixteen-characters"
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/interactions HTTP/1.1\r\nHost: localhost\r\nX-API-Key: " + KEY.encode() + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as port:
        yield port


@contextmanager
def serving() -> Iterator[int]:
    """A server with a key, by its port."""
    with running(with_key()) as at:
        yield at.port


def with_key() -> Services:
    return Shop().with_services(api_key=KEY)


def all_of(connection: socket.socket) -> bytes:
    """What the server says until it closes."""
    received = b""
    with suppress(ConnectionResetError):  # it closes before it has read everything
        while part := connection.recv(65536):
            received += part
    return received


def exchange(port: int, request: bytes) -> bytes:
    with connect(port) as connection:
        with suppress(ConnectionError):  # it may be refused before it is sent
            connection.sendall(request)
        return all_of(connection)


def send_for_ever(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 1_000)


def statuses(reply: bytes) -> list[int]:
    return [int(part[:3]) for part in reply.split(b"HTTP/1.1 ")[1:]]


def error_of(reply: bytes) -> tuple[int, str]:
    (status,), body = statuses(reply), reply.partition(b"\r\n\r\n")[2]
    assert b"connection: close" in reply.lower()
    return status, json.loads(body)["error"]["code"]


TOO_LARGE = {
    "one header": b"GET /health HTTP/1.1\r\nX-A: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
    "many headers": b"GET /health HTTP/1.1\r\n" + b"X-A: aaaaaaaaaa\r\n" * (MAX_HEAD_BYTES // 16) + b"\r\n",
    "more headers than a request has": b"GET /health HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    "more headers, without an end": b"GET /health HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_HEADERS + 2),
    "a header without an end": b"GET /health HTTP/1.1\r\nX-A: " + b"a" * MAX_HEAD_BYTES,
    "a path": b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n",
    "trailers": POST + CHUNKED + b"0\r\n" + b"X-A: aaaaaaaaaa\r\n" * MAX_HEAD_BYTES,
    "the extension of a chunk": POST + CHUNKED + b"1;" + b"a" * 16 * MAX_HEAD_BYTES,
    "line breaks": b"\r\n" * MAX_HEAD_BYTES,
}


@pytest.mark.parametrize("request_", TOO_LARGE.values(), ids=TOO_LARGE)
def test_more_than_a_head_may_be_is_refused(port: int, request_: bytes) -> None:
    assert error_of(exchange(port, request_)) == (431, "too_large")


def test_as_many_headers_as_are_allowed_are_read(port: int) -> None:
    rest = b"A: b\r\n" * (MAX_HEADERS - 2) + b"Host: localhost\r\nConnection: close\r\n\r\n"
    assert statuses(exchange(port, b"GET /health HTTP/1.1\r\n" + rest)) == [200]


def test_a_large_body_is_no_large_head(port: int) -> None:
    body = b"[" + b" " * 1_000_000 + b"]"
    reply = exchange(port, POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert statuses(reply) == [422]


def test_trailers_are_no_headers(port: int) -> None:
    head = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTrailer: x-api-key\r\n" + CHUNKED
    assert statuses(exchange(port, head + b"0\r\nX-API-Key: " + KEY.encode() + b"\r\n\r\n")) == [401]
    again = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nTrailer: x-api-key\r\n" + CHUNKED
    trailer = b"0\r\nX-API-Key: " + KEY.encode() + b"\r\n\r\n"
    second = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert statuses(exchange(port, again + trailer + second)) == [401, 401]


def test_pipelined_requests_are_answered_in_order_up_to_a_number(port: int) -> None:
    some = HEALTH * MAX_PIPELINED + HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert statuses(exchange(port, some)) == [200] * (MAX_PIPELINED + 1)
    many = exchange(port, HEALTH * 5_000)
    assert statuses(many) == [200] * (MAX_PIPELINED + 1)
    assert many.lower().count(b"connection: close") == 1


def test_answers_are_sent_whole_though_the_client_sends_on(port: int) -> None:
    replies = [statuses(exchange(port, HEALTH * 5_000)) for _ in range(20)]
    assert replies == [[200] * (MAX_PIPELINED + 1)] * 20


def test_a_refused_connection_ends_though_the_client_does_not(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"\x00 garbage\r\n\r\n")
        assert statuses(all_of(connection)) == [400]
        with pytest.raises(ConnectionError):  # its side has ended, ours goes on until it is closed
            send_for_ever(connection)


def test_garbage_behind_a_request_does_not_replace_its_answer(port: int) -> None:
    assert statuses(exchange(port, HEALTH + b"\x00\x01 garbage\r\n\r\n")) == [200]
    assert error_of(exchange(port, b"\x00\x01 garbage\r\n\r\n")) == (400, "bad_request")


AMBIGUOUS = {
    "a length and chunks": b"Content-Length: 6\r\n" + CHUNKED + b"0\r\n\r\nX",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}X",
    "a signed length": b"Content-Length: +2\r\n\r\n{}",
    "a length beyond 64 bits": b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "chunks in other words": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded line": b"X-A: a\r\n b\r\n\r\n",
    "a zero byte": b"X-A: a\x00b\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\nx",
}


@pytest.mark.parametrize("rest", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_a_proxy_could_read_otherwise_is_refused(port: int, rest: bytes) -> None:
    assert error_of(exchange(port, POST + rest)) == (400, "bad_request")


HOSTS = {
    "none": b"",
    "two": b"Host: localhost\r\nHost: localhost\r\n",
    "two, one empty": b"Host:\r\nHost: localhost\r\n",
    "a user name": b"Host: user@localhost\r\n",
    "a path": b"Host: localhost/path\r\n",
    "a list": b"Host: localhost, example.com x\r\n",
    "an open bracket": b"Host: [::1\r\n",
    "a port that is no number": b"Host: localhost:http\r\n",
    "high bytes": b"Host: localh\xf6st\r\n",
}


@pytest.mark.parametrize("hosts", HOSTS.values(), ids=HOSTS)
def test_a_request_without_one_valid_host_is_refused(port: int, hosts: bytes) -> None:
    assert error_of(exchange(port, b"GET /health HTTP/1.1\r\n" + hosts + b"\r\n")) == (400, "bad_request")


@pytest.mark.parametrize("host", [b"localhost", b"127.0.0.1:80", b"[::1]:8080", b"my_shop.example", b""])
def test_a_host_is_a_name_or_an_address_with_a_port(port: int, host: bytes) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
    assert statuses(exchange(port, head)) == [200]


def test_a_client_of_an_older_http_may_name_no_host(port: int) -> None:
    assert statuses(exchange(port, b"GET /health HTTP/1.0\r\n\r\n")) == [200]
    two = b"GET /health HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
    assert error_of(exchange(port, two)) == (400, "bad_request")


def test_an_answer_to_a_request_refused_meanwhile_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with serving() as port:
        for _ in range(5):
            reply = exchange(port, b"POST /v1/interactions HTTP/1.1\r\nHost: localhost\r\n" + CHUNKED + b"ZZ")
            assert error_of(reply) == (400, "bad_request")
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_lines_about_malformed_requests_are_few_whatever_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    upgrade = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n")
    with serving() as port:
        for _ in range(100):
            assert error_of(exchange(port, b"\x00 garbage\r\n\r\n")) == (400, "bad_request")
            assert statuses(exchange(port, upgrade)) == [200]
    assert len(caplog.records) <= 2 * NUM_LINES


SLOW = {
    "a line break": b"\r\n",
    "a part of a head": b"GET /health HTTP/1.1\r\nHo",
    "a part of a body": POST + b"Content-Length: 100\r\n\r\n{",
}


@pytest.mark.parametrize("part", SLOW.values(), ids=SLOW)
def test_a_request_that_does_not_arrive_ends_its_connection(
    port: int, monkeypatch: pytest.MonkeyPatch, part: bytes
) -> None:
    monkeypatch.setattr(connections, "RECEIVING_S", 0.3)
    assert statuses(exchange(port, part))[-1] == 408


def test_a_connection_without_a_request_is_closed_without_an_answer(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RECEIVING_S", 0.3)
    assert exchange(port, b"") == b""
    assert statuses(exchange(port, b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")) == [
        401
    ]


def test_requests_that_wait_or_come_on_a_kept_connection_are_not_late(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "RECEIVING_S", 0.3)
    with connect(port) as connection:
        for _ in range(2):
            connection.sendall(HEALTH)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(1.5)  # longer than a request may take, shorter than a connection is kept


@pytest.mark.parametrize(("lost_s", "status"), [(100.0, 200), (0.0, 408)])
def test_while_the_server_was_suspended_no_client_was_slow(lost_s: float, status: int) -> None:
    with running(with_key()) as at, connect(at.port) as connection:
        connection.sendall(HEALTH[:10])
        while not (known := list(at.server.server_state.connections)):
            time.sleep(0.01)
        checked, opened = threading.Event(), known[0]
        assert isinstance(opened, connections.Connection)

        def resume() -> None:
            opened.check(opened.loop.time() + 100.0, lost_s=lost_s)
            checked.set()

        opened.loop.call_soon_threadsafe(resume)
        assert checked.wait(timeout=30)
        with suppress(ConnectionError):
            connection.sendall(HEALTH[10:])
        assert statuses(connection.recv(65536)) == [status]


def test_a_client_that_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SENDING_S", 0.3)
    with running(with_key()) as at, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", at.port))
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * MAX_PIPELINED)
        connection.settimeout(30)
        for is_open in (True, False):
            while bool(at.server.server_state.connections) is not is_open:
                time.sleep(0.01)
        assert len(statuses(all_of(connection))) < MAX_PIPELINED


def test_too_many_connections_are_refused_politely_and_then_at_once(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "max_connections", lambda: 2)
    kept = [connect(port) for _ in range(2)]
    for connection in kept:
        connection.sendall(HEALTH)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    reply = exchange(port, HEALTH)
    assert error_of(reply) == (503, "overloaded")
    assert b"retry-after: 1\r\n" in reply.lower()
    waiting = [connect(port) for _ in range(2)]
    assert exchange(port, b"") == b""
    for connection in (*kept, *waiting):
        connection.close()
    deadline_s = time.monotonic() + 30
    while not exchange(port, HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 200"):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
