"""Rates: Wilson's interval against published values and its coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from core.outcomes.rates import rate


@pytest.mark.parametrize(
    ("num", "trials", "low", "high"),
    [
        (15, 148, 0.0624, 0.1605),  # Newcombe (1998), Statistics in Medicine 17:857-872, table I, method 3: 81/263 ...
        (81, 263, 0.2553, 0.3662),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_the_interval_is_wilsons(num: int, trials: int, low: float, high: float) -> None:
    share = rate(num, trials)
    assert share is not None
    assert (round(share.low, 4), round(share.high, 4)) == (low, high)
    assert share.value == num / trials


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    draws = np.random.default_rng(7).binomial(400, 0.03, 2000)
    shares = [rate(num, 400) for num in draws.tolist()]
    covered = np.mean([share is not None and share.low <= 0.03 <= share.high for share in shares])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize(("num", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_there_is_no_rate_without_trials_or_beyond_them(num: int, trials: int) -> None:
    assert rate(num, trials) is None
