"""Cursors: what comes back is what was put in, and nothing else is accepted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.errors import InvalidInput
from core.recommendation.cursors import LIFETIME_MS, decode_cursor, encode_cursor
from core.recommendation.requests import MAX_LIST, RestOfList

KEY = b"a key of a test"
REST = RestOfList(
    subject="/v1/users/ä/recommendations",
    start_ms=1_700_000_000_000,
    source="model",
    reason="ranked by the user's history",
    model_version=None,
    scenario="home",
    arm="test/home",
    exclude_seen=False,
    keys=np.array([7, 2**40, 3]),
    kinds=(None, "pin", "exploration"),
    propensities=np.array([1, 0.25, 0.125], np.float32),
)


def decoded(text: str, *, subject: str = REST.subject, now_ms: int = REST.start_ms, key: bytes = KEY) -> RestOfList:
    return decode_cursor(text, key, subject=subject, now_ms=now_ms)


def values(rest: RestOfList | None) -> list[object]:
    assert rest is not None
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in map(rest.__getattribute__, FIELDS)]


FIELDS = REST.__slots__


def test_a_cursor_holds_the_rest_of_a_list() -> None:
    assert values(decoded(encode_cursor(REST, KEY))) == values(REST)
    after = decoded(encode_cursor(REST, KEY)).after(2)
    assert after is not None
    assert (after.keys.tolist(), after.kinds, after.propensities.tolist()) == ([3], ("exploration",), [0.125])
    assert REST.after(3) is None


def test_a_cursor_fits_into_a_url() -> None:
    longest = replace(
        REST,
        keys=np.full(MAX_LIST, 2**60),
        kinds=("exploration",) * MAX_LIST,
        propensities=np.ones(MAX_LIST, np.float32),
    )
    text = encode_cursor(longest, KEY)
    assert len(text) < 5_600
    assert text.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("text", ["", "a", "ä", "!!!!", "A" * 40, encode_cursor(REST, b"another key")])
def test_text_of_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="next: it is not a cursor") as caught:
        decoded(text)
    assert caught.value.field == "next"


def test_any_changed_character_is_noticed() -> None:
    text = encode_cursor(REST, KEY)
    for place in range(0, len(text), 7):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(InvalidInput, match="next: it is not a cursor"):
            decoded(changed)


def test_a_cursor_continues_its_own_list_for_a_day() -> None:
    text = encode_cursor(REST, KEY)
    with pytest.raises(InvalidInput, match=f"it continues the list of {REST.subject}"):
        decoded(text, subject="/v1/items/popular")
    assert decoded(text, now_ms=REST.start_ms + LIFETIME_MS).scenario == "home"
    with pytest.raises(InvalidInput, match="older than 24 hours"):
        decoded(text, now_ms=REST.start_ms + LIFETIME_MS + 1)
