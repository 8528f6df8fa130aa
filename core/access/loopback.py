"""Which hosts are this machine: the rule for addresses to listen on, hosts of requests and addresses of providers."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=64)  # each request names the host that it was sent to
def is_loopback(host: str) -> bool:
    """Whether only this machine is reached there: localhost, 127.0.0.0/8, ::1; brackets as in a URL may be there.

    A name other than localhost is not looked up: whoever owns it decides where it leads.
    """
    name = without_brackets(host)
    if name.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def without_brackets(host: str) -> str:
    """`[::1]`, as a URL has it, as `::1`."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host
