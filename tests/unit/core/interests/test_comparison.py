"""Comparisons of periods: shares, growth and their intervals, against hand arithmetic and simulated weeks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from core.clock import DAY_MS, HOUR_MS
from core.interests.comparison import growth, part_change, share_changes
from core.interests.mix import Mix, MixBlock, Period

STEP_MS = 6 * HOUR_MS
WEEK = Period(0, 7 * DAY_MS)


def mix(blocks: Sequence[dict[str, int]], period: Period = WEEK) -> Mix:
    total = sum((Counter(block) for block in blocks), Counter[str]())
    held = tuple(MixBlock(n * STEP_MS, block) for n, block in enumerate(blocks) if block)
    return Mix(period, STEP_MS, tuple(sorted(total)), held)


def week(rng: np.random.Generator, tea: float, num: int = 200) -> Mix:
    """28 blocks in which visits of five events are for tea or for tents."""
    visits = rng.binomial(num // 5, tea, 28) * 5
    return mix([{"Tea": int(own), "Tents": num - int(own)} for own in visits])


def test_the_shares_of_both_periods_are_compared_largest_first() -> None:
    now, before = mix([{"Tea": 30, "Tents": 10}] * 8), mix([{"Tea": 10, "Mugs": 30}] * 8)
    changes = share_changes(now, before)
    figures = [(change.name, change.value, change.reference) for change in changes]
    assert figures == [("Mugs", 0.0, 0.75), ("Tea", 0.75, 0.25), ("Tents", 0.25, 0.0)]
    assert all(change.is_significant for change in changes)


def test_a_week_like_the_last_one_is_seldom_called_a_change() -> None:
    rng = np.random.default_rng(1)
    pairs = [share_changes(week(rng, 0.3), week(rng, 0.3))[1] for _ in range(300)]
    inside = [low <= 0 <= high for low, high in (change.interval or (1, 1) for change in pairs)]
    assert 0.92 <= np.mean(inside) <= 0.98
    assert sum(change.is_significant for change in pairs) <= 6  # 1%: three standard errors, estimated from 28 blocks


def test_a_change_of_ten_points_is_found() -> None:
    rng = np.random.default_rng(2)
    assert all(share_changes(week(rng, 0.4), week(rng, 0.3))[0].is_significant for _ in range(50))


def test_a_change_within_the_period_is_found() -> None:
    rng = np.random.default_rng(3)
    visits = rng.binomial(40, [0.05] * 24 + [0.45] * 4) * 5
    now = mix([{"Tea": int(own), "Tents": 200 - int(own)} for own in visits])
    assert all(change.is_significant for change in share_changes(now, week(rng, 0.05)))


def test_a_significant_difference_below_a_point_does_not_matter() -> None:
    now, before = mix([{"Tea": 5_050, "Tents": 4_950}] * 20), mix([{"Tea": 5_000, "Tents": 5_000}] * 20)
    (change, _) = share_changes(now, before)
    assert change.interval is not None
    assert change.interval[0] > 0
    assert not change.is_significant


def test_few_blocks_give_no_interval() -> None:
    (change,) = share_changes(mix([{"Tea": 3}] * 6), mix([{"Tea": 3}] * 20))
    assert (change.interval, change.is_significant) == (None, False)


def test_a_part_is_compared_by_its_share_of_all_events() -> None:
    whole, part = mix([{"Tea": 10}] * 10), mix([{"Tea": 4}] * 5 + [{}] * 5)
    change = part_change("user=new", (part, part), (whole, whole))
    assert (change.value, change.reference, change.is_significant) == (0.2, 0.2, False)


@pytest.mark.parametrize(("factor", "is_significant"), [(1.5, True), (1.02, False)])
def test_growth_compares_the_events_of_a_day(factor: float, *, is_significant: bool) -> None:
    rng = np.random.default_rng(3)
    blocks = [{"Tea": int(num)} for num in rng.poisson(100, 28)]
    change = growth(mix([{"Tea": int(block["Tea"] * factor)} for block in blocks]), mix(blocks))
    assert change is not None
    assert change.value == pytest.approx(factor, abs=0.01)
    assert change.is_significant == is_significant


def test_a_day_that_is_not_over_does_not_count_as_a_day() -> None:
    period = Period(0, 7 * DAY_MS + 6 * HOUR_MS)
    change = growth(mix([{"Tea": 10}] * 29, period), mix([{"Tea": 10}] * 28))
    assert change is not None
    assert change.value == 1.0


def test_without_events_before_there_is_no_growth() -> None:
    assert growth(mix([{"Tea": 1}] * 28), mix([{}] * 28)) is None
