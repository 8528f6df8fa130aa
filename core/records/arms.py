"""The records of arms of experiments: sums over users, from which a metric and its variance follow.

Users are assigned to arms, so users are what is independent: clicks of one user are not. A metric is the ratio of two
sums over users: clicks to impressions (click-through rate), or revenue to 1 (revenue per user). The variance of a ratio
follows from squares and products of the two (delta method; A. Deng, U. Knoblich, J. Lu, "Applying the delta method in
metric analytics", KDD 2018). The sums add up, so an arm costs a few numbers however many users it has.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, fields
from typing import Self

from core.arrays import DoubleArray


@dataclass(frozen=True, slots=True)
class UserSums:
    """Sums over users with `value` y and `base` x each: of 1, y, x, y y, x x, x y, and of users with y other than 0.

    A user's y and x are totals over the whole experiment, so that returning users stay one user.
    """

    users: int = 0
    value: float = 0.0
    base: float = 0.0
    value_squares: float = 0.0
    base_squares: float = 0.0
    products: float = 0.0
    active: int = 0

    @classmethod
    def of(cls, values: DoubleArray, bases: DoubleArray | None = None) -> Self:
        """The sums of (u,) users' values; without (u,) bases the metric is the mean per user."""
        if bases is None:
            bases = values * 0 + 1
        return cls(
            len(values),
            float(values.sum()),
            float(bases.sum()),
            float(values @ values),
            float(bases @ bases),
            float(values @ bases),
            int((values != 0).sum()),
        )

    def __add__(self, other: Self) -> Self:
        """The sums over two disjoint groups of users."""
        return type(self)(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def ratio(self) -> float:
        """The metric: values per base; NaN without a base."""
        return self.value / self.base if self.base else float("nan")

    @property
    def variance(self) -> float:
        """The variance of one user's share in the ratio: of (y - ratio x) / mean of x."""
        if self.users < 2 or not self.base:
            return float("nan")
        ratio = self.ratio
        squares = self.value_squares - 2 * ratio * self.products + ratio * ratio * self.base_squares
        return max(squares, 0.0) / (self.users - 1) * (self.users / self.base) ** 2


@dataclass(frozen=True, slots=True)
class ArmSums:
    """The sums over the users of an arm: answers, and for each metric those of `UserSums`."""

    answers: int = 0
    clicks: UserSums = field(default_factory=UserSums)
    conversions: UserSums = field(default_factory=UserSums)
    revenue: UserSums = field(default_factory=UserSums)

    def __add__(self, other: Self) -> Self:
        """Both together."""
        return type(self)(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True, slots=True)
class ArmDay:
    """What a day adds to an arm's sums. `arm`: as "experiment/arm"; `day`: since 1970, UTC.

    Squares and products are of users' totals since the start: the days of an experiment add up to its sums.
    """

    arm: str
    day: int
    added: ArmSums
