"""Pools of exploration: which items may be drawn for a position, and how likely each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.arrays import BoolArray, IntArray
from core.scenarios.scenario import Exploration


class RandomSource(Protocol):
    """Random numbers: `random.Random`."""

    def random(self) -> float:
        """Uniform in [0, 1)."""
        ...

    def randrange(self, stop: int, /) -> int:
        """Uniform in 0 .. stop - 1."""
        ...


@dataclass(frozen=True, slots=True)
class Pools:
    """The rows that the ranking puts first, and the rows of new items; see `Exploration`."""

    rule: Exploration
    ranked: IntArray
    new: IntArray

    def open(self, blocked: BoolArray) -> OpenPools:
        """What can still be drawn."""
        ranked, new = self.ranked[~blocked[self.ranked]], self.new[~blocked[self.new]]
        new_share = 0.0 if not len(new) else 1.0 if not len(ranked) else self.rule.new_share
        return OpenPools(self.rule.share if len(ranked) or len(new) else 0.0, new_share, ranked, new)


@dataclass(frozen=True, slots=True)
class OpenPools:
    """What can be drawn for one position. `share`: the probability that one is."""

    share: float
    new_share: float
    ranked: IntArray
    new: IntArray

    def draw(self, random: RandomSource) -> int | None:
        """The row of an item, or None for the next best one."""
        if random.random() >= self.share:
            return None
        pool = self.new if random.random() < self.new_share else self.ranked
        return int(pool[random.randrange(len(pool))])

    def propensity(self, row: int, *, is_best: bool) -> float:
        """The probability that this item stands at the position, whether drawn or as the next best one."""
        drawn = 0.0
        for share, pool in ((self.new_share, self.new), (1 - self.new_share, self.ranked)):
            if share and np.any(pool == row):
                drawn += share / len(pool)
        return self.share * drawn + (1 - self.share) * is_best
