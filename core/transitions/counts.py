"""Transition counts: which items follow and precede each item, and how often each occurs, from the log of transitions.

A transition counts by the distance between its items and halves with time. Decay scales all counts alike, so nothing is
recomputed as time passes: counts are kept in units of one week and converted on reading. Independent of storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.arrays import DoubleArray, IntArray
from core.transitions.neighbours import NeighbourCounts, Pairs
from core.transitions.strongest import Neighbours
from core.transitions.transition import NO_ITEM, NUM_PREVIOUS, WEEK_MS, Transition, TransitionChanges

SMALLEST = 1e-6  # of a count in present units: the rest of one that was taken back, or twenty half-lives old
PARTS = ("items", "neighbours", "weights", "rest_items", "rest")
FOLLOWERS, PREDECESSORS = ([f"{direction}_{part}" for part in PARTS] for direction in ("followers", "predecessors"))
MANY_PAIRS = 100_000  # of one change: more are summed before they are added


@dataclass(frozen=True, slots=True)
class CountRules:
    """How transitions count.

    `distances`: the weight of the item just before, of the one before that, and so on. `max_neighbours`: of an item and
    direction; the strongest are used. `max_stored`: of an item and direction that are kept in memory.
    """

    distances: tuple[float, ...] = (1.0, 1 / 2, 1 / 3)
    half_life_weeks: float = 90 / 7
    max_neighbours: int = 256
    max_stored: int = 1024

    def __post_init__(self) -> None:
        assert len(self.distances) == NUM_PREVIOUS

    def neighbour_counts(self, arrays: Sequence[NDArray[Any]] | None = None) -> NeighbourCounts:
        """Counts of one direction by these rules."""
        return NeighbourCounts(arrays, max_neighbours=self.max_neighbours, max_stored=self.max_stored)


class TransitionCounts:
    """All counts in memory. One thread applies changes; any thread reads."""

    def __init__(self, rules: CountRules | None = None) -> None:
        self.rules = rules or CountRules()
        self.position: dict[int, int] = {}  # of the log, up to which transitions are counted
        self.num_rows: dict[int, int] = {}  # how many transitions of each writer's log are counted
        self.num_changes = 0  # while it is the same, so are the counts
        self._origin_week: int | None = None
        self._newest_week = 0
        self._followers, self._predecessors = self.rules.neighbour_counts(), self.rules.neighbour_counts()
        self._decayed_events = np.zeros(0)  # by item key
        self._num_events = np.zeros(0)

    @classmethod
    def of_arrays(cls, rules: CountRules, arrays: Mapping[str, NDArray[Any]]) -> TransitionCounts:
        """What `arrays` of other counts by the same rules returned, at the same place of the log."""
        counts = cls(rules)
        counts.num_rows = dict(arrays["num_rows"].tolist())
        counts._origin_week, counts._newest_week = arrays["weeks"].tolist()
        counts._followers, counts._predecessors = (
            rules.neighbour_counts([arrays[name] for name in names]) for names in (FOLLOWERS, PREDECESSORS)
        )
        counts._decayed_events, counts._num_events = arrays["decayed_events"], arrays["num_events"]
        return counts

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All counts as they are kept, of at least one transition. For the thread that applies changes."""
        return {
            "num_rows": np.array(list(self.num_rows.items()), np.int64),
            "weeks": np.array([self._origin_week, self._newest_week], np.int64),
            **dict(zip(FOLLOWERS, self._followers.arrays(), strict=True)),
            **dict(zip(PREDECESSORS, self._predecessors.arrays(), strict=True)),
            "decayed_events": self._decayed_events,
            "num_events": self._num_events,
        }

    def apply(self, changes: TransitionChanges) -> None:
        """Count what the log added; a log that restarted is counted by a new object."""
        assert not (changes.restarted and self.position), "these counts hold transitions of the log before it restarted"
        self.position = dict(changes.position)
        for writer_key, num_rows in changes.num_rows.items():
            self.num_rows[writer_key] = self.num_rows.get(writer_key, 0) + num_rows
        if not len(changes.rows):
            return
        columns = [changes.rows[:, place] for place in range(len(Transition._fields))]
        item_keys, weeks, signs, *previous = columns
        origin = self._origin(int(weeks.max()))
        decay: DoubleArray = np.exp2((weeks - origin) / self.rules.half_life_weeks)
        weights: DoubleArray = signs.astype(np.float64) * decay
        self._decayed_events = _with_counts(self._decayed_events, item_keys, weights)
        self._num_events = _with_counts(self._num_events, item_keys, signs)
        pairs = _pairs(item_keys, weights, previous, self.rules.distances)
        if len(pairs.items) > MANY_PAIRS:
            pairs = pairs.summed()  # once for both directions, as at a start
        smallest = SMALLEST / self._to_present
        self._followers.add(pairs, smallest=smallest)
        self._predecessors.add(Pairs(pairs.neighbours, pairs.items, pairs.weights), smallest=smallest)
        self.num_changes += 1

    def after(self, item_key: int) -> Neighbours:
        """The strongest followers of an item, by decayed counts in present units."""
        return self._in_present(self._followers.of(item_key))

    def before(self, item_key: int) -> Neighbours:
        """The strongest predecessors of an item, by decayed counts in present units."""
        return self._in_present(self._predecessors.of(item_key))

    def weights_at(self, time_ms: int) -> tuple[float, ...]:
        """What an event of that time adds to the counts of the items before it, nearest first, in present units."""
        decay = float(np.exp2((time_ms // WEEK_MS - self._newest_week) / self.rules.half_life_weeks))
        return tuple(distance * decay for distance in self.rules.distances)

    def shares(self, item_keys: IntArray) -> DoubleArray:
        """(n,) the share of each item in the decayed number of events; 0 for an item without any."""
        total = max(float(self._decayed_events.sum()), np.finfo(np.float64).tiny)
        return np.maximum(_of_keys(self._decayed_events, item_keys), 0.0) / total

    def num_events(self, item_keys: IntArray) -> DoubleArray:
        """(n,) how many events each item has had."""
        return _of_keys(self._num_events, item_keys)

    def _origin(self, newest: int) -> int:
        """The week in whose units counts are kept; notes the newest one."""
        if self._origin_week is None:
            self._origin_week = newest
        self._newest_week = max(self._newest_week, newest)
        return self._origin_week

    @property
    def _to_present(self) -> float:
        """From kept units to those of the newest week."""
        return float(np.exp2(((self._origin_week or 0) - self._newest_week) / self.rules.half_life_weeks))

    def _in_present(self, kept: Neighbours) -> Neighbours:
        scale = self._to_present
        return kept if scale == 1.0 else Neighbours(kept.keys, kept.counts * np.float32(scale), kept.total * scale)


def _pairs(
    item_keys: IntArray, weights: DoubleArray, previous: Sequence[IntArray], distances: Sequence[float]
) -> Pairs:
    """The pairs of all distances; no item is its own neighbour. One column after the other, to save memory."""
    counted = [(keys != NO_ITEM) & (keys != item_keys) for keys in previous]
    return Pairs(
        np.concatenate([keys[which].astype(np.int32) for keys, which in zip(previous, counted, strict=True)]),
        np.concatenate([item_keys[which].astype(np.int32) for which in counted]),
        np.concatenate([d * weights[which] for d, which in zip(distances, counted, strict=True)]),
    )


def _with_counts(counts: DoubleArray, item_keys: IntArray, weights: NDArray[np.floating] | IntArray) -> DoubleArray:
    sums: DoubleArray = np.bincount(item_keys, weights, minlength=len(counts)).astype(np.float64)
    sums[: len(counts)] += counts
    return sums


def _of_keys(counts: DoubleArray, item_keys: IntArray) -> DoubleArray:
    values = np.zeros(len(item_keys))
    counted = (item_keys >= 0) & (item_keys < len(counts))
    values[counted] = counts[item_keys[counted]]
    return values
