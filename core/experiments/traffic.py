"""Traffic: what users do as it is now, from which follows how many users and days an experiment needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.clock import DAY_MS
from core.experiments.comparison import ERROR, MIN_ACTIVE, MIN_USERS
from core.experiments.experiment import Metric
from core.experiments.planning import POWER, rate_variance, users_needed
from core.experiments.results import sums_of
from core.ports.store import ReadTransaction
from core.records.arms import ArmDay, ArmSums

PERIOD_DAYS = 28
OUTSIDE = ""  # the label of answers outside experiments


@dataclass(frozen=True, slots=True)
class Traffic:
    """A metric of users as it is. `variance`: of one user's share in it, see `UserSums.variance`."""

    rate: float
    variance: float
    observations_per_user: float = 1.0

    @classmethod
    def assumed(cls, rate: float, *, per_user: float = 1.0, correlation: float = 0.0) -> Traffic:
        """Without data: `per_user` observations (as impressions) with this rate, `correlation` between a user's."""
        variance = rate_variance(rate, answers_per_user=per_user, correlation=correlation)
        return cls(rate, variance, per_user)


@dataclass(frozen=True, slots=True)
class StoredTraffic:
    """What the stored answers outside experiments say. `traffic`: None with too few users to tell.

    `users_per_day`: of those that were not seen before in the period; 0 without answers.
    """

    traffic: Traffic | None
    users_per_day: float


@dataclass(frozen=True, slots=True)
class PlannedUsers:
    """`users`: in all arms together. `days`: until so many came; None where it is not known how many come a day."""

    users: int
    days: int | None


def read_traffic(
    read: ReadTransaction, metric: Metric, *, now_ms: int, proven_impressions: bool, period_days: int = PERIOD_DAYS
) -> StoredTraffic:
    """The traffic of the last days from the answers to users that are remembered."""
    since_ms = now_ms - period_days * DAY_MS
    return stored_traffic(
        read.arms.days([OUTSIDE], since_ms=since_ms, until_ms=now_ms + 1, proven_impressions=proven_impressions),
        metric,
        now_ms=now_ms,
    )


def stored_traffic(days: Sequence[ArmDay], metric: Metric, *, now_ms: int) -> StoredTraffic:
    """The traffic from what each day adds. Users per day count from the first day with answers."""
    total = ArmSums()
    for day in days:
        total += day.added
    sums = sums_of(total, metric)
    if not days:
        return StoredTraffic(None, 0.0)
    elapsed = max(1.0, now_ms / DAY_MS - min(day.day for day in days))
    enough = sums.users >= MIN_USERS and sums.active >= MIN_ACTIVE
    traffic = Traffic(sums.ratio, sums.variance, total.answers / sums.users) if enough else None
    return StoredTraffic(traffic, sums.users / elapsed)


def plan_experiment(
    traffic: Traffic, lift: float, *, arms: int = 2, power: float = POWER, users_per_day: float = 0.0
) -> PlannedUsers:
    """How many users find a relative `lift` of one arm over the control, among `arms` of equal shares.

    The variance grows with the rate of the lifted arm; both arms have their mean. Raises ValueError for a lift that
    can't be found by 10^12 users.
    """
    pair = users_needed(
        lift * traffic.rate,
        variance=traffic.variance * (1 + lift / 2),
        shares=(1 / arms, 1 / arms),
        answers_per_user=traffic.observations_per_user,
        error=ERROR / (arms - 1),
        power=power,
    )
    users = math.ceil(pair * arms / 2)
    return PlannedUsers(users, math.ceil(users / users_per_day) if users_per_day else None)
