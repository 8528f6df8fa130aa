"""Who may ask for what: the API keys, and the rule that an API without one is for this machine only.

This machine's browser counts as this machine, but a web page of another site in it does not: it could post events by a
form, or read answers under a host name of its own that it has pointed at 127.0.0.1.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import urlsplit

from core.errors import InvalidSettings
from core.interactions import shorten

ASKING = frozenset({"/v1/recommendations"})  # POSTs that change nothing


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only: localhost, 127.0.0.0/8, ::1."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(host: str, api_key: str | None) -> None:
    """Raise `InvalidSettings` where other machines could reach an API that has no key."""
    if not api_key and not is_loopback(host):
        msg = (
            f"server.host: {host!r} can be reached from other machines, which needs server.api_key; "
            "set TIDEWISE_SERVER__API_KEY, or listen on 127.0.0.1"
        )
        raise InvalidSettings(msg)


class Scope(IntEnum):
    """What a key is for; each includes those below it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the API: `admin` may do everything, the others, where set, less."""

    admin: str
    write: str | None = None
    read: str | None = None

    def granted(self, headers: list[tuple[bytes, bytes]]) -> Scope | None:
        """The highest scope whose key raw request headers hold; all are compared, however early one fits."""
        keys = {Scope.READ: self.read, Scope.WRITE: self.write, Scope.ADMIN: self.admin}
        return max((scope for scope, key in keys.items() if key and carries_key(headers, key)), default=None)


def needed(method: str, path: str) -> Scope:
    """The scope that a request needs; what is not named here needs the highest."""
    if method in ("GET", "HEAD") or (method == "POST" and (path in ASKING or path.endswith("/rank"))):
        return Scope.READ
    writes = path == "/v1/interactions" or path == "/v1/items" or path.startswith("/v1/items/")
    return Scope.WRITE if writes else Scope.ADMIN


def carries_key(headers: list[tuple[bytes, bytes]], api_key: str) -> bool:
    """Whether raw request headers hold the key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.

    Every candidate is compared in constant time: how long it takes tells nothing about the key.
    """
    wanted = api_key.encode()
    found = False
    for name, value in headers:
        if name == b"x-api-key":
            found |= hmac.compare_digest(value.strip(), wanted)
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            found |= hmac.compare_digest(value[7:].strip(), wanted)
    return found


def comes_from_elsewhere(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Which other machine or web site raw request headers name: a host that is not this machine, or another origin."""
    sent = dict(headers)
    host = sent.get(b"host", b"").decode("latin-1")
    if host and not is_loopback(_name(host)):
        return f"for the host {shorten(host)}"
    origin = sent.get(b"origin", b"").decode("latin-1")
    if origin and origin.partition("://")[2] != host:
        return f"a page of {shorten(origin)}"
    return None


def _name(host: str) -> str:
    """The host name of `name:port`, `[::1]:port`."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
