"""The lag: what was read is expected later, the more so the older the expectation is; nothing is lost or reordered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.clock import DAY_MS, HOUR_MS
from core.drift.lag import LONGEST_MS, Lag


def ages_in_days(lag: Lag[int], *, days: int, ready_from: int) -> list[float]:
    """Each day one thing, its number; how old the newest one is that was let through, after each day."""
    newest, ages = -1, []
    for day in range(days):
        for number in lag.put(day * DAY_MS, day, ready=day >= ready_from):
            newest = number
        ages.append(day - newest)
    return ages


def test_no_lag_while_the_baseline_is_not_usable() -> None:
    assert ages_in_days(Lag(), days=9, ready_from=99) == [0] * 9


def test_the_lag_grows_with_the_time_since_then_up_to_a_week() -> None:
    ages = ages_in_days(Lag(growth=0.5), days=40, ready_from=7)
    assert ages[:8] == [0] * 8
    assert ages[7 + 4] == 2
    assert ages[-1] == LONGEST_MS / DAY_MS == 7
    assert ages == sorted(ages)


def test_without_growth_nothing_ever_waits() -> None:
    assert ages_in_days(Lag(growth=0.0), days=20, ready_from=0) == [0] * 20


@given(st.lists(st.integers(1, 5 * DAY_MS), min_size=1, max_size=50), st.integers(0, 50))
def test_entries_are_released_once_in_order_within_the_longest_lag(pauses_ms: list[int], ready: int) -> None:
    lag: Lag[int] = Lag()
    out, times_ms = [], [sum(pauses_ms[: number + 1]) for number in range(len(pauses_ms))]
    for number, time_ms in enumerate(times_ms):
        out += lag.put(time_ms, number, ready=number >= ready)
        assert all(number_ in out for number_, entry_ms in enumerate(times_ms) if entry_ms <= time_ms - LONGEST_MS)
    out += lag.put(times_ms[-1] + LONGEST_MS + HOUR_MS, -1, ready=True)
    assert out[: len(times_ms)] == list(range(len(times_ms)))
