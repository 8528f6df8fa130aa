"""What is expected of a level is uncertain: of an hour with few events more than of all hours together."""

from __future__ import annotations

import numpy as np
import pytest

from core.clock import DAY_MS, HOUR_MS
from core.drift.baseline import FloatArray, LevelBaseline
from core.drift.blocks import Block
from core.drift.expectations import BlockComparison, LevelExpectation

BLOCK = 25
NUM = 50  # observations an hour


def block(time_ms: int, value: float, num: int = BLOCK) -> Block:
    return Block(time_ms, time_ms + HOUR_MS, num, [(time_ms, num, value * num)])


def learned(*, days: int, seed: int, rhythm: float = 0.0) -> tuple[LevelBaseline, FloatArray]:
    """A baseline after days of `NUM` observations of variance 1 an hour, and the true means of the hours of the day.

    `rhythm`: their standard deviation.
    """
    rng, baseline = np.random.default_rng(seed), LevelBaseline()
    means = rng.normal(0, rhythm, 24)
    for hour in range(days * 24):
        baseline.learn(hour * HOUR_MS, NUM, float(rng.normal(means[hour % 24], NUM**-0.5)), noise=1.0)
    return baseline, means


def errors(*, days: int, rhythm: float) -> tuple[float, float]:
    """The mean squared error of what is expected of the hours of a week, and what it is said to be."""
    squares, told = [], []
    for seed in range(6):
        baseline, means = learned(days=days, seed=seed, rhythm=rhythm)
        for hour in range(7 * 24):
            estimate = baseline.expected(days * DAY_MS + hour * HOUR_MS)
            squares.append((estimate.mean - means[hour % 24]) ** 2)
            told.append(estimate.level_variance + sum(estimate.offset))
    return float(np.mean(squares)), float(np.mean(told))


@pytest.mark.parametrize(("days", "rhythm"), [(7, 0.4), (21, 0.4), (7, 1.5)])
def test_the_expected_value_of_an_hour_is_as_uncertain_as_it_says(days: int, rhythm: float) -> None:
    square, told = errors(days=days, rhythm=rhythm)
    assert square == pytest.approx(told, rel=0.4)


def test_without_a_rhythm_what_is_expected_of_an_hour_is_more_certain() -> None:
    square, told = errors(days=14, rhythm=0.0)
    assert square < told < 0.9 * errors(days=14, rhythm=0.4)[1]


def compared(expectation: LevelExpectation, hours: list[int], *, from_day: int) -> list[BlockComparison]:
    return [expectation.compare(block(from_day * DAY_MS + hour * HOUR_MS, 0.1)) for hour in hours]


def after_two_weeks() -> LevelExpectation:
    rng, expectation = np.random.default_rng(1), LevelExpectation(BLOCK)
    for hour in range(14 * 24):
        some = block(hour * HOUR_MS, float(rng.normal(0, BLOCK**-0.5)))
        expectation.learn(some, expectation.compare(some))
    return expectation


def test_more_blocks_of_one_evening_tell_no_better_what_to_expect_there() -> None:
    expectation = after_two_weeks()
    evening = expectation.difference(compared(expectation, [20] * 48, from_day=14))
    two_days = expectation.difference(compared(expectation, list(range(48)), from_day=14))
    assert evening.effect == pytest.approx(two_days.effect, abs=0.1)
    assert evening.error > 2 * two_days.error


def test_the_hours_of_one_weekday_share_an_error() -> None:
    expectation = after_two_weeks()
    one_day = expectation.difference(compared(expectation, list(range(24)), from_day=14))
    a_week = expectation.difference(compared(expectation, [hour * 7 for hour in range(24)], from_day=14))
    assert one_day.error > a_week.error


def test_after_a_change_the_spread_follows_soon() -> None:
    rng, expectation = np.random.default_rng(1), LevelExpectation(BLOCK)
    for hour in range(28 * 24):
        if hour == 14 * 24:
            expectation.forget()
        scale = 3 if hour >= 14 * 24 else 1
        some = block(hour * HOUR_MS, float(rng.normal(0, scale * BLOCK**-0.5)))
        comparison = expectation.compare(some)
        expectation.learn(some, comparison)
        if hour == 18 * 24:
            z_score = expectation.surprise(comparison._replace(deviation=3.0))
            assert z_score == pytest.approx(1, rel=0.3)  # 1.7 if 300 blocks of before were kept in mind
