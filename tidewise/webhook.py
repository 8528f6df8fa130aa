"""The webhook: alarms are posted to an address, signed, until it has taken them.

Whoever may set the address must not reach what this machine alone can reach: private addresses are refused unless they
are allowed, the name is resolved once and the connection goes to that very address, and redirects are not followed.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import logging
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from urllib.parse import urlsplit

from core.clock import DAY_MS, Clock
from core.drift.records import Alarm
from core.errors import InvalidSettings, TidewiseError
from core.ports import Store
from tidewise import __version__
from tidewise.settings.schema import Settings

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 3600.0
MAX_ATTEMPTS = 20  # some 14 hours
MAX_AGE_MS = DAY_MS  # older alarms were raised before there was a webhook
SIGNATURE = "X-Tidewise-Signature"


class WebhookRefused(TidewiseError):
    """The webhook did not take an alarm; it is tried again later."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where alarms go. `secret`: both sides know it. `allow_private`: addresses of this network are allowed."""

    url: str
    secret: str
    allow_private: bool = False

    def post(self, alarm: Alarm) -> None:
        """Send one alarm; raises `WebhookRefused`."""
        body = json.dumps({"version": 1, "alarm": asdict(alarm)}).encode()
        stamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"tidewise/{__version__}",
            SIGNATURE: f"t={stamp},v1={signature(self.secret, stamp, body)}",
        }
        try:
            status = self._send(body, headers)
        except (OSError, http.client.HTTPException) as error:
            msg = f"{self.url} cannot be reached ({error}); it is tried again"
            raise WebhookRefused(msg) from error
        if not 200 <= status < 300:
            msg = f"{self.url} answered {status}, wanted 2xx (redirects are not followed); it is tried again"
            raise WebhookRefused(msg)

    def _send(self, body: bytes, headers: dict[str, str]) -> int:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = self._resolved(host, port)
        kind = _PinnedHttps if parts.scheme == "https" else _Pinned
        connection = kind(host, port, address)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def _resolved(self, host: str, port: int) -> str:
        """The address to connect to, checked; what a second lookup would say does not matter."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        address = str(found[0][4][0])
        if not self.allow_private and not ipaddress.ip_address(address.partition("%")[0]).is_global:
            msg = f"{host} is {address}, an address of this network; set drift.webhook_allow_private if that is meant"
            raise WebhookRefused(msg)
        return address


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was looked up before."""

    def __init__(self, host: str, port: int, address: str) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S)
        self._address = address

    def connect(self) -> None:
        """Connect to that address, whatever the name says by now."""
        self.sock = socket.create_connection((self._address, self.port), TIMEOUT_S)


class _PinnedHttps(_Pinned):
    """The same with TLS; the certificate has to be that of the name."""

    default_port = 443

    def connect(self) -> None:
        """Connect, and check the certificate."""
        super().connect()
        self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


class WebhookSender:
    """Brings alarms to a webhook, the oldest first, with longer and longer pauses where it refuses."""

    def __init__(
        self,
        store: Store,
        webhook: Webhook | None,
        *,
        clock: Clock,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: that of the events."""
        self._store = store
        self._webhook = webhook
        self._clock = clock
        self._seconds = seconds
        self._not_before_s: dict[str, float] = {}

    def deliver(self) -> int:
        """Send what is due; returns how many alarms were taken."""
        if self._webhook is None:
            return 0
        oldest_ms = self._clock.now_ms() - MAX_AGE_MS
        with self._store.read() as read:
            waiting = read.drift.alarms(limit=1_000, unsent=True)
        due = [
            alarm
            for alarm in waiting
            if alarm.detected_ms >= oldest_ms
            and alarm.num_attempts < MAX_ATTEMPTS
            and self._seconds() >= self._not_before_s.get(alarm.alarm_id, 0.0)
        ]
        return sum(self._attempt(self._webhook, alarm) for alarm in due)

    def _attempt(self, webhook: Webhook, alarm: Alarm) -> bool:
        tried = replace(alarm, num_attempts=alarm.num_attempts + 1)
        try:
            webhook.post(alarm)
            tried = replace(tried, sent_ms=int(time.time() * 1000))
        except WebhookRefused as error:
            logger.warning("alarm %s: %s", alarm.alarm_id, error)
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**alarm.num_attempts)
            self._not_before_s[alarm.alarm_id] = self._seconds() + pause_s
        with self._store.transaction() as tx:
            tx.drift.save_alarms([tried])
            tx.commit()
        return tried.sent_ms is not None


def signature(secret: str, stamp: str, body: bytes) -> str:
    """HMAC-SHA256 over "STAMP.BODY", in hexadecimal: what a receiver computes, too, and compares."""
    return hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def webhook_of(settings: Settings) -> Webhook | None:
    """The webhook of the settings; raises `InvalidSettings` where its address can be no address."""
    given = settings.drift
    if not given.webhook_url:
        return None
    parts = urlsplit(given.webhook_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        msg = f"drift.webhook_url: wanted http(s)://HOST/PATH without a password, got {given.webhook_url!r}"
        raise InvalidSettings(msg)
    return Webhook(given.webhook_url, given.webhook_secret.get_secret_value(), given.webhook_allow_private)
