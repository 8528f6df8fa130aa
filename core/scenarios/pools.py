"""Pools of exploration: which items may be drawn for a position, and how likely each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from core.arrays import BoolArray, IntArray, look_up
from core.scenarios.scenario import Exploration


class RandomSource(Protocol):
    """Random numbers: `random.Random`."""

    def random(self) -> float:
        """Uniform in [0, 1)."""
        ...

    def randrange(self, stop: int, /) -> int:
        """Uniform in 0 .. stop - 1."""
        ...


NO_ROW = -1


class Chances(NamedTuple):
    """What one position shows. The probability of an item is the sum of those that apply to it.

    `ranked`, `new`: of each item of that pool that may still follow; `best`: of the row `best_row`, `NO_ROW` for none.
    """

    ranked: float
    new: float
    best: float
    best_row: int


@dataclass(frozen=True, slots=True)
class Pools:
    """The rows that the ranking puts first, and the rows of new items, ascending; see `Exploration`."""

    rule: Exploration
    ranked: IntArray
    new: IntArray

    def ranked_holds(self, rows: IntArray) -> BoolArray:
        """(R,) whether each row is among those that the ranking puts first."""
        return np.isin(rows, self.ranked)

    def new_holds(self, rows: IntArray) -> BoolArray:
        """(R,) whether each row is among the new ones that may be drawn."""
        return look_up(self.new, rows)[1]

    def is_new(self, row: int) -> bool:
        """Whether an item is new; not asked where the rule demands no new ones."""
        return bool(self.rule.new_items) and bool(look_up(self.new, np.array([row]))[1][0])

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

    def chances(self, best: int | None) -> Chances:
        """What the position shows, drawn or as the next best item: the row `best`."""
        free = 1 - self.reserved
        of_new = self.reserved + free * self.share * self.new_share
        of_ranked = free * self.share * (1 - self.new_share)
        return Chances(
            ranked=of_ranked / len(self.ranked) if len(self.ranked) else 0.0,
            new=of_new / len(self.new) if len(self.new) else 0.0,
            best=free * (1 - self.share),
            best_row=NO_ROW if best is None else best,
        )
