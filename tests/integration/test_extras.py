"""An install without extras: the embedded system runs, and the rest says which extra to install."""

from __future__ import annotations

import pytest
from services.new_interpreter import Told


def test_the_demo_starts_and_the_embedded_system_imports_without_extras(new_interpreter: Told) -> None:
    assert new_interpreter["ends"]["the demo"][:2] == [0, "it runs\n"]


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("worker", "kafka"),
        ("serve before Kafka", "kafka"),
        ("serve with a sign-in", "oidc"),
        ("serve on PostgreSQL", "postgres"),
    ],
)
def test_a_missing_extra_is_an_error_that_says_how_to_install_it(new_interpreter: Told, name: str, extra: str) -> None:
    status, _, errors = new_interpreter["ends"][name]
    assert status == 2, errors
    assert f"tidewise[{extra}]" in errors.replace("\n", "")
