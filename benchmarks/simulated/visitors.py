"""Visitors of a simulated shop: who sees an answer when, who clicks and buys.

Visitors differ: a visitor's click rate is drawn from a beta distribution, purchases follow clicks, amounts are
lognormal. With `answers_per_user` of about 1 nearly every answer is to a new visitor; with many, visitors return.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.arrays import BoolArray, DoubleArray, IntArray
from core.experiments.assignment import assign
from core.experiments.experiment import Arm, Experiment, Metric
from core.records.arms import UserSums

Arrival = Literal["new", "returning"]
ANSWERS_PER_USER: dict[Arrival, float] = {"new": 1.2, "returning": 12.0}


@dataclass(frozen=True)
class VisitorGroup:
    """`concentration` c: click rates of visitors are beta(c rate, c (1 - rate)); their correlation is 1 / (c + 1)."""

    num_users: int
    arrival: Arrival = "new"
    click_rate: float = 0.05
    purchase_rate: float = 0.3  # of clicks
    concentration: float = 20.0


@dataclass(frozen=True)
class Visits:
    """N answers in time order, of users numbered from 0: (N,) users, clicks, purchases and amounts; (u,) in the arm."""

    users: IntArray
    clicks: DoubleArray
    purchases: DoubleArray
    amounts: DoubleArray
    in_arm: BoolArray

    def outcome(self, metric: Metric) -> tuple[DoubleArray, DoubleArray | None]:
        """(N,) what an answer adds to its user's value and base; no base for a mean per user."""
        if metric == "click_through_rate":
            return self.clicks, np.ones_like(self.clicks)
        return (self.purchases if metric == "conversions_per_user" else self.amounts), None


def visits(group: VisitorGroup, *, seed: int, lift: float = 0.0) -> Visits:
    """The answers of one experiment with two equal arms; `lift` multiplies the click rate of the second one."""
    random = np.random.default_rng(seed)
    per_user = 1 + random.poisson(ANSWERS_PER_USER[group.arrival] - 1, group.num_users)
    users = np.repeat(np.arange(group.num_users), per_user)
    # New visitors come all the time, returning ones from an early day on.
    span = 1.0 if group.arrival == "new" else 0.2
    arrivals = random.random(group.num_users) * span
    times = arrivals[users] + random.random(len(users)) * (0.05 if group.arrival == "new" else 1 - span)
    users = users[np.argsort(times)]
    in_arm = membership(group.num_users, salt=str(seed))
    rates = random.beta(
        group.concentration * group.click_rate,
        group.concentration * (1 - group.click_rate),
        group.num_users,
    )
    rates = np.minimum(rates * (1 + lift * in_arm), 1.0)
    clicks = random.random(len(users)) < rates[users]
    purchases = clicks & (random.random(len(users)) < group.purchase_rate)
    amounts = purchases * random.lognormal(3.0, 1.0, len(users))
    return Visits(users, clicks.astype(float), purchases.astype(float), amounts, in_arm)


def membership(num_users: int, *, salt: str) -> BoolArray:
    """(u,) whether each user is in the second of two equal arms, as the product assigns them."""
    experiment = Experiment("aa", (Arm("control", 0.5), Arm("same", 0.5)), salt=salt)
    return np.array([assign(experiment, str(user)) is experiment.arms[1] for user in range(num_users)])


class RunningSums:
    """Both arms' sums after every answer, as cumulative sums: a look costs O(1)."""

    def __init__(self, visits: Visits, metric: Metric) -> None:
        values, bases = visits.outcome(metric)
        users, num_users = visits.users, len(visits.in_arm)
        is_first = np.zeros(len(users), np.bool_)
        is_first[np.unique(users, return_index=True)[1]] = True
        bases = is_first.astype(float) if bases is None else bases
        y, x = _running(values, users, num_users), _running(bases, users, num_users)
        before_y, before_x = y - values, x - bases
        added = (
            is_first,
            values,
            bases,
            y**2 - before_y**2,
            x**2 - before_x**2,
            y * x - before_y * before_x,
            (y != 0) & (before_y == 0),
        )
        in_arm = visits.in_arm[users]
        self._sums = [np.cumsum(np.array(added) * where, axis=1) for where in (~in_arm, in_arm)]

    def at(self, num_answers: int) -> tuple[UserSums, UserSums]:
        """The sums of control and arm after the first answers."""
        control, arm = (sums[:, num_answers - 1].tolist() for sums in self._sums)
        return UserSums(*control), UserSums(*arm)


def _running(values: DoubleArray, users: IntArray, num_users: int) -> DoubleArray:
    """(N,) the sum of a user's values up to and with each answer."""
    order = np.argsort(users, kind="stable")
    totals = np.cumsum(values[order])
    sizes = np.bincount(users, minlength=num_users)
    starts = np.cumsum(sizes) - sizes
    before = np.where(starts > 0, totals[starts - 1], 0.0)
    running = np.empty_like(totals)
    running[order] = totals - np.repeat(before, sizes)
    return running
