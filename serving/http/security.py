"""Access control: API keys with scopes, and loopback access only for an API without a key.

A browser on this machine has access, but not a web page of another site in it: that could post events by a form
(CSRF), or read answers under a host name of its own that resolves to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import urlsplit

from core.errors import InvalidSettings
from core.interactions import shorten

READING_POSTS = frozenset({"/v1/recommendations"})  # POSTs that change nothing

WRITES = ("/v1/interactions", "/v1/items")  # with all paths below


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only: localhost, 127.0.0.0/8, ::1."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(host: str, api_key: str | None) -> None:
    """Raise `InvalidSettings` if other machines could reach an API without a key."""
    if not api_key and not is_loopback(host):
        msg = (
            f"server.host: {host!r} can be reached from other machines, which needs server.api_key; "
            "set TIDEWISE_SERVER__API_KEY, or listen on 127.0.0.1"
        )
        raise InvalidSettings(msg)


class Scope(IntEnum):
    """The scope of a key; each includes the lower ones."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Keys:
    """The API keys: `admin` grants every scope, the others, if set, less."""

    admin: str
    write: str | None = None
    read: str | None = None

    def granted(self, headers: list[tuple[bytes, bytes]]) -> Scope | None:
        """The highest scope whose key is in raw request headers; all keys are compared, even after a match."""
        keys = {Scope.READ: self.read, Scope.WRITE: self.write, Scope.ADMIN: self.admin}
        return max((scope for scope, key in keys.items() if key and carries_key(headers, key)), default=None)


def required_scope(method: str, path: str) -> Scope:
    """The scope that a request needs; by default the highest."""
    if method in ("GET", "HEAD") or (method == "POST" and (path in READING_POSTS or path.endswith("/rank"))):
        return Scope.READ
    merges = method == "POST" and path.startswith("/v1/users/") and path.endswith("/merge")
    writes = path in WRITES or path.startswith(tuple(f"{name}/" for name in WRITES))
    return Scope.WRITE if writes or merges else Scope.ADMIN


def carries_key(headers: list[tuple[bytes, bytes]], api_key: str) -> bool:
    """Whether raw request headers contain the key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.

    Compared in constant time, so that the duration reveals nothing about the key.
    """
    expected = api_key.encode()
    matches = False
    for name, value in headers:
        if name == b"x-api-key":
            matches |= hmac.compare_digest(value.strip(), expected)
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            matches |= hmac.compare_digest(value[7:].strip(), expected)
    return matches


def foreign_origin(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The host or web origin in raw request headers that is not this machine; None if there is none."""
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
