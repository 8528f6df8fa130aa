"""A log of answers with propensities, beside what another scenario would have shown in their place.

Gives the arrays that `core.experiments.off_policy` estimates from, with a model of rewards for the doubly robust one:
the click rate of the item, shrunk to that of all items, times that of the position. It is fitted on half of the users
and read for the others (cross-fitting; V. Chernozhukov et al., "Double/debiased machine learning", Econometrics Journal
21, 2018), because a model that has seen a reward would predict it too well.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, DoubleArray, IntArray
from core.experiments.off_policy import LoggedSlots, OffPolicyEstimate, estimate
from core.records.outcomes import StoredAnswer

NO_ITEM = -1  # where a list is shorter
SHRINKAGE = 20.0  # impressions with the rate of all items that are added to those of an item


@dataclass(frozen=True, slots=True)
class ReplayedLog:
    """S slots of answers. (S,) `items`: shown; `others`: item keys that the other scenario would show there."""

    slots: LoggedSlots
    items: IntArray
    others: IntArray

    @classmethod
    def of(
        cls, answers: Sequence[StoredAnswer], lists: Sequence[Sequence[int]], clicked: Collection[tuple[bytes, int]]
    ) -> ReplayedLog:
        """`lists`: for each answer the item keys of the other scenario; `clicked`: answer keys and positions.

        Raises ValueError without answers.
        """
        users = {user_id: number for number, user_id in enumerate(sorted({str(each.user_id) for each in answers}))}
        rows = [
            (
                number,
                users[str(answer.user_id)],
                position,
                (answer.key, position) in clicked,
                answer.propensity_at(position),
                item,
                other[position - 1] if position <= len(other) else NO_ITEM,
            )
            for number, (answer, other) in enumerate(zip(answers, lists, strict=True))
            for position, item in enumerate(answer.item_keys, start=1)
        ]
        table = np.array(rows, np.float64).reshape(len(rows), 7)  # keys are below 2^53
        numbers, owners, positions, items, others = (table[:, column].astype(np.int64) for column in (0, 1, 2, 5, 6))
        chances = (items == others).astype(np.float64)
        return cls(LoggedSlots(numbers, owners, positions, table[:, 3], table[:, 4], chances), items, others)

    @property
    def num_users(self) -> int:
        """How many users the answers were given to."""
        return len(np.unique(self.slots.users))

    def estimates(self) -> OffPolicyEstimate:
        """The clicks per answer under the other scenario."""
        modelled, expected = np.zeros(len(self.items)), np.zeros(len(self.items))
        is_odd = self.slots.users % 2 == 1
        for read in (is_odd, ~is_odd):
            modelled[read] = self._rates(~read, self.items[read], self.slots.positions[read])
            expected[read] = self._rates(~read, self.others[read], self.slots.positions[read])
        return estimate(self.slots, modelled=modelled, expected=expected)

    def logged(self) -> OffPolicyEstimate:
        """The clicks per answer as they were."""
        own = self.slots
        return estimate(
            LoggedSlots(own.answers, own.users, own.positions, own.rewards, own.propensities, own.propensities)
        )

    def _rates(self, fitted: BoolArray, items: IntArray, positions: IntArray) -> DoubleArray:
        """The click rates of items at positions by the model of the slots `fitted`: (S,); 0 for no item."""
        rewards = self.slots.rewards[fitted]
        overall = float(rewards.mean()) if len(rewards) else 0.0
        of_item = _rates(self.items[fitted], rewards, items, overall)
        of_position = _rates(self.slots.positions[fitted], rewards, positions, overall)
        rates = of_item * of_position / overall if overall else np.zeros(len(items))
        return np.where(items == NO_ITEM, 0.0, rates)


def _rates(groups: IntArray, rewards: DoubleArray, wanted: IntArray, overall: float) -> DoubleArray:
    """The shrunk mean reward of each wanted group."""
    names, places = np.unique(np.r_[groups, wanted], return_inverse=True)
    known, asked = places[: len(groups)], places[len(groups) :]
    sums = np.bincount(known, weights=rewards, minlength=len(names))
    counts = np.bincount(known, minlength=len(names))
    rates: DoubleArray = (sums + SHRINKAGE * overall) / (counts + SHRINKAGE)
    return rates[asked]
