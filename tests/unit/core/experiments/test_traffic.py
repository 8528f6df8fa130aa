"""Traffic from stored answers, and the users and days that an experiment needs with it."""

from __future__ import annotations

import numpy as np
import pytest

from core.clock import DAY_MS
from core.experiments.planning import users_needed
from core.experiments.traffic import PlannedUsers, Traffic, plan_experiment, stored_traffic
from core.records.arms import ArmDay, ArmSums, UserSums

RARE = Traffic.assumed(0.05)


def day(number: int, *, users: int, clicking: int) -> ArmDay:
    """A day with new users of one answer with two items each; the first of them click one."""
    clicks = UserSums.of(np.r_[np.ones(clicking), np.zeros(users - clicking)], np.full(users, 2.0))
    return ArmDay("", number, ArmSums(users, clicks, clicks, clicks))


def test_stored_answers_say_the_rate_its_variance_and_the_users_of_a_day() -> None:
    days = [day(100, users=300, clicking=30), day(101, users=100, clicking=10)]
    stored = stored_traffic(days, "click_through_rate", now_ms=104 * DAY_MS)
    assert stored.traffic is not None
    assert stored.traffic.rate == pytest.approx(0.05)
    assert stored.traffic.variance == pytest.approx(0.1 * 0.9 / 4, rel=0.01)
    assert (stored.traffic.observations_per_user, stored.users_per_day) == (1, 100)


def test_few_users_say_how_many_come_but_no_rate() -> None:
    stored = stored_traffic([day(100, users=60, clicking=29)], "click_through_rate", now_ms=100 * DAY_MS + 1)
    assert (stored.traffic, stored.users_per_day) == (None, 60)
    assert stored_traffic([], "click_through_rate", now_ms=DAY_MS).users_per_day == 0


def test_a_plan_has_the_users_of_all_arms_and_the_days_until_they_came() -> None:
    pair = users_needed(0.005, variance=0.0475 * 1.05)
    assert plan_experiment(RARE, 0.1) == PlannedUsers(pair, None)
    assert plan_experiment(RARE, 0.1, users_per_day=pair / 7).days == 7
    assert plan_experiment(RARE, 0.1, arms=4).users > 2 * pair, "each comparison has a third of the error"


def test_correlated_impressions_of_a_user_say_less() -> None:
    alone, together = (Traffic.assumed(0.05, per_user=10, correlation=each) for each in (0.0, 0.5))
    assert plan_experiment(RARE, 0.2).users > plan_experiment(together, 0.2).users
    assert plan_experiment(together, 0.2).users > 3 * plan_experiment(alone, 0.2).users


def test_a_lift_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="difference: wanted a finite number other than 0"):
        plan_experiment(RARE, 0.0)
