"""The cookie of a session, and the header without which it grants nothing."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import cookie_parser

COOKIE = "tidewise_session"
MARKER_COOKIE = "tidewise_signed_in"  # tells the dashboard's scripts, which cannot read the other
DASHBOARD = (b"x-tidewise-client", b"dashboard")  # a page of another site cannot send it (CSRF)


def session_secret(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """The secret of the session cookie in raw headers of a request by the dashboard."""
    if DASHBOARD not in headers:
        return None
    cookies = (value.decode("latin-1") for name, value in headers if name == b"cookie")
    found = [secret for cookie in cookies if (secret := cookie_parser(cookie).get(COOKIE))]
    return found[0].encode("latin-1") if found else None
