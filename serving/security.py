"""Who may ask: the API key, and the rule that an API without one is for this machine only.

This machine's browser counts as this machine, but a web page of another site in it does not: it could post events by a
form, or read answers under a host name of its own that it has pointed at 127.0.0.1.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from core.errors import InvalidSettings
from core.interactions import shorten


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
