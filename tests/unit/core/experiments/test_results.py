"""Results from what each day adds: sums of all days, comparisons as they stood, and shares of the error."""

from __future__ import annotations

import numpy as np
import pytest

from core.experiments.comparison import compare
from core.experiments.experiment import Arm, Experiment
from core.experiments.results import results_of
from core.records.arms import ArmDay, ArmSums, UserSums

TWO = Experiment("x", (Arm("a", 0.5), Arm("b", 0.5)), metric="conversions_per_user")
THREE = Experiment("x", (Arm("a", 0.4), Arm("b", 0.3), Arm("c", 0.3)))


def day(arm: str, number: int, users: int, active: int) -> ArmDay:
    """A day with new users of one answer each, of whom some click, convert and pay 10."""
    values = np.r_[np.ones(active), np.zeros(users - active)]
    return ArmDay(f"x/{arm}", number, ArmSums(users, *map(UserSums.of, (values, values, 10 * values))))


def test_days_add_up_and_each_has_the_comparison_of_its_evening() -> None:
    days = [day("b", 2, 500, 80), day("a", 1, 400, 40), day("b", 1, 400, 40), day("a", 2, 500, 50)]
    results = results_of(TWO, days)
    control, arm = results.arms
    assert (control.name, control.sums.answers, control.sums.clicks.users) == ("a", 900, 900)
    assert arm.sums.revenue.value == 1200
    assert control.comparisons == {}
    assert [each.day for each in results.days] == [1, 2]
    one, other = day("a", 1, 400, 40).added.conversions, day("b", 1, 400, 40).added.conversions
    assert results.days[0].comparisons["b"] == compare(one, other, num_observations=800)
    assert results.days[1].comparisons["b"] == arm.comparisons["conversions_per_user"]
    assert arm.comparisons["revenue_per_user"].lift == pytest.approx(1 / 3)


def test_the_error_is_shared_between_comparisons() -> None:
    days = [day(arm, 1, 1_000, 100) for arm in "abc"]
    comparison = results_of(THREE, days).arms[2].comparisons["click_through_rate"]
    sums = days[0].added.clicks
    assert comparison == compare(sums, sums, num_observations=2_000, error=0.025)


def test_users_are_compared_with_the_shares_of_the_arms() -> None:
    right = results_of(THREE, [day("a", 1, 800, 1), day("b", 1, 600, 1), day("c", 1, 600, 1)]).ratio
    assert (right.counted, right.is_mismatch) == ((800, 600, 600), False)
    assert results_of(THREE, [day("a", 1, 800, 1), day("b", 1, 600, 1), day("c", 1, 400, 1)]).ratio.is_mismatch


def test_an_experiment_without_answers_has_empty_results() -> None:
    results = results_of(TWO, [])
    assert [arm.sums for arm in results.arms] == [ArmSums(), ArmSums()]
    assert results.arms[1].comparisons["click_through_rate"].judgement == "too few"
    assert (results.days, results.ratio.is_mismatch) == ((), False)
