"""What is expected of a level is uncertain: of an hour with few events more than of all hours together."""

from __future__ import annotations

import numpy as np
import pytest

from core.clock import DAY_MS, HOUR_MS
from core.drift.baseline import LevelBaseline
from core.drift.blocks import Block
from core.drift.expectations import BlockComparison, LevelExpectation

BLOCK = 25
NUM = 10  # observations an hour


def block(time_ms: int, value: float, num: int = BLOCK) -> Block:
    return Block(time_ms, time_ms + HOUR_MS, num, [(time_ms, num, value * num)])


def learned(*, days: int, seed: int) -> LevelBaseline:
    """A baseline after days of an hourly mean of 0, with the variance of `NUM` observations of variance 1."""
    rng, baseline = np.random.default_rng(seed), LevelBaseline()
    for hour in range(days * 24):
        baseline.learn(hour * HOUR_MS, NUM, float(rng.normal(0, NUM**-0.5)))
    return baseline


@pytest.mark.untraced
@pytest.mark.parametrize("days", [7, 21])
def test_the_expected_value_of_an_hour_is_as_uncertain_as_it_says(days: int) -> None:
    estimates = [learned(days=days, seed=seed).expected(days * DAY_MS + 9 * HOUR_MS) for seed in range(300)]
    told = np.mean([estimate.level_variance + estimate.hour_variance for estimate in estimates])
    assert np.var([estimate.mean for estimate in estimates]) == pytest.approx(told, rel=0.4)


def compared(expectation: LevelExpectation, hours: list[int], *, from_day: int) -> list[BlockComparison]:
    return [expectation.compare(block(from_day * DAY_MS + hour * HOUR_MS, 0.1)) for hour in hours]


def test_more_blocks_of_one_evening_do_not_tell_better_what_to_expect_there() -> None:
    rng, expectation = np.random.default_rng(1), LevelExpectation(BLOCK)
    for hour in range(14 * 24):
        some = block(hour * HOUR_MS, float(rng.normal(0, BLOCK**-0.5)))
        expectation.learn(some, expectation.compare(some))
    evening = expectation.difference(compared(expectation, [20] * 48, from_day=14))
    two_days = expectation.difference(compared(expectation, list(range(48)), from_day=14))
    assert evening.effect == pytest.approx(two_days.effect, abs=0.1)
    assert evening.error > 2 * two_days.error
