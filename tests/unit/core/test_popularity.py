"""Popularity: a decayed sum kept as a logarithm; neither order nor batches nor writers change it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.popularity import add_log2, decayed_log2

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
EVENTS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(START_MS, START_MS + 30 * DAY_MS), st.sampled_from([0.5, 1.0, 5.0])),
    max_size=40,
)
Event = tuple[int, int, float]


def score(events: list[Event]) -> dict[int, float]:
    keys, times, weights = (np.array([event[column] for event in events]) for column in range(3))
    return decayed_log2(keys, times, weights, half_life_ms=7 * DAY_MS)


def by_hand(events: list[Event]) -> dict[int, float]:
    """The plain sum, counted from `START_MS` so that it fits a double, as a logarithm."""
    sums: dict[int, float] = {}
    for key, time_ms, weight in events:
        sums[key] = sums.get(key, 0.0) + weight * 2 ** ((time_ms - START_MS) / (7 * DAY_MS))
    return {key: math.log2(total) + START_MS / (7 * DAY_MS) for key, total in sums.items()}


def test_one_half_life_later_an_event_counts_twice_as_much() -> None:
    scores = score([(1, START_MS, 1.0), (2, START_MS + 7 * DAY_MS, 1.0), (3, START_MS, 2.0)])
    assert scores[2] - scores[1] == pytest.approx(1.0)
    assert scores[3] == pytest.approx(scores[2])


def test_two_equal_events_are_one_of_twice_the_weight() -> None:
    assert score([(1, START_MS, 1.0)] * 2)[1] == pytest.approx(score([(1, START_MS, 2.0)])[1])


@given(EVENTS)
def test_the_score_is_the_logarithm_of_the_plain_decayed_sum(events: list[Event]) -> None:
    assert score(events) == pytest.approx(by_hand(events))


@given(EVENTS.flatmap(lambda events: st.tuples(st.just(events), st.permutations(events), st.integers(0, len(events)))))
def test_order_and_batches_change_nothing(case: tuple[list[Event], list[Event], int]) -> None:
    events, shuffled, cut = case
    first, second = score(shuffled[:cut]), score(shuffled[cut:])
    assert first | add_log2(first, second) == pytest.approx(score(events))


def test_nothing_adds_nothing() -> None:
    assert score([]) == {}
    assert add_log2({1: 3.0}, {}) == {}
