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

    def is_new(self, row: int) -> bool:
        """Whether an item is new; not asked where the rule demands no new ones."""
        return bool(self.rule.new_items) and bool(np.any(self.new == row))

    def open(self, blocked: BoolArray, *, num_new: int, num_free: int) -> OpenPools:
        """What can still be drawn. `num_new`: new items placed so far; `num_free`: free positions from this one on."""
        ranked, new = self.ranked[~blocked[self.ranked]], self.new[~blocked[self.new]]
        new_share = 0.0 if not len(new) else 1.0 if not len(ranked) else self.rule.new_share
        reserved = min(max(self.rule.new_items - num_new, 0) / num_free, 1.0) if len(new) else 0.0
        return OpenPools(self.rule.share if len(ranked) or len(new) else 0.0, new_share, ranked, new, reserved)


@dataclass(frozen=True, slots=True)
class OpenPools:
    """What can be drawn for one position. `share`: the probability that one is.

    `reserved`: the probability, before that, that a new item is drawn because the answer needs more of them.
    """

    share: float
    new_share: float
    ranked: IntArray
    new: IntArray
    reserved: float = 0.0

    def draw(self, random: RandomSource) -> int | None:
        """The row of an item, or None for the next best one."""
        if self.reserved and random.random() < self.reserved:
            return int(self.new[random.randrange(len(self.new))])
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
        needed = np.any(self.new == row) / len(self.new) if self.reserved else 0.0
        return float(self.reserved * needed + (1 - self.reserved) * (self.share * drawn + (1 - self.share) * is_best))
