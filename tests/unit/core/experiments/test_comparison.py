"""Two arms compared: variances of ratios by users, intervals that allow looks at any time, and planned numbers."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.experiments.comparison import MIN_ACTIVE, MIN_USERS, boundary, compare
from core.experiments.planning import rate_variance, users_needed
from core.records.arms import UserSums

values = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=2, max_size=30)


def sums(clicks: list[float], impressions: list[float] | None = None) -> UserSums:
    return UserSums.of(np.array(clicks, float), None if impressions is None else np.array(impressions, float))


def rates(users: int, clicking: int) -> UserSums:
    """Users with one answer each, the first of which click."""
    return sums([1.0] * clicking + [0.0] * (users - clicking))


def test_a_mean_per_user_has_the_variance_of_the_values() -> None:
    payments = [0.0, 0.0, 12.5, 3.0]
    assert sums(payments).ratio == np.mean(payments)
    assert sums(payments).variance == pytest.approx(np.var(payments, ddof=1))


def test_a_ratio_is_of_sums_and_varies_with_users_not_with_answers() -> None:
    # Two users alternate between all and no clicks: 20 answers say no more than 2 users.
    two = sums([10.0, 0.0], [10.0, 10.0])
    assert two.ratio == 0.5
    assert two.variance == pytest.approx(0.5)  # of 1 and 0


@given(values, values)
def test_sums_of_groups_add_up(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    split = [sums(*map(list, zip(*part, strict=True))) for part in (one, other)]  # type: ignore[arg-type]
    whole = sums(*map(list, zip(*one, *other, strict=True)))  # type: ignore[arg-type]
    assert astuple(split[0] + split[1]) == pytest.approx(astuple(whole))


@given(values)
def test_the_delta_method_agrees_with_leaving_one_user_out(pairs: list[tuple[int, int]]) -> None:
    y, x = np.array(pairs * 20, float).T
    n = len(y)
    without = (y.sum() - y) / (x.sum() - x)
    jackknife = (n - 1) / n * ((without - without.mean()) ** 2).sum()
    assert sums(list(y), list(x)).variance / n == pytest.approx(jackknife, rel=0.2, abs=1e-12)


def test_nothing_shown_has_no_rate() -> None:
    assert math.isnan(UserSums().ratio)
    assert math.isnan(UserSums().variance)
    assert compare(UserSums(), UserSums(), num_observations=0).judgement == "too few"


@pytest.mark.parametrize("num_observations", [500, 5_000, 500_000])
def test_the_boundary_is_where_the_normal_mixture_reaches_one_in_twenty(num_observations: int) -> None:
    weight = (-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05))) * num_observations / 5_000
    z = boundary(num_observations)
    # The mixture over effects N(0, weight) in standard errors: the likelihood ratio at z, integrated numerically.
    effects = np.linspace(-12, 12, 200_001) * math.sqrt(weight)
    density = np.exp(-(effects**2) / (2 * weight)) / math.sqrt(2 * math.pi * weight)
    mixture = np.trapezoid(density * np.exp(effects * z - effects**2 / 2), effects)
    assert mixture == pytest.approx(1 / 0.05, rel=1e-4)


@given(st.integers(1, 10**9), st.floats(1e-6, 0.2))
def test_the_boundary_is_wider_than_an_ordinary_interval(num_observations: int, error: float) -> None:
    assert boundary(num_observations, error=error) > math.sqrt(-2 * math.log(error))
    assert boundary(num_observations, error=error / 2) > boundary(num_observations, error=error)


def test_an_arm_is_better_or_worse_when_its_interval_excludes_zero() -> None:
    control, arm = rates(5_000, 400), rates(5_000, 600)
    better = compare(control, arm, num_observations=10_000)
    assert (better.judgement, better.lift) == ("better", pytest.approx(0.5))
    assert better.difference is not None
    assert better.difference.mean == pytest.approx(0.04)
    deviation = math.sqrt(0.08 * 0.92 / 4_999 + 0.12 * 0.88 / 4_999)
    assert better.difference.low == pytest.approx(0.04 - deviation * boundary(10_000))
    assert compare(arm, control, num_observations=10_000).judgement == "worse"
    assert compare(control, rates(5_000, 420), num_observations=10_000).judgement == "undecided"


def test_few_users_or_few_active_ones_give_no_interval() -> None:
    many = rates(5_000, 500)
    for few in (rates(MIN_USERS - 1, MIN_ACTIVE), rates(MIN_USERS, MIN_ACTIVE - 1)):
        assert compare(many, few, num_observations=5_000).judgement == "too few"
    assert compare(many, rates(MIN_USERS, MIN_ACTIVE), num_observations=5_000).difference is not None


def test_the_planned_users_are_the_fewest_whose_interval_is_narrow_enough() -> None:
    users = users_needed(0.01, variance=0.05 * 0.95, power=0.8)
    deviation = math.sqrt(4 * 0.05 * 0.95 / users)
    assert 0.01 / deviation == pytest.approx(boundary(users) + 0.8416, rel=1e-4)  # 0.8416: the normal quantile of .8
    one_fewer = math.sqrt(4 * 0.05 * 0.95 / (users - 1))
    assert 0.01 / one_fewer < boundary(users - 1) + 0.8416213


def test_unequal_shares_and_larger_power_need_more_users() -> None:
    half = users_needed(0.01, variance=0.0475)
    assert users_needed(0.01, variance=0.0475, shares=(0.9, 0.1)) > 2 * half
    assert users_needed(0.01, variance=0.0475, shares=(0.1, 0.1)) == half
    assert users_needed(0.01, variance=0.0475, power=0.95) > half
    assert users_needed(-0.01, variance=0.0475) == half


def test_correlated_answers_of_a_user_count_for_less() -> None:
    assert rate_variance(0.1) == pytest.approx(0.09)
    assert rate_variance(0.1, answers_per_user=5) == pytest.approx(0.018)
    assert rate_variance(0.1, answers_per_user=5, correlation=1.0) == pytest.approx(0.09)


@pytest.mark.parametrize("difference", [0.0, float("nan"), 1e-9])
def test_a_difference_that_cannot_be_found_is_refused(difference: float) -> None:
    with pytest.raises(ValueError, match=r"^difference: "):
        users_needed(difference, variance=0.1)
