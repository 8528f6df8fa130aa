"""Streams of closed buckets with changes of known time, size and kind, as `core.drift.detector_bank` reads them.

Users come in visits, mostly about one category; a visit is a burst of events seconds apart. Evenings and weekends are
busier, and in the kind "rhythm" other categories, other pauses and other hit rates belong to them. Hits and losses are
drawn from what the model of the simulated shop really scored (a test compares), with some users easier than others. How
confident the model is does not depend on what users then choose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import starmap
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.clock import DAY_MS, HOUR_MS
from core.records.drift import BUCKET_MS, GAP_EDGES_S, Bucket, BucketCounts, ScoreTally
from tidewise.demo.simulator import HOUR_WEIGHTS, WEEKDAY_WEIGHTS

Kind = Literal[
    "none", "rhythm", "sudden", "gradual", "segment", "interests", "outage", "burst", "sale", "slow", "promotions"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
UNCHANGED: tuple[Kind, ...] = ("none", "rhythm", "outage", "burst")  # nothing about interests changes
WITH_RHYTHM: tuple[Kind, ...] = ("rhythm", "outage", "burst", "sale", "slow", "promotions")
MONDAY_MS = 1_699_833_600_000
# Deciles of the cross-entropy of events that the shop's model had among its first ten, and of those that it had not.
LOSS_OF_HITS = (1.26, 1.95, 2.31, 2.5, 2.69, 2.87, 3.07, 3.25, 3.4, 3.52, 4.07)
LOSS_OF_MISSES = (3.41, 3.93, 4.26, 4.8, 5.37, 6.5, 7.6, 8.72, 9.42, 10.7, 13.22)
HIT_RATE = 0.40
SD_OF_USERS = 0.10  # of their own hit rates
CONFIDENCE, SD_OF_CONFIDENCE = 0.5, 0.2  # of the model, by event
GRADUAL_MS, SLOW_MS = 3 * DAY_MS, 28 * DAY_MS
OUTAGE_MS = 2 * DAY_MS
SALE_MS, SALE_VISITS = DAY_MS, 4.0
BURST_EVENTS, BURSTS = 2_000, (16, 20, 24)  # by one user, on these days
PROMOTION_MS = DAY_MS // 2
NUM_CATEGORIES = 12
VISIT_EVENTS = 5.0
SCORED = 0.7  # the share of events that can be scored: not the first of a user, not an item seen before
MEDIAN_GAP_S = 35.0
_MOST_KINDS = 16  # of categories and of gaps

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One stream. `hit_rate`: before the change. `change_day`: after the first; the change itself is by kind:

    sudden, gradual (in three days) and slow (in four weeks) halve the hit rate, as does promotions, where a model is
    promoted twice a day; segment quarters it in the largest of twelve categories, that of an eighth of all events;
    interests moves a fifth of all visits from one category to another, sale does so for a day of four times as many
    visits. In an outage there are no events for two days; in bursts one user has thousands of events within an hour.
    """

    kind: Kind
    seed: int
    num_users: int = 3_000
    events_per_day: float = 5_000
    days: int = 30
    change_day: int = 14
    hit_rate: float = HIT_RATE

    @property
    def change_ms(self) -> int | None:
        """When it changes; None for kinds that do not."""
        return None if self.kind in UNCHANGED else self.moment_ms

    @property
    def moment_ms(self) -> int:
        """When something happens, if it does."""
        return MONDAY_MS + self.change_day * DAY_MS + 11 * HOUR_MS

    @property
    def moves_visits(self) -> tuple[int, int] | None:
        """From when to when a fifth of all visits are to another category."""
        until_ms = {"interests": 2**62, "sale": self.moment_ms + SALE_MS}.get(self.kind)
        return None if until_ms is None else (self.moment_ms, until_ms)


@dataclass(frozen=True, slots=True)
class SyntheticEvents:
    """Events in columns, by time."""

    users: IntArray
    times_ms: IntArray
    topics: IntArray
    gaps_s: FloatArray
    is_first: NDArray[np.bool_]  # of their users
    hits: NDArray[np.bool_]
    losses: FloatArray
    scored: NDArray[np.bool_]
    confidences: FloatArray


_COLUMNS = tuple(field.name for field in fields(SyntheticEvents))


