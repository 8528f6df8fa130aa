"""The records of drift monitoring: plain values, as stored. Independent of storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from core.drift.topics import NO_TOPIC

BUCKET_MS = 300_000  # counts for monitoring are kept per five minutes of event time
GAP_EDGES_S = (2, 5, 15, 60, 300, 1800, 7200, 43_200, 172_800, 604_800, 2_592_000)  # a bin below, between and above
NUM_GAPS = len(GAP_EDGES_S) + 1


@dataclass(slots=True)
class BucketCounts:
    """What happened in one stretch of event time.

    `topics`: events by topic code, `gaps`: by the bin of the time since the user's previous event (first events have
    none), `num_new_users`: first events of users, `num_new_items`: events of items that were new lately.
    """

    num_events: int = 0
    num_new_users: int = 0
    num_new_items: int = 0
    topics: Counter[int] = field(default_factory=Counter)
    gaps: Counter[int] = field(default_factory=Counter)

    def add(self, other: BucketCounts) -> None:
        """Add another writer's or another batch's counts of the same stretch."""
        self.num_events += other.num_events
        self.num_new_users += other.num_new_users
        self.num_new_items += other.num_new_items
        self.topics.update(other.topics)
        self.gaps.update(other.gaps)


class ItemFacts(NamedTuple):
    """What counting needs to know of an item: its topic's code, and when it was first heard of."""

    topic: int
    created_ms: int | None


class SampledEvent(NamedTuple):
    """An event chosen to be scored, in the transaction that stored it."""

    event_key: bytes
    user_key: int
    time_ms: int


class Score(NamedTuple):
    """How a model placed the item of a sampled event, under the state strictly before it.

    `rank`: of the item among all that might have been recommended, from 1. `loss`: the cross-entropy of that choice.
    `version`: None where there was nothing to score (no model, no history, an item that is not listed).
    `segments`: the watched segments that the event belongs to, as `category=Tea`.
    """

    event_key: bytes
    user_key: int
    time_ms: int
    version: str | None = None
    rank: int | None = None
    loss: float | None = None
    topic: int = NO_TOPIC
    segments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreTally:
    """Scores of one stretch of time, one observation per user, so that nobody's burst counts for many."""

    num: int = 0
    hits: float = 0.0
    loss: float = 0.0
    loss_squares: float = 0.0

    def __add__(self, other: ScoreTally) -> ScoreTally:
        return ScoreTally(
            self.num + other.num,
            self.hits + other.hits,
            self.loss + other.loss,
            self.loss_squares + other.loss_squares,
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """A closed stretch of time as the monitor has read it, for good: what comes later changes nothing.

    `version`: of the model whose scores these are, the newest one's. `segments`: tallies by segment; `topics`: by code.
    """

    start_ms: int
    counts: BucketCounts
    version: str | None = None
    tally: ScoreTally = ScoreTally()
    topics: Mapping[int, ScoreTally] = field(default_factory=dict)
    segments: Mapping[str, ScoreTally] = field(default_factory=dict)


class Point(NamedTuple):
    """One block of a signal, for charts: what it was and what was expected of that hour of that weekday."""

    signal: str
    segment: str  # "" for everybody
    start_ms: int
    end_ms: int
    num: int
    value: float
    expected: float | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A change that was noticed.

    `onset_ms`: when it probably began. `before`, `after`: the signal on both sides of the onset. `cause`: what else is
    known, in words. `sent_ms`: when the webhook took it; `num_attempts`: how often it was tried.
    """

    alarm_id: str
    signal: str
    segment: str
    detected_ms: int
    onset_ms: int
    before: float
    after: float
    cause: str
    model_version: str | None = None
    sent_ms: int | None = None
    num_attempts: int = 0
