"""Access control: the scope that a request needs, and loopback access only for an API without a key.

A browser on this machine has access, but not a web page of another site in it: that could post events by a form
(CSRF), or read answers under a host name of its own that resolves to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from core.access.loopback import is_loopback
from core.errors import InvalidSettings
from core.events.interactions import shorten
from core.records.api_keys import Scope

READING_POSTS = frozenset({"/v1/recommendations", "/v1/scenarios/preview"})  # POSTs that change nothing

ADMIN_READS = frozenset({"/v1/audit"})
WRITES = ("/v1/interactions", "/v1/items")  # with all paths below
OWN_SITES = ("same-origin", "none")  # the request comes from a page of this server, or from a typed address


def check_exposure(host: str, api_key: str | None) -> None:
    """Raise `InvalidSettings` if other machines could reach an API without a key."""
    if not api_key and not is_loopback(host):
        msg = (
            f"server.host: {host!r} can be reached from other machines, which needs server.api_key; "
            "set TIDEWISE_SERVER__API_KEY, or listen on 127.0.0.1"
        )
        raise InvalidSettings(msg)


def required_scope(method: str, path: str) -> Scope:
    """The scope that a request needs; by default the highest."""
    if path in ADMIN_READS:
        return Scope.ADMIN
    if method in ("GET", "HEAD") or (method == "POST" and (path in READING_POSTS or path.endswith("/rank"))):
        return Scope.READ
    if path == "/v1/users" or path.startswith("/v1/users/"):
        return Scope.ADMIN if method == "DELETE" else Scope.WRITE
    writes = path in WRITES or path.startswith(tuple(f"{name}/" for name in WRITES))
    return Scope.WRITE if writes else Scope.ADMIN


def foreign_origin(headers: list[tuple[bytes, bytes]], *, is_open: bool = False) -> str | None:
    """The host or web origin in raw request headers that is not this machine; None if there is none.

    `is_open`: of a path without data, to which pages of other sites may link.
    """
    host = ""
    for host in _values(headers, b"host"):
        if host and not is_loopback(_name(host)):
            return f"for the host {shorten(host)}"
    for origin in _values(headers, b"origin"):
        if origin.partition("://")[2] != host:
            return f"a page of {shorten(origin)}"
    for site in _values(headers, b"sec-fetch-site"):  # browsers send no origin with images, scripts and links
        if site not in OWN_SITES and not is_open:
            return f"a page of another site ({shorten(site)})"
    return None


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for sent, value in headers if sent == name]


@lru_cache(maxsize=64)
def _name(host: str) -> str:
    """The host name of `name:port`, `[::1]:port`."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
