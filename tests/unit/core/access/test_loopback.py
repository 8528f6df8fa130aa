"""Which hosts are this machine, for every part that asks."""

from __future__ import annotations

import pytest

from core.access.loopback import is_loopback
from core.errors import InvalidSettings
from serving.http.security import check_exposure, foreign_origin
from tidewise.settings.access import OidcSettings
from tidewise.settings.server import ServerSettings

OWN = ["127.0.0.1", "127.0.0.5", "::1", "[::1]", "::ffff:127.0.0.1", "localhost", "LOCALHOST"]
FOREIGN = ["0.0.0.0", "::", "[::]", "::ffff:10.0.0.1", "10.0.0.1", "shop.example", "localhost.example", "127.1", ""]


def in_url(host: str) -> str:
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


@pytest.mark.parametrize("host", OWN)
def test_these_hosts_are_this_machine_everywhere(host: str) -> None:
    assert is_loopback(host)
    check_exposure(host, None)
    assert foreign_origin([(b"host", f"{in_url(host)}:8080".encode())]) is None
    assert ServerSettings(host=host).host in host
    assert OidcSettings(public_url=f"http://{in_url(host)}:8080").public_url


@pytest.mark.parametrize("host", FOREIGN)
def test_all_others_are_not(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(InvalidSettings, match=r"needs server\.api_key"):
        check_exposure(host, None)
    with pytest.raises(ValueError, match=r"needs server\.api_key"):
        ServerSettings(host=host)
    with pytest.raises(ValueError, match="http only to this machine"):
        OidcSettings(public_url=f"http://{in_url(host)}:8080")


@pytest.mark.parametrize("host", FOREIGN[:-1])
def test_a_request_to_another_host_is_foreign(host: str) -> None:
    assert foreign_origin([(b"host", f"{in_url(host)}:8080".encode())]) is not None


@pytest.mark.parametrize(("host", "url"), [("[::1]", "http://[::1]:8080"), ("localhost", "http://localhost:8080")])
def test_the_url_of_the_server_has_brackets_around_ipv6(host: str, url: str) -> None:
    assert ServerSettings(host=host).url == url
