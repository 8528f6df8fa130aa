"""The webhook: posts alarms to an address, signed, and tries again until the receiver accepts them.

Whoever sets the address must not reach what only this machine can reach (server-side request forgery): private
addresses are refused unless they are allowed, the host name is resolved once and the connection goes to that address,
and redirects are not followed. httpcore sends the request; the retries are ours
(docs/decisions/0031-webhook-retries-in-the-database.md).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import logging
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import takewhile
from typing import Any
from urllib.parse import urlsplit

import httpcore

from core.clock import DAY_MS, Clock
from core.errors import InvalidSettings, TidewiseError
from core.ports.store import Store
from core.records.drift import Alarm
from tidewise import __version__
from tidewise.settings.schema import Settings

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0  # of one alarm, from the connection to the status
PASS_S = 15.0  # no alarm is begun later in a pass, so that it ends before another monitor may take over (core.lease)
MAX_ALARMS = 1_000  # read at once
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 3600.0
MAX_ATTEMPTS = 20  # some 14 hours
MAX_AGE_MS = DAY_MS  # older alarms were raised before the webhook was set
SIGNATURE = "X-Tidewise-Signature"
# IPv6 addresses that end with one of IPv4: NAT64 (RFC 6052), stateless translation, and the compatible ones.
TRANSLATED = [ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")]
TRANSPORT_ERRORS = (OSError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


class WebhookRefused(TidewiseError):
    """The webhook did not accept an alarm; the alarm is sent again later."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """The receiver of alarms. `secret`: shared with it. `allow_private`: whether private addresses are allowed."""

    url: str
    secret: str
    allow_private: bool = False

    @property
    def shown(self) -> str:
        """The address for messages: without its path, which is often the receiver's secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def post(self, alarm: Alarm) -> None:
        """Send one alarm; raises `WebhookRefused`."""
        body = json.dumps({"version": 1, "alarm": asdict(alarm)}).encode()
        timestamp = str(int(time.time()))
        headers: dict[bytes | str, bytes | str] = {
            "Content-Type": "application/json",
            "User-Agent": f"tidewise/{__version__}",
            SIGNATURE: f"t={timestamp},v1={signature(self.secret, timestamp, body)}",
        }
        try:
            status = self._send(body, headers)
        except TRANSPORT_ERRORS as error:
            msg = f"{self.shown} cannot be reached ({error}); it is tried again"
            raise WebhookRefused(msg) from error
        if not 200 <= status < 300:
            msg = f"{self.shown} answered {status}, wanted 2xx (redirects are not followed); it is tried again"
            raise WebhookRefused(msg)

    def _send(self, body: bytes, headers: Mapping[bytes | str, bytes | str]) -> int:
        backend = _CheckedAddresses(allow_private=self.allow_private, deadline_s=time.monotonic() + TIMEOUT_S)
        with (
            httpcore.ConnectionPool(_tls(), network_backend=backend) as pool,
            pool.stream("POST", self.url, headers=headers, content=body) as response,
        ):
            return response.status  # the body is not read


@cache
def _tls() -> ssl.SSLContext:
    """Made once, which takes 20 ms of CPU: thousands of alarms may be due at once."""
    return ssl.create_default_context()


class _CheckedAddresses(httpcore.SyncBackend):
    """Connects to the address that was resolved and checked; a second look-up could return another address."""

    def __init__(self, *, allow_private: bool, deadline_s: float) -> None:
        """`deadline_s`: of the whole exchange (monotonic)."""
        self._allow_private = allow_private
        self._deadline_s = deadline_s

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *arguments: Any, **options: Any
    ) -> httpcore.NetworkStream:
        """Resolve the host, check its address, and connect; TLS still checks the certificate of the host name."""
        address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
        if not self._allow_private and not is_public(address.partition("%")[0]):
            msg = f"{host} is {address}, an address of this network; set drift.webhook_allow_private if that is meant"
            raise WebhookRefused(msg)
        stream = super().connect_tcp(address, port, _left_s(self._deadline_s), *arguments, **options)
        return _TimedStream(stream, self._deadline_s)