def stream(plan: StreamPlan) -> Iterator[Bucket]:
    """The closed buckets of a stream."""
    events = draw_events(plan)
    starts, bucket = np.unique(events.times_ms // BUCKET_MS * BUCKET_MS, return_inverse=True)
    nums = np.bincount(bucket).tolist()
    newcomers = np.bincount(bucket, events.is_first).astype(int).tolist()
    topics = _counters(bucket, events.topics, len(starts))
    gaps = _counters(bucket, np.searchsorted(GAP_EDGES_S, events.gaps_s, side="right"), len(starts))
    tallies = _tallies(bucket, events, events.scored, len(starts))
    by_topic = [
        _tallies(bucket, events, events.scored & (events.topics == topic), len(starts))
        for topic in range(1, NUM_CATEGORIES + 1)
    ]
    for number, start_ms in enumerate(starts.tolist()):
        counts = BucketCounts(nums[number], newcomers[number], 0, topics[number], gaps[number])
        own = {topic: some[number] for topic, some in enumerate(by_topic, start=1) if some[number].num}
        segments = {f"category={topic}": tally for topic, tally in own.items()}
        version = f"model-{start_ms // PROMOTION_MS}" if plan.kind == "promotions" else "model"
        yield Bucket(start_ms, counts, version, tallies[number], own, segments)


def draw_events(plan: StreamPlan) -> SyntheticEvents:
    """All events of a stream."""
    rng = np.random.default_rng((KINDS.index(plan.kind), plan.seed))
    starts_ms = _visit_starts(rng, plan)
    activity = rng.gamma(1.0, 1.0, plan.num_users)
    visitors = rng.choice(plan.num_users, len(starts_ms), p=activity / activity.sum())
    topics = _topics(rng, plan, starts_ms, visitors)
    lengths = rng.geometric(1 / VISIT_EVENTS, len(starts_ms))
    visit = np.repeat(np.arange(len(starts_ms)), lengths)
    slower = _tilt(plan, starts_ms)[visit] * 0.5
    gaps_s = rng.lognormal(np.log(MEDIAN_GAP_S), 0.9, len(visit)) * np.exp(slower)
    first = np.diff(visit, prepend=-1) > 0
    elapsed = np.cumsum(np.where(first, 0.0, gaps_s))
    times_ms = starts_ms[visit] + ((elapsed - elapsed[np.flatnonzero(first)][visit]) * 1000).astype(np.int64)
    gaps_s[first] = rng.exponential(4 * 86_400, first.sum())
    newcomers = gaps_s > 20 * DAY_MS / 1000
    if plan.kind == "outage":
        gaps_s[first] = _gaps_around(rng, plan, times_ms[first], gaps_s[first])
    order = np.argsort(times_ms, kind="stable")
    users, topic = visitors[visit][order], topics[visit][order]
    hits, losses = draw_scores(rng, _hit_rates(rng, plan, times_ms[order], users, topic))
    scored = rng.random(len(visit)) < SCORED
    usual = CONFIDENCE + rng.normal(0, SD_OF_USERS, plan.num_users)[users] + 0.1 * _tilt(plan, times_ms[order])
    confidences = np.clip(rng.normal(usual, SD_OF_CONFIDENCE), 0, 1)
    events = SyntheticEvents(
        users, times_ms[order], topic, gaps_s[order], newcomers[order], hits, losses, scored, confidences
    )
    return _with_bursts(rng, events) if plan.kind == "burst" else events


def draw_scores(rng: np.random.Generator, rates: FloatArray) -> tuple[NDArray[np.bool_], FloatArray]:
    """Whether each event is a hit, and its loss."""
    hits = rng.random(len(rates)) < rates
    quantiles, deciles = rng.random(len(rates)), np.linspace(0, 1, 11)
    losses = np.where(hits, np.interp(quantiles, deciles, LOSS_OF_HITS), np.interp(quantiles, deciles, LOSS_OF_MISSES))
    return hits, losses


def _visit_starts(rng: np.random.Generator, plan: StreamPlan) -> IntArray:
    hours = np.arange(plan.days * 24)
    weights = np.asarray(HOUR_WEIGHTS, float)[hours % 24] * np.asarray(WEEKDAY_WEIGHTS)[hours // 24 % 7]
    per_hour = plan.events_per_day / VISIT_EVENTS * weights / weights.mean() / 24
    if plan.kind == "sale":
        since_ms = MONDAY_MS + hours * HOUR_MS - plan.moment_ms
        per_hour = per_hour * np.where((since_ms >= 0) & (since_ms < SALE_MS), SALE_VISITS, 1.0)
    drawn = np.repeat(hours, rng.poisson(per_hour))
    starts_ms = np.sort(MONDAY_MS + drawn * HOUR_MS + rng.integers(0, HOUR_MS, len(drawn)))
    since_ms = starts_ms - plan.moment_ms
    return starts_ms if plan.kind != "outage" else starts_ms[(since_ms < 0) | (since_ms >= OUTAGE_MS)]


def _gaps_around(rng: np.random.Generator, plan: StreamPlan, times_ms: IntArray, gaps_s: FloatArray) -> FloatArray:
    """The gaps before visits, where those that begin in the outage begin before it."""
    since_s = (times_ms - plan.moment_ms) / 1000
    in_outage = (since_s > gaps_s) & (since_s - gaps_s < OUTAGE_MS / 1000) & (since_s > 0)
    return np.where(in_outage, since_s + rng.exponential(4 * 86_400, len(gaps_s)), gaps_s)


def _with_bursts(rng: np.random.Generator, events: SyntheticEvents) -> SyntheticEvents:
    """The events and those of one busy user: half an hour of a category, an event each second."""
    times_ms = np.concatenate(
        [MONDAY_MS + day * DAY_MS + 10 * HOUR_MS + np.arange(BURST_EVENTS) * 900 for day in BURSTS]
    )
    num = len(times_ms)
    hits, losses = draw_scores(rng, np.full(num, 0.05))
    no, topics = np.zeros(num, np.bool_), np.full(num, NUM_CATEGORIES)
    users, confidences = np.zeros(num, np.int64), np.full(num, CONFIDENCE)
    burst = SyntheticEvents(users, times_ms, topics, np.full(num, 0.9), no, hits, losses, ~no, confidences)
    order = np.argsort(np.concatenate([events.times_ms, times_ms]), kind="stable")
    columns = (np.concatenate([getattr(part, name) for part in (events, burst)])[order] for name in _COLUMNS)
    return SyntheticEvents(*columns)


def _tilt(plan: StreamPlan, times_ms: IntArray) -> FloatArray:
    """-1 in the morning to 1 in the evening, higher at weekends; 0 without a rhythm."""
    if plan.kind not in WITH_RHYTHM:
        return np.zeros(len(times_ms))
    hour, day = times_ms // HOUR_MS % 24, (times_ms // DAY_MS + 3) % 7
    return np.asarray(np.sin((hour - 14) / 24 * 2 * np.pi) + 0.5 * (day >= 5))


def _topics(rng: np.random.Generator, plan: StreamPlan, starts_ms: IntArray, visitors: IntArray) -> IntArray:
    """The category of each visit: the user's own, more often than another; the first gets an eighth of all."""
    weights = np.linspace(2.0, 0.5, NUM_CATEGORIES)
    own = rng.choice(NUM_CATEGORIES, plan.num_users, p=weights / weights.sum())
    drawn = rng.choice(NUM_CATEGORIES, len(visitors), p=weights / weights.sum())
    topics = np.where(rng.random(len(visitors)) < 0.5, own[visitors], drawn)
    evening = rng.random(len(visitors)) < 0.3 * np.clip(_tilt(plan, starts_ms), 0, 1)
    topics = np.where(evening, NUM_CATEGORIES - 1, topics)
    if plan.moves_visits is not None:
        from_ms, to_ms = plan.moves_visits
        moved = (starts_ms >= from_ms) & (starts_ms < to_ms) & (rng.random(len(visitors)) < 0.2)
        topics = np.where(moved, NUM_CATEGORIES - 2, topics)
    return np.asarray(topics + 1, np.int64)


def _hit_rates(
    rng: np.random.Generator, plan: StreamPlan, times_ms: IntArray, users: IntArray, topics: IntArray
) -> FloatArray:
    easier = rng.normal(0, SD_OF_USERS, plan.num_users)[users] * plan.hit_rate / HIT_RATE
    rates = np.clip((plan.hit_rate + easier) * (1 + 0.2 * _tilt(plan, times_ms)), 0.005, 0.95)
    if plan.change_ms is None or plan.moves_visits is not None:
        return rates
    length_ms = {"gradual": GRADUAL_MS, "slow": SLOW_MS}.get(plan.kind, 1)
    since = np.clip((times_ms - plan.change_ms) / length_ms, 0, 1)
    lost = 0.75 * (topics == 1) if plan.kind == "segment" else 0.5
    return np.asarray(rates * (1 - since * lost))


def _counters(bucket: IntArray, kinds: IntArray, num_buckets: int) -> list[Counter[int]]:
    """For each bucket how many events of each kind it has."""
    table = np.bincount(bucket * _MOST_KINDS + kinds, minlength=num_buckets * _MOST_KINDS).reshape(num_buckets, -1)
    return [Counter({kind: num for kind, num in enumerate(row) if num}) for row in table.tolist()]


def _tallies(
    bucket: IntArray, events: SyntheticEvents, chosen: NDArray[np.bool_], num_buckets: int
) -> list[ScoreTally]:
    """For each bucket the tally of its chosen events: one observation per user."""
    most_users = int(events.users.max()) + 1
    pairs, pair = np.unique(bucket[chosen] * most_users + events.users[chosen], return_inverse=True)
    num = np.bincount(pair)
    scores = (events.hits, events.losses, events.confidences)
    hits, losses, confidences = (np.bincount(pair, column[chosen]) / num for column in scores)
    of_bucket = pairs // most_users
    values = (None, hits, losses, losses**2, None, confidences)
    columns = (np.bincount(of_bucket, weights, num_buckets).tolist() for weights in values)
    return list(starmap(ScoreTally, zip(*columns, strict=True)))
