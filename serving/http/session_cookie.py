"""The cookie of a session, and the header that a request must also have for the cookie to grant access."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import cookie_parser

COOKIE = "tidewise_session"
MARKER_COOKIE = "tidewise_signed_in"  # tells the dashboard's scripts, which cannot read the session's cookie
DASHBOARD = (b"x-tidewise-client", b"dashboard")  # a page of another site cannot send it (CSRF)


def cookie_name(name: str = COOKIE, *, is_https: bool) -> str:
    """With HTTPS a name that browsers let only this host set, not another one of the same domain (session fixation)."""
    return f"__Host-{name}" if is_https else name


def session_secret(headers: Sequence[tuple[bytes, bytes]], cookie: str = COOKIE) -> bytes | None:
    """The secret of the session cookie of that name in raw headers of a request by the dashboard."""
    if DASHBOARD not in headers:
        return None
    sent = (value.decode("latin-1") for name, value in headers if name == b"cookie")
    found = [secret for cookies in sent if (secret := cookie_parser(cookies).get(cookie))]
    return found[0].encode("latin-1") if found else None
