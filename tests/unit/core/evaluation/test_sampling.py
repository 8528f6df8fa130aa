"""Samples by a hash: the same events each time, in their order."""

from __future__ import annotations

import numpy as np

from core.evaluation.sampling import sample_of

USERS, TIMES_MS = np.arange(1000) // 5, 1_300_000_000_000 + np.arange(1000)


def test_a_sample_has_the_wanted_size_and_the_order_of_the_events() -> None:
    sample = sample_of(USERS, TIMES_MS, 300)
    assert len(sample) == 300
    assert (np.diff(sample) > 0).all()
    assert len(np.unique(USERS[sample])) > 100


def test_a_small_log_is_its_own_sample() -> None:
    assert sample_of(USERS, TIMES_MS, 1000).tolist() == list(range(1000))


def test_a_smaller_sample_is_a_part_of_a_larger_one() -> None:
    assert set(sample_of(USERS, TIMES_MS, 100)) <= set(sample_of(USERS, TIMES_MS, 300))
