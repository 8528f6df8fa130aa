"""A user's short-term and long-term interests, their history, and a test for a shift.

Pure functions over the user's events and the topics of their items. A topic is a category of the catalogue or, for
items without one, a cluster of texts. Independent of stores and models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray
from core.clock import DAY_MS, HOUR_MS
from core.interests.shift import Shift, find_shift

FloatArray = NDArray[np.float64]

BUCKET_SIZES_MS = (HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS, 30 * DAY_MS, 91 * DAY_MS, 365 * DAY_MS)
MAX_BUCKETS = 30
MAX_TOPICS = 12  # more lines cannot be distinguished in a chart
VISIT_GAP_MS = HOUR_MS // 2  # a visit ends after half an hour without an event, as usual in web analytics
SECOND_TOPIC_SHARE = 0.6  # a second topic is named if it moved at least this share as far as the first
Topics = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Horizons:
    """Half-lives of the weights of past events, in days."""

    short_days: float = 7.0
    long_days: float = 90.0


@dataclass(frozen=True, slots=True)
class InterestBucket:
    """A period of the history. `shares`: (C,) the share of its events by topic."""

    start_ms: int
    num_events: int
    shares: FloatArray


@dataclass(frozen=True, slots=True)
class InterestShift:
    """The result of the shift test on a user's visits.

    `score`: 1 - p of a permutation test; None with too few visits. `since_ms`: the first event after the most likely
    change point. `origin`, `target`: the topics that lost and gained most there. Of the `num_since` events since then,
    `num_target` have the target topic.
    """

    score: float | None
    threshold: float
    explanation: str
    since_ms: int | None = None
    distance: float | None = None
    origin: Topics = ()
    target: Topics = ()
    num_since: int = 0
    num_target: int = 0

    @property
    def is_significant(self) -> bool:
        """Whether the score exceeds the threshold."""
        return self.score is not None and self.score > self.threshold


@dataclass(frozen=True, slots=True)
class Interest:
    """A user's interests. `topics`: strongest first; shares are of all topics and can sum to less than 1."""

    topics: Topics
    long_term: FloatArray
    short_term: FloatArray
    bucket_ms: int
    buckets: tuple[InterestBucket, ...]
    drift: InterestShift


def interest_of(
    times_ms: IntArray, topics: Sequence[Topics], *, horizons: Horizons, false_alarms: float, seed: int = 0
) -> Interest:
    """The interests behind events, oldest first, each with the topics of its item; several topics share an event.

    `false_alarms`: the false-positive rate of the shift test. Events without a topic are ignored.
    """
    known = [index for index, names in enumerate(topics) if names]
    times_ms = times_ms[known]
    names, parts = _parts([topics[index] for index in known])
    drift = _drift(times_ms, names, parts, false_alarms=false_alarms, seed=seed)
    long_term = _decayed(times_ms, parts, horizons.long_days)
    short_term = _decayed(times_ms, parts, horizons.short_days)
    shown = np.argsort(-np.maximum(long_term, short_term), kind="stable")[:MAX_TOPICS]
    bucket_ms, buckets = _buckets(times_ms, parts[:, shown])
    return Interest(
        tuple(names[column] for column in shown), long_term[shown], short_term[shown], bucket_ms, buckets, drift
    )


def _parts(topics: Sequence[Topics]) -> tuple[list[str], FloatArray]:
    """The names of all topics, and (L, C) the share of each event that each topic gets."""
    names = sorted({name for event_topics in topics for name in event_topics})
    column = {name: index for index, name in enumerate(names)}
    parts = np.zeros((len(topics), len(names)))
    for row, event_topics in enumerate(topics):
        for name in event_topics:
            parts[row, column[name]] = 1 / len(event_topics)
    return names, parts


def _decayed(times_ms: IntArray, parts: FloatArray, half_life_days: float) -> FloatArray:
    """(C,) shares of events weighted by exponential decay."""
    if not len(parts):
        return np.zeros(parts.shape[1])
    weights = np.exp2((times_ms - times_ms[-1]) / (half_life_days * DAY_MS))
    decayed: FloatArray = weights @ parts / weights.sum()
    return decayed


def _buckets(times_ms: IntArray, parts: FloatArray) -> tuple[int, tuple[InterestBucket, ...]]:
    """Non-empty periods of equal length, the shortest with which there are at most `MAX_BUCKETS`."""
    if not len(parts):
        return BUCKET_SIZES_MS[0], ()
    fitting = (size for size in BUCKET_SIZES_MS if times_ms[-1] // size - times_ms[0] // size < MAX_BUCKETS)
    size = next(fitting, BUCKET_SIZES_MS[-1])
    starts, inside = np.unique(times_ms // size * size, return_inverse=True)
    sums = np.zeros((len(starts), parts.shape[1]))
    np.add.at(sums, inside, parts)
    counts = np.bincount(inside)
    kept = slice(-MAX_BUCKETS, None)
    rows = zip(starts[kept].tolist(), counts[kept].tolist(), (sums / counts[:, None])[kept], strict=True)
    return size, tuple(InterestBucket(start, num, shares) for start, num, shares in rows)


def _drift(
    times_ms: IntArray, names: Sequence[str], parts: FloatArray, *, false_alarms: float, seed: int
) -> InterestShift:
    threshold = 1 - false_alarms
    visit = np.cumsum(np.diff(times_ms, prepend=times_ms[:1]) > VISIT_GAP_MS)
    visits = np.zeros((int(visit[-1]) + 1 if len(visit) else 0, len(names)))
    np.add.at(visits, visit, parts)
    shift = find_shift(visits, seed=seed)
    if shift is None:
        few = "1 visit is" if len(visits) == 1 else f"{len(visits) or 'no'} visits are"
        return InterestShift(None, threshold, f"{few} too few for a test")
    if shift.score <= threshold:
        return InterestShift(shift.score, threshold, "no significant shift")
    first = int(np.searchsorted(visit, shift.visit))
    origin, target = _moved(names, shift.before - shift.since), _moved(names, shift.since - shift.before)
    inside = parts[first:, [names.index(name) for name in target]].sum(axis=1) > 0
    num_since, num_target = len(inside), int(inside.sum())
    since_ms = int(times_ms[first])
    day = _day(since_ms, int(times_ms[-1]))
    explanation = (
        f"from {' and '.join(origin)} to {' and '.join(target)} since {day}; "
        f"{num_target} of the last {num_since} events"
    )
    return InterestShift(
        shift.score, threshold, explanation, since_ms, _distance(shift), origin, target, num_since, num_target
    )


def _moved(names: Sequence[str], gains: FloatArray) -> Topics:
    """The topic that gained most, and the second if it gained nearly as much."""
    first, second = (*np.argsort(-gains, kind="stable")[:2].tolist(), None)[:2]
    if second is None or gains[second] < SECOND_TOPIC_SHARE * gains[first]:
        return (names[first],)
    return (names[first], names[second])


def _distance(shift: Shift) -> float:
    """The total variation distance of the topic shares."""
    return float(np.abs(shift.since - shift.before).sum() / 2)


def _day(time_ms: int, last_ms: int) -> str:
    """A date; with the year if it differs from that of the newest event."""
    day, last = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (time_ms, last_ms))
    return f"{day.day} {day:%B}" if day.year == last.year else f"{day.day} {day:%B %Y}"
