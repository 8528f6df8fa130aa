"""Who may ask: the API key, and the rule that an API without one is for this machine only."""

from __future__ import annotations

import hmac
import ipaddress

from core.errors import InvalidSettings


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
