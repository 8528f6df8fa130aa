"""The webhook: signed, retried with back-off, without redirects, never to a private address by accident."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import IO

import pytest
from doubles import MemoryStore

from core.clock import ManualClock
from core.errors import InvalidSettings
from core.lease import TTL_MS
from core.records.drift import Alarm
from tidewise.settings.schema import load_settings
from tidewise.webhook import (
    MAX_AGE_MS,
    MAX_ALARMS,
    MAX_ATTEMPTS,
    PASS_S,
    SIGNATURE,
    TIMEOUT_S,
    Webhook,
    WebhookRefused,
    WebhookSender,
    is_public,
    signature,
    webhook_of,
)

SECRET = "a secret of sixteen"
ALARM = Alarm("hit_rate//5", "hit_rate", "", 5, 2, 0.2, 0.1, 0.08, 0.12, "events moved", "v1")


class Receiver:
    """An HTTP server on loopback that records requests, calls `on_post` and answers with `status`."""

    def __init__(self) -> None:
        self.status = 204
        self.on_post: Callable[[IO[bytes]], None] = lambda answer: None
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, dict(self.headers), body))
                outer.on_post(self.wfile)
                self.send_response(outer.status)
                self.send_header("Location", f"http://127.0.0.1:{outer.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Silence."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def hook(receiver: Receiver, *, host: str = "127.0.0.1", allow_private: bool = True) -> Webhook:
    return Webhook(f"http://{host}:{receiver.port}/alarms?to=me", SECRET, allow_private)


def test_an_alarm_is_posted_signed(receiver: Receiver) -> None:
    hook(receiver).post(ALARM)
    ((path, headers, body),) = receiver.got
    assert path == "/alarms?to=me"
    assert json.loads(body)["alarm"]["cause"] == "events moved"
    stamp, _, mac = headers[SIGNATURE].removeprefix("t=").partition(",v1=")
    assert mac == signature(SECRET, stamp, body)
    assert mac != signature("another secret", stamp, body)


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.status = 302
    with pytest.raises(WebhookRefused, match="answered 302"):
        hook(receiver).post(ALARM)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "10.1.2.3", "169.254.169.254", "[::1]"])
def test_private_addresses_are_refused_by_default(host: str) -> None:
    with pytest.raises(WebhookRefused, match=r"an address of this network|cannot be reached"):
        Webhook(f"http://{host}:9/alarms", SECRET).post(ALARM)


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:10.1.2.3",
        "64:ff9b::10.1.2.3",
        "::ffff:0:127.0.0.1",
        "::127.0.0.1",
        "2002:a01:203::1",
        "fec0::1",
        "224.0.0.1",
        "ff0e::1",
        "100.64.0.1",
    ],
)
def test_an_address_that_leads_to_a_private_one_is_private(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:21f::1", "64:ff9b::93.184.215.14", "2002:5db8:d70e::1"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_messages_name_the_receiver_without_its_path(receiver: Receiver) -> None:
    receiver.status = 500
    with pytest.raises(WebhookRefused, match=r"^http://127\.0\.0\.1:\d+ answered 500"):
        hook(receiver).post(ALARM)
    with pytest.raises(WebhookRefused) as caught:
        Webhook("http://127.0.0.1:9/secret", SECRET, allow_private=True).post(ALARM)
    assert "secret" not in str(caught.value)


def test_the_connection_goes_to_the_checked_address(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["127.0.0.1", "192.0.2.1"])

    def look_up(host: str, port: int, **_: object) -> list[object]:
        assert host == "hooks.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr("tidewise.webhook.socket.getaddrinfo", look_up, raising=True)
    monkeypatch.setattr(
        "tidewise.webhook.socket.create_connection", lambda address, timeout, **_: connect_directly(address, timeout)
    )
    hook(receiver, host="hooks.example").post(ALARM)
    assert receiver.got[0][1]["Host"] == f"hooks.example:{receiver.port}"


def connect_directly(address: tuple[str, int], timeout: float) -> socket.socket:
    """Connect without another look-up."""
    assert address[0] == "127.0.0.1"
    connection = socket.socket()
    connection.settimeout(timeout)
    connection.connect(address)
    return connection


def stored(*alarms: Alarm) -> MemoryStore:
    store = MemoryStore()
    with store.transaction() as tx:
        tx.drift.save_alarms(alarms)
        for alarm in alarms:
            tx.drift.save_delivery(alarm)
        tx.commit()
    return store


def alarms(store: MemoryStore) -> list[Alarm]:
    with store.read() as read:
        return read.drift.alarms()


def test_an_alarm_is_delivered_once(receiver: Receiver) -> None:
    store = stored(ALARM)
    sender = WebhookSender(store, hook(receiver), clock=ManualClock(10))
    assert [sender.deliver(), sender.deliver()] == [1, 0]
    assert len(receiver.got) == 1
    assert alarms(store)[0].sent_ms is not None
    assert alarms(store)[0].num_attempts == 1


def test_a_refused_alarm_is_retried_with_exponential_backoff(receiver: Receiver) -> None:
    receiver.status, now_s = 503, [0.0]
    store = stored(ALARM)
    sender = WebhookSender(store, hook(receiver), clock=ManualClock(10), seconds=lambda: now_s[0])
    attempts_s = []
    for second in range(100):
        now_s[0] = float(second)
        before = len(receiver.got)
        sender.deliver()
        attempts_s += [second] * (len(receiver.got) - before)
    assert attempts_s == [0, 10, 30, 70]
    receiver.status, now_s[0] = 200, 1000.0
    assert sender.deliver() == 1
    assert alarms(store)[0].num_attempts == 5


def test_a_receiver_that_refuses_is_asked_once_a_pass(receiver: Receiver) -> None:
    receiver.status, now_s = 503, [0.0]
    others = [replace(ALARM, alarm_id=f"hit_rate//{number}") for number in (6, 7)]
    sender = WebhookSender(stored(ALARM, *others), hook(receiver), clock=ManualClock(10), seconds=lambda: now_s[0])
    assert [sender.deliver(), len(receiver.got)] == [0, 1]
    receiver.status = 204
    assert sender.deliver() == 2  # the others
    now_s[0] = 10.0
    assert sender.deliver() == 1


def many(num: int, *, first: int = 0) -> list[Alarm]:
    return [replace(ALARM, alarm_id=f"loss//{first + number}", detected_ms=first + number) for number in range(num)]


@pytest.fixture
def _short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewise.webhook.TIMEOUT_S", 0.2)


@pytest.mark.usefixtures("_short_timeout")
def test_a_receiver_that_never_answers_is_asked_once_a_pass(receiver: Receiver) -> None:
    released = threading.Event()

    def wait(_answer: IO[bytes]) -> None:
        released.wait(30)

    receiver.on_post = wait
    store = stored(*many(100))
    assert WebhookSender(store, hook(receiver), clock=ManualClock(10)).deliver() == 0
    released.set()
    assert sum(alarm.num_attempts for alarm in alarms(store)) == 1


@pytest.mark.usefixtures("_short_timeout")
def test_a_receiver_that_answers_bit_by_bit_is_refused_in_time(receiver: Receiver) -> None:
    refused = threading.Event()

    def trickle(answer: IO[bytes]) -> None:
        answer.write(b"HTTP/1.1 200 OK\r\nServer: ")
        with suppress(OSError):
            while not refused.wait(0.01):
                answer.write(b"x")

    receiver.on_post = trickle
    with pytest.raises(WebhookRefused, match="cannot be reached"):
        hook(receiver).post(ALARM)
    refused.set()


def test_a_slow_receiver_gets_few_alarms_in_a_pass(receiver: Receiver) -> None:
    store, takes_s = stored(*many(100)), PASS_S / 2
    sender = WebhookSender(store, hook(receiver), clock=ManualClock(10), seconds=lambda: takes_s * len(receiver.got))
    assert [sender.deliver(), sender.deliver()] == [3, 3]
    names = [json.loads(body)["alarm"]["alarm_id"] for _, _, body in receiver.got]
    assert names == [alarm.alarm_id for alarm in many(6)]


def test_a_pass_ends_before_another_monitor_may_take_over() -> None:
    assert (PASS_S + TIMEOUT_S) * 1000 < TTL_MS


def test_a_stop_ends_a_pass_after_the_alarm_that_is_sent(receiver: Receiver) -> None:
    sender = WebhookSender(stored(*many(100)), hook(receiver), clock=ManualClock(10))
    receiver.on_post = lambda _answer: sender.request_stop()
    assert sender.deliver() == 1


def test_what_a_receiver_refused_is_due_when_it_is_back(receiver: Receiver) -> None:
    receiver.status = 503
    sender = WebhookSender(stored(*many(3)), hook(receiver), clock=ManualClock(10), seconds=lambda: 0.0)
    assert [sender.deliver(), sender.deliver()] == [0, 0]
    receiver.status = 204
    assert [sender.deliver(), sender.deliver()] == [1, 2]


def test_alarms_that_are_never_sent_do_not_hold_back_others(receiver: Receiver) -> None:
    now_ms = MAX_AGE_MS + MAX_ALARMS
    given_up = [replace(alarm, num_attempts=MAX_ATTEMPTS) for alarm in many(MAX_ALARMS, first=now_ms)]
    store = stored(*many(MAX_ALARMS), *given_up, replace(ALARM, detected_ms=now_ms + MAX_ALARMS))
    assert WebhookSender(store, hook(receiver), clock=ManualClock(now_ms)).deliver() == 1
    assert json.loads(receiver.got[0][2])["alarm"]["alarm_id"] == ALARM.alarm_id


def test_only_the_monitor_that_holds_the_lease_sends(receiver: Receiver) -> None:
    holds = [False]
    sender = WebhookSender(stored(ALARM), hook(receiver), clock=ManualClock(10), may_send=lambda: holds[0])
    assert sender.deliver() == 0
    holds[0] = True
    assert sender.deliver() == 1


def test_alarms_older_than_a_day_are_not_sent(receiver: Receiver) -> None:
    sender = WebhookSender(stored(ALARM), hook(receiver), clock=ManualClock(MAX_AGE_MS + 100))
    assert sender.deliver() == 0
    assert receiver.got == []


def test_without_a_webhook_nothing_is_sent() -> None:
    assert WebhookSender(stored(ALARM), None, clock=ManualClock(10)).deliver() == 0


def test_a_webhook_needs_a_secret_and_an_http_address() -> None:
    with pytest.raises(InvalidSettings, match=r"needs drift\.webhook_secret"):
        load_settings(overrides={"drift.webhook_url": "https://hooks.example"}, environment={})
    overrides = {"drift.webhook_url": "ftp://hooks.example", "drift.webhook_secret": SECRET}
    with pytest.raises(InvalidSettings, match=r"wanted http\(s\)"):
        webhook_of(load_settings(overrides=overrides, environment={}))
