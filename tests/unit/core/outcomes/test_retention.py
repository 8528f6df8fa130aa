"""Retention: by age, and by the number of answers by day."""

from __future__ import annotations

import pytest

from core.clock import DAY_MS
from core.outcomes.retention import Retention

NOW_MS = 100 * DAY_MS


@pytest.mark.parametrize(
    ("max_answers", "first_day"),
    [(1000, 70), (300, 70), (250, 97.5), (200, 98), (150, 98.5), (50, 99.5)],
)
def test_answers_are_kept_by_age_and_number(max_answers: int, first_day: float) -> None:
    by_day = {97: 100, 98: 100, 99: 100}
    assert Retention(30, max_answers).first_ms(NOW_MS, by_day) == first_day * DAY_MS
