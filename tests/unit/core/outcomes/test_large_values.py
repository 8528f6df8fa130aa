"""Purchases of very large values: counted, and the events behind them too."""

from __future__ import annotations

import math

import pytest

from core.clock import DAY_MS
from core.events.interactions import MAX_VALUE
from core.outcomes.counting import outcome_counts
from core.records.outcomes import CountKey, Measure, Outcome

REVENUE = CountKey(20_000, 1, 0, Measure.REVENUE)


def purchase(number: int, value: float) -> Outcome:
    return Outcome(bytes(16), number, Measure.CONVERSION, number.to_bytes(16), 1, 20_000 * DAY_MS, 1.0, value)


@pytest.mark.parametrize("value", [MAX_VALUE, -MAX_VALUE, 1e308, -1e308])
def test_a_purchase_after_one_of_any_value_is_counted(value: float) -> None:
    before, after = [purchase(1, value)], [purchase(2, value)]
    sums = [outcome_counts(before)[REVENUE][1], outcome_counts(after, before=before)[REVENUE][1]]
    assert all(map(math.isfinite, sums))
    assert sum(sums) == pytest.approx(4 * MAX_VALUE**2)
