"""The records of drift monitoring: plain values, as stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from core.clock import DAY_MS
from core.topics import NO_TOPIC

BUCKET_MS = 300_000  # counts for monitoring are kept per five minutes of event time
GAP_EDGES_S = (
    2,
    5,
    15,
    60,
    300,
    1800,
    7200,
    43_200,
    172_800,
    604_800,
    2_592_000,
)  # one bin below, between and above the edges
GAP_EDGES_MS = tuple(edge * 1000 for edge in GAP_EDGES_S)
NUM_GAPS = len(GAP_EDGES_S) + 1
NEW_ITEM_MS = 7 * DAY_MS
ANSWER_SIGNALS = (
    "fallback",
    "popularity_bias",
    "novelty",
    "diversity",
    "coverage",
)  # of what is shown: another training is no remedy
PER_MILLE = 1000


@dataclass(slots=True)
class BucketCounts:
    """The counts of a bucket of event time.

    `topics`: events by topic code. `gaps`: by the bin of the time since the user's previous event (first events have
    none). `num_new_users`: first events of users. `num_new_items`: events of recently added items. `segments`: events
    by topic code in parts of all events, as `event.country=DE` (`core.drift.segments`). `num_answers`: lists that a
    model is meant for. `num_fallbacks`: those by popularity instead. `popularity`: the mean popularity percentile of
    each list's items in 1/1000, summed: whole numbers, whose sums don't depend on their order. `novelty`: the same in
    bits/1000 over `num_novel` lists; `diversity`: over `num_diverse`; `coverage`: over `num_grouped`
    (`core.outcomes.shown_counts`).
    """

    num_events: int = 0
    num_new_users: int = 0
    num_new_items: int = 0
    topics: Counter[int] = field(default_factory=Counter)
    gaps: Counter[int] = field(default_factory=Counter)
    segments: dict[str, Counter[int]] = field(default_factory=dict)
    num_answers: int = 0
    num_fallbacks: int = 0
    popularity: int = 0
    num_novel: int = 0
    novelty: int = 0
    num_diverse: int = 0
    diversity: int = 0
    num_grouped: int = 0
    coverage: int = 0

    def add(self, other: BucketCounts) -> None:
        """Add the counts of another writer or batch of the same bucket."""
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.topics.update(other.topics)
        self.gaps.update(other.gaps)
        for name, topics in other.segments.items():
            self.segments.setdefault(name, Counter()).update(topics)

    def subtract(self, other: BucketCounts) -> None:
        """Subtract counts of the same bucket; differences may be negative."""
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) - getattr(other, name))
        self.topics.subtract(other.topics)
        self.gaps.subtract(other.gaps)
        for name, topics in other.segments.items():
            self.segments.setdefault(name, Counter()).subtract(topics)

    def any(self) -> bool:
        """Whether any count is not 0."""
        numbers = (getattr(self, name) for name in NUMBERS)
        of_segments = (num for topics in self.segments.values() for num in topics.values())
        return any((*numbers, *self.topics.values(), *self.gaps.values(), *of_segments))

    def at_least_zero(self) -> BucketCounts:
        """The same without negative counts."""
        segments = {name: kept for name, topics in self.segments.items() if (kept := +topics)}
        numbers = {name: max(0, getattr(self, name)) for name in NUMBERS}
        return BucketCounts(topics=+self.topics, gaps=+self.gaps, segments=segments, **numbers)


NUMBERS = tuple(each.name for each in fields(BucketCounts) if each.type == "int")
OF_ANSWERS = NUMBERS[NUMBERS.index("num_answers") :]


class ItemFacts(NamedTuple):
    """An item's topic code, and when it was first seen."""

    topic: int
    created_ms: int | None


class SampledEvent(NamedTuple):
    """An event sampled for scoring, in the transaction that stored it."""

    event_key: bytes
    user_key: int
    time_ms: int


class Score(NamedTuple):
    """A model's score of a sampled event, with the state strictly before it.

    `rank`: of the item among all that could have been recommended, from 1. `loss`: the cross-entropy. `version`: None
    if the event could not be scored (no model, no history, an item that is not listed). `segments`: the monitored
    segments of the event, as `category=Tea`. `confidence`: the probability of the items that the model ranked first
    (`core.drift.scoring`); None in scores from before it was kept.
    """

    event_key: bytes
    user_key: int
    time_ms: int
    version: str | None = None
    rank: int | None = None
    loss: float | None = None
    topic: int = NO_TOPIC
    segments: tuple[str, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class ScoreTally:
    """The summed scores of a bucket, one observation per user; `confidence` is that of `num_confident` users."""

    num: int = 0
    hits: float = 0.0
    loss: float = 0.0
    loss_squares: float = 0.0
    num_confident: int = 0
    confidence: float = 0.0

    def __add__(self, other: ScoreTally) -> ScoreTally:
        return ScoreTally(
            self.num + other.num,
            self.hits + other.hits,
            self.loss + other.loss,
            self.loss_squares + other.loss_squares,
            self.num_confident + other.num_confident,
            self.confidence + other.confidence,
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """A closed bucket, immutable: later events do not change it.

    `version`: the newest model version, whose scores these are. `segments`: tallies by segment; `topics`: by code.
    """

    start_ms: int
    counts: BucketCounts
    version: str | None = None
    tally: ScoreTally = ScoreTally()
    topics: Mapping[int, ScoreTally] = field(default_factory=dict)
    segments: Mapping[str, ScoreTally] = field(default_factory=dict)


class Point(NamedTuple):
    """A block of a signal for charts: its value and the expected value of that hour of the week."""

    signal: str
    segment: str  # "" for all users
    start_ms: int
    end_ms: int
    num: int
    value: float
    expected: float | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A detected change.

    `onset_ms`: when it probably began. `before`: the value that was expected since the onset; `after`: the value seen,
    with its 95% interval from `low` to `high`. `cause`: the likely cause, in words. `over_ms`: when it ended, and
    `ending` how (`Ending`); None while it lasts. `sent_ms`: when the webhook accepted it; `num_attempts`: how often it
    was sent.
    """

    alarm_id: str
    signal: str
    segment: str
    detected_ms: int
    onset_ms: int
    before: float
    after: float
    low: float
    high: float
    cause: str
    model_version: str | None = None
    over_ms: int | None = None
    ending: str | None = None
    sent_ms: int | None = None
    num_attempts: int = 0
