"""A shift is found where there is one, at the right cut, and its score keeps its promise where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.interests.shift import MIN_SIDE, MIN_VISITS, find_shift


def visits_of(rng: np.random.Generator, num_visits: int, shares: list[float], *, size: int = 5) -> np.ndarray:
    """Visits of about `size` events, mostly about one topic drawn from `shares`: scattered more than single events."""
    topics = rng.choice(len(shares), num_visits, p=shares)
    noise = rng.multinomial(1, shares, num_visits)
    lengths = rng.geometric(1 / size, num_visits)
    return np.eye(len(shares))[topics] * lengths[:, None] + noise


def test_a_plain_change_of_topic_is_found_at_its_visit_with_its_shares() -> None:
    visits = np.array([[3.0, 0.0]] * 12 + [[0.0, 2.0]] * 8)
    shift = find_shift(visits, seed=1)
    assert shift is not None
    assert shift.visit == 12
    assert shift.score > 0.99
    assert shift.before.tolist() == [1.0, 0.0]
    assert shift.since.tolist() == [0.0, 1.0]


def test_too_few_visits_have_no_score() -> None:
    assert find_shift(np.eye(2)[[0] * 4 + [1] * (MIN_VISITS - 5)], seed=1) is None
    assert find_shift(np.zeros((0, 0)), seed=1) is None


def test_visits_that_are_all_alike_are_no_shift() -> None:
    shift = find_shift(np.ones((20, 1)), seed=1)
    assert shift is not None
    assert shift.score < 0.6


def test_score_is_deterministic() -> None:
    visits = visits_of(np.random.default_rng(3), 30, [0.5, 0.3, 0.2])
    first, second = find_shift(visits, seed=7), find_shift(visits, seed=7)
    assert first is not None
    assert second is not None
    assert first.score == second.score


@pytest.mark.parametrize("num_visits", [9, 20, 60])
def test_as_many_unmoved_users_score_high_as_the_score_says(num_visits: int) -> None:
    rng = np.random.default_rng(num_visits)
    users = [visits_of(rng, num_visits, [0.5, 0.25, 0.15, 0.1]) for _ in range(400)]
    scores = np.array([shift.score for v in users if (shift := find_shift(v, seed=1, num_shuffles=199))])
    for level in (0.2, 0.1, 0.05):
        share = (scores > 1 - level).mean()
        assert abs(share - level) < 3 * np.sqrt(level * (1 - level) / len(scores)), (level, share)


@given(arrays(np.float64, st.tuples(st.integers(8, 20), st.integers(1, 4)), elements=st.integers(0, 5)))
def test_score_is_between_0_and_1_and_the_cut_between_visits(visits: np.ndarray) -> None:
    visits = visits[visits.sum(axis=1) > 0]
    shift = find_shift(visits, seed=1, num_shuffles=19)
    if len(visits) < MIN_VISITS:
        assert shift is None
        return
    assert shift is not None
    assert 0 <= shift.score <= 1
    assert MIN_SIDE <= shift.visit <= len(visits) - MIN_SIDE
    assert np.isclose(shift.before.sum(), 1)
    assert np.isclose(shift.since.sum(), 1)