class _TimedStream(httpcore.NetworkStream):
    """A connection until a deadline, however slowly the other end sends: httpcore limits each read, not all of them."""

    def __init__(self, stream: httpcore.NetworkStream, deadline_s: float) -> None:
        self._stream = stream
        self._deadline_s = deadline_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has come, at least a byte; b"" at the end."""
        return self._stream.read(max_bytes, _left_s(self._deadline_s))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all."""
        self._stream.write(buffer, _left_s(self._deadline_s))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Encrypt it."""
        stream = self._stream.start_tls(ssl_context, server_hostname, _left_s(self._deadline_s))
        return _TimedStream(stream, self._deadline_s)

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """Details of the connection."""
        return self._stream.get_extra_info(info)


def _left_s(deadline_s: float) -> float:
    """The time until a deadline (monotonic); raises httpcore's `TimeoutException` after it."""
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        msg = f"no answer within {TIMEOUT_S:g} s"
        raise httpcore.TimeoutException(msg)
    return left_s


def is_public(address: str) -> bool:
    """Whether an address is of the internet, and so is the IPv4 address that it may lead to through a translator."""
    parsed = ipaddress.ip_address(address)
    if not parsed.is_global or parsed.is_multicast:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return True
    within = [ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)] if any(parsed in net for net in TRANSLATED) else []
    if parsed.sixtofour is not None:
        within.append(parsed.sixtofour)
    return not parsed.is_site_local and all(inner.is_global and not inner.is_multicast for inner in within)


class WebhookSender:
    """Sends alarms to the webhook, the oldest first, with exponential back-off after a refusal."""

    def __init__(
        self,
        store: Store,
        webhook: Webhook | None,
        *,
        clock: Clock,
        seconds: Callable[[], float] = time.monotonic,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        """`clock`: the clock of the events; `seconds`: the clock of the back-off. `may_send`: whether no other does."""
        self._store = store
        self._webhook = webhook
        self._clock = clock
        self._seconds = seconds
        self._may_send = may_send
        self._not_before_s: dict[str, float] = {}
        self._stopping = False

    def deliver(self) -> int:
        """Send the alarms that are due, until one is refused or `PASS_S` are over; returns how many were accepted.

        So a receiver that is away is asked once in a call, not once for each alarm.
        """
        if self._webhook is None or not self._may_send():
            return 0
        begin_s, oldest_ms = self._seconds(), self._clock.now_ms() - MAX_AGE_MS
        with self._store.read() as read:
            unsent = read.drift.unsent_alarms(since_ms=oldest_ms, max_attempts=MAX_ATTEMPTS, limit=MAX_ALARMS)
        due = [alarm for alarm in unsent if begin_s >= self._not_before_s.get(alarm.alarm_id, 0.0)]
        in_time = takewhile(lambda _: not self._stopping and self._seconds() <= begin_s + PASS_S, due)
        return sum(1 for _ in takewhile(partial(self._attempt, self._webhook), in_time))

    def request_stop(self) -> None:
        """Ask a call in progress to end after the alarm that it sends; from any thread."""
        self._stopping = True

    def _attempt(self, webhook: Webhook, alarm: Alarm) -> bool:
        attempted = replace(alarm, num_attempts=alarm.num_attempts + 1)
        try:
            webhook.post(alarm)
            attempted = replace(attempted, sent_ms=int(time.time() * 1000))
            self._not_before_s.clear()  # the receiver is back
        except WebhookRefused as error:
            logger.warning("alarm %s: %s", alarm.alarm_id, error)
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**alarm.num_attempts)
            self._not_before_s[alarm.alarm_id] = self._seconds() + pause_s
        with self._store.transaction() as tx:
            tx.drift.save_delivery(attempted)
            tx.commit()
        return attempted.sent_ms is not None


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of "TIMESTAMP.BODY" in hexadecimal; the receiver computes the same and compares."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def webhook_of(settings: Settings) -> Webhook | None:
    """The webhook of the settings, None where they name none; raises `InvalidSettings` for a malformed address."""
    drift = settings.drift
    url = drift.webhook_url.get_secret_value()
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        msg = "drift.webhook_url: wanted http(s)://HOST/PATH without a user name and password"
        raise InvalidSettings(msg)
    return Webhook(url, drift.webhook_secret.get_secret_value(), drift.webhook_allow_private)
