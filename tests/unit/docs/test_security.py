"""The page on security names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from pages import page

TESTS = Path(__file__).parents[2]


def test_every_test_named_on_the_security_page_exists() -> None:
    defined = {
        name for path in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
    }
    named = set(re.findall(r"`(test_\w+)`", page("docs/security.md").text))
    assert named
    assert named <= defined
