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
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
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

TIMEOUT_S = 10.0
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
        headers = {
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

    def _send(self, body: bytes, headers: dict[str, str]) -> int:
        options: dict[str, Any] = {
            "headers": headers,
            "content": body,
            "extensions": {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT_S)},
        }
        backend = _CheckedAddresses(allow_private=self.allow_private)
        with (
            httpcore.ConnectionPool(ssl.create_default_context(), network_backend=backend) as pool,
            pool.stream("POST", self.url, **options) as response,
        ):
            return response.status  # the body is not read


class _CheckedAddresses(httpcore.SyncBackend):
    """Connects to the address that was resolved and checked; a second look-up could return another address."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        """Resolve the host, check its address, and connect; TLS still checks the certificate of the host name."""
        address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
        if not self._allow_private and not is_public(address.partition("%")[0]):
            msg = f"{host} is {address}, an address of this network; set drift.webhook_allow_private if that is meant"
            raise WebhookRefused(msg)
        return super().connect_tcp(address, port, *arguments, **options)


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
    ) -> None:
        """`clock`: the clock of the events; `seconds`: the clock of the back-off."""
        self._store = store
        self._webhook = webhook
        self._clock = clock
        self._seconds = seconds
        self._not_before_s: dict[str, float] = {}

    def deliver(self) -> int:
        """Send the alarms that are due, until one is refused; returns how many the webhook accepted.

        So a receiver that is away or slow is asked once in a call, not once for each alarm.
        """
        if self._webhook is None:
            return 0
        oldest_ms = self._clock.now_ms() - MAX_AGE_MS
        with self._store.read() as read:
            unsent = read.drift.alarms(limit=1_000, unsent=True)
        due = [
            alarm
            for alarm in unsent
            if alarm.detected_ms >= oldest_ms
            and alarm.num_attempts < MAX_ATTEMPTS
            and self._seconds() >= self._not_before_s.get(alarm.alarm_id, 0.0)
        ]
        return sum(1 for _ in takewhile(partial(self._attempt, self._webhook), due))

    def _attempt(self, webhook: Webhook, alarm: Alarm) -> bool:
        attempted = replace(alarm, num_attempts=alarm.num_attempts + 1)
        try:
            webhook.post(alarm)
            attempted = replace(attempted, sent_ms=int(time.time() * 1000))
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
