"""Ranking metrics: by hand on small lists, fair to ties, and intervals that know that users' events hang together."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.metrics import bootstrap_over_users, hit, mrr, ndcg, ranks_of


def ranks(*scores: float) -> list[float]:
    """The rank of each of the scores among all of them."""
    return ranks_of(np.array([scores] * len(scores)), np.arange(len(scores))).tolist()


def test_the_rank_is_the_number_of_better_items() -> None:
    assert ranks(0.1, 0.9, 0.5, 0.7) == [3, 0, 2, 1]


def test_each_row_of_scores_is_ranked_for_itself() -> None:
    scores = np.array([[0.1, 0.9, -np.inf], [3.0, 1.0, 2.0]])
    assert ranks_of(scores, np.array([0, 1])).tolist() == [1, 2]


def test_equal_scores_share_the_mean_of_their_places() -> None:
    assert ranks(0.0, 0.0, 0.0, 0.0, 0.0)[3] == 2.0
    assert ranks(1.0, 0.0, 0.0)[1] == 1.5


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_no_order_of_items_in_memory_is_rewarded(values: list[int]) -> None:
    positions = ranks(*values)
    assert sum(positions) == pytest.approx(len(values) * (len(values) - 1) / 2)
    assert ranks(*values[::-1]) == positions[::-1]


def test_the_metrics_by_hand() -> None:
    ranks = np.array([0.0, 1.0, 2.0, 9.0, 10.0])
    assert hit(ranks, 10).tolist() == [1, 1, 1, 1, 0]
    assert ndcg(ranks, 10).tolist() == pytest.approx([1, 1 / math.log2(3), 0.5, 1 / math.log2(11), 0])
    assert mrr(ranks, 10).tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 10, 0])


def test_an_interval_holds_its_mean_and_is_the_same_under_the_same_seed() -> None:
    values = np.random.default_rng(3).random(400)
    users = np.repeat(np.arange(100), 4)
    interval = bootstrap_over_users(values, users)
    assert interval.low < interval.mean < interval.high
    assert interval.mean == pytest.approx(values.mean())
    assert interval == bootstrap_over_users(values, users)
    standard_error = values.reshape(100, 4).mean(axis=1).std() / 10  # equal users: the textbook interval
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * standard_error, rel=0.15)


def test_events_of_one_user_are_not_counted_as_independent() -> None:
    values = np.repeat(np.random.default_rng(3).random(20), 50)
    independent = bootstrap_over_users(values, np.arange(1000))
    clustered = bootstrap_over_users(values, np.repeat(np.arange(20), 50))
    assert clustered.high - clustered.low > 4 * (independent.high - independent.low)


def test_the_interval_of_many_users_fits_in_little_memory() -> None:
    values = np.ones(20_000)
    tracemalloc.start()
    try:
        bootstrap_over_users(values, np.arange(20_000), num_resamples=100)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 5 * 2**20  # all 100 draws at once would take 16 MB and more


def test_without_events_there_is_no_mean() -> None:
    with pytest.raises(ValueError, match="values: wanted at least one event, got none"):
        bootstrap_over_users(np.empty(0), np.empty(0, np.int64))
