"""The cookie of a session counts only in requests of the dashboard."""

from __future__ import annotations

import pytest

from serving.http.session_cookie import DASHBOARD, session_secret

COOKIE = (b"cookie", b"theme=dark; tidewise_session=tw_secret; other=1")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([DASHBOARD, COOKIE], b"tw_secret"),
        ([COOKIE], None),
        ([(b"x-tidewise-client", b"other"), COOKIE], None),
        ([DASHBOARD], None),
        ([DASHBOARD, (b"cookie", b"tidewise_session=")], None),
        ([DASHBOARD, (b"cookie", b"\xff;=;;")], None),
        ([DASHBOARD, (b"cookie", b"theme=dark"), COOKIE], b"tw_secret"),
    ],
)
def test_the_secret_of_a_session(headers: list[tuple[bytes, bytes]], expected: bytes | None) -> None:
    assert session_secret(headers) == expected
