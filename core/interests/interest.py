"""Interest: what one user turns to, lately and on the whole, how that moved over time, and whether it moved at all.

Pure functions over the user's events and the topics of their items. Independent of stores or models: a topic is a
category of the catalogue or, where an item has none, a cluster of texts that somebody else has made.
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
MAX_TOPICS = 12  # more lines than that nobody can tell apart
VISIT_GAP_MS = HOUR_MS // 2  # the usual half an hour: after a longer pause a new visit begins
ALSO = 0.6  # a second topic is named where it moved at least that much as far as the first
Topics = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Horizons:
    """How fast the past fades: after that many days an event counts half."""

    short_days: float = 7.0
    long_days: float = 90.0


@dataclass(frozen=True, slots=True)
class InterestBucket:
    """What a user turned to in one stretch of time. `shares`: (C,) of its events, by topic."""

    start_ms: int
    num_events: int
    shares: FloatArray


@dataclass(frozen=True, slots=True)
class InterestShift:
    """Whether a user's interest moved.

    `score`: among users whose interest does not move, the share whose visits look less like a move; None: too few
    visits to tell. `since_ms`: the first event after the likeliest moment; `origin`, `target`: the topics that lost and
    gained most there; of the `num_since` events since, `num_target` were about the target.
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
    def found(self) -> bool:
        """Whether the score is above the threshold."""
        return self.score is not None and self.score > self.threshold


@dataclass(frozen=True, slots=True)
class Interest:
    """A user's interest. `topics`: the strongest first; shares below are of these, and of all others together less."""

    topics: Topics
    long_term: FloatArray
    short_term: FloatArray
    bucket_ms: int
    buckets: tuple[InterestBucket, ...]
    drift: InterestShift


def interest_of(
    times_ms: IntArray, topics: Sequence[Topics], *, horizons: Horizons, false_alarms: float, seed: int = 0
) -> Interest:
    """The interest behind events, oldest first, each with the topics of its item; one with several counts in parts.

    `false_alarms`: in what share of unmoved users a move may be seen. Events without a topic are left out.
    """
    known = [place for place, names in enumerate(topics) if names]
    times_ms = times_ms[known]
    names, parts = _parts([topics[place] for place in known])
    drift = _drift(times_ms, names, parts, false_alarms=false_alarms, seed=seed)
    long_term = _faded(times_ms, parts, horizons.long_days)
    short_term = _faded(times_ms, parts, horizons.short_days)
    shown = np.argsort(-np.maximum(long_term, short_term), kind="stable")[:MAX_TOPICS]
    bucket_ms, buckets = _buckets(times_ms, parts[:, shown])
    return Interest(
        tuple(names[place] for place in shown), long_term[shown], short_term[shown], bucket_ms, buckets, drift
    )


def _parts(topics: Sequence[Topics]) -> tuple[list[str], FloatArray]:
    """The names of all topics, and (L, C) how much of each event went to each."""
    names = sorted({name for each in topics for name in each})
    column = {name: place for place, name in enumerate(names)}
    parts = np.zeros((len(topics), len(names)))
    for place, each in enumerate(topics):
        for name in each:
            parts[place, column[name]] = 1 / len(each)
    return names, parts


def _faded(times_ms: IntArray, parts: FloatArray, half_life_days: float) -> FloatArray:
    """(C,) shares where an event counts half after each half-life."""
    if not len(parts):
        return np.zeros(parts.shape[1])
    weights = np.exp2((times_ms - times_ms[-1]) / (half_life_days * DAY_MS))
    faded: FloatArray = weights @ parts / weights.sum()
    return faded


def _buckets(times_ms: IntArray, parts: FloatArray) -> tuple[int, tuple[InterestBucket, ...]]:
    """Stretches of time of one length, so long that there are at most `MAX_BUCKETS`; empty ones are left out."""
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
        return InterestShift(None, threshold, f"{few} too few to tell")
    if shift.score <= threshold:
        return InterestShift(shift.score, threshold, "no move beyond what chance brings")
    first = int(np.searchsorted(visit, shift.visit))
    origin, target = _moved(names, shift.before - shift.since), _moved(names, shift.since - shift.before)
    inside = parts[first:, [names.index(name) for name in target]].sum(axis=1) > 0
    num_since, num_target = len(inside), int(inside.sum())
    since_ms = int(times_ms[first])
    day = _day(since_ms, int(times_ms[-1]))
    said = (
        f"from {' and '.join(origin)} to {' and '.join(target)} since {day}; "
        f"{num_target} of the last {num_since} events"
    )
    return InterestShift(
        shift.score, threshold, said, since_ms, _distance(shift), origin, target, num_since, num_target
    )


def _moved(names: Sequence[str], gains: FloatArray) -> Topics:
    """The topics that gained most: one, or two where the second gained nearly as much."""
    first, second = (*np.argsort(-gains, kind="stable")[:2].tolist(), None)[:2]
    if second is None or gains[second] < ALSO * gains[first]:
        return (names[first],)
    return (names[first], names[second])


def _distance(shift: Shift) -> float:
    """The total variation: which share of the events would have to be about something else."""
    return float(np.abs(shift.since - shift.before).sum() / 2)


def _day(time_ms: int, last_ms: int) -> str:
    """A date for people; the year where it is not that of the newest event."""
    day, last = (datetime.fromtimestamp(each / 1000, UTC) for each in (time_ms, last_ms))
    return f"{day.day} {day:%B}" if day.year == last.year else f"{day.day} {day:%B %Y}"
