"""The likely cause of a change, in words: what else moved at its onset. Independent of how it was noticed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import pi, sqrt

from core.clock import HOUR_MS
from core.drift.records import BUCKET_MS, GAP_EDGES_S, Bucket, BucketCounts, ScoreTally
from core.drift.topics import NO_TOPIC

KEPT_HOURS = 28 * 24
MOVED = 0.08  # a mix whose share of other topics rose by that much, beyond chance, explains a model's trouble
CHOICE_EVENTS = 5.0  # events of one visit go together: so many say as much as one choice
RISEN = 1.5  # so does a share of new users or items that rose by that factor
MIN_SCORES = 30


@dataclass
class _Hour:
    """The buckets of one hour together."""

    start_ms: int
    counts: BucketCounts = field(default_factory=BucketCounts)
    topics: dict[int, ScoreTally] = field(default_factory=dict)


class Recent:
    """The last weeks, hour by hour."""

    def __init__(self, topic_name: Callable[[int], str]) -> None:
        self._topic_name = topic_name
        self._hours: deque[_Hour] = deque(maxlen=KEPT_HOURS)

    def add(self, bucket: Bucket) -> None:
        """Take a bucket in."""
        start_ms = bucket.start_ms // HOUR_MS * HOUR_MS
        if not self._hours or self._hours[-1].start_ms != start_ms:
            self._hours.append(_Hour(start_ms))
        hour = self._hours[-1]
        hour.counts.add(bucket.counts)
        for code, tally in bucket.topics.items():
            hour.topics[code] = hour.topics.get(code, ScoreTally()) + tally

    def cause(self, signal: str, *, onset_ms: int) -> str:
        """What moved at that moment."""
        onset_ms = onset_ms // HOUR_MS * HOUR_MS
        since_for_ms = self._hours[-1].start_ms + BUCKET_MS - onset_ms
        day_ms = 24 * HOUR_MS
        from_ms = onset_ms - max(7 * day_ms, -(-since_for_ms // day_ms) * day_ms)
        before = _joined(hour for hour in self._hours if from_ms <= hour.start_ms < onset_ms)
        since = _joined(hour for hour in self._hours if hour.start_ms >= onset_ms)
        if not before.counts.num_events:
            return "a slow change: what came before it is too long ago to compare"
        if signal == "gaps":
            return _gaps(before.counts, since.counts)
        if signal == "categories":
            return self._mix(before, since)[1]
        if signal in ("new_users", "new_items"):
            return _newcomers(before.counts, since.counts, least=1.0) or "fewer newcomers than before"
        return self._model(before, since)

    def _model(self, before: _Hour, since: _Hour) -> str:
        """Why a model's scores changed."""
        moved, said = self._mix(before, since)
        if moved >= MOVED + _by_chance(before.counts.topics, since.counts.topics):
            return said
        newcomers = _newcomers(before.counts, since.counts, least=RISEN)
        if newcomers:
            return newcomers
        where = self._worst(before, since)
        return where or "the same categories and users; people choose differently within them"

    def _mix(self, before: _Hour, since: _Hour) -> tuple[float, str]:
        """By how much the mix of topics moved, and from where to where."""
        old, new = _shares(before.counts.topics), _shares(since.counts.topics)
        gains = {code: new.get(code, 0.0) - old.get(code, 0.0) for code in {*old, *new} - {NO_TOPIC}}
        if not gains:
            return 0.0, "items without categories"
        ranked = sorted(gains, key=lambda code: (gains[code], code))
        loser, gainer = ranked[0], ranked[-1]
        said = f"events moved from {self._told(loser, old, new)} to {self._told(gainer, old, new)}"
        return sum(abs(gain) for gain in gains.values()) / 2, said

    def _told(self, code: int, old: dict[int, float], new: dict[int, float]) -> str:
        return f"{self._topic_name(code)} ({old.get(code, 0.0):.0%} to {new.get(code, 0.0):.0%})"

    def _worst(self, before: _Hour, since: _Hour) -> str:
        """The topic that lost most hits, where one stands for more than half of the loss."""
        lost = {
            code: tally.num * (before.topics[code].hits / before.topics[code].num - tally.hits / tally.num)
            for code, tally in since.topics.items()
            if tally.num >= MIN_SCORES and before.topics.get(code, ScoreTally()).num >= MIN_SCORES
        }
        if not lost or max(lost.values()) <= sum(value for value in lost.values() if value > 0) / 2:
            return ""
        code = max(lost, key=lambda each: (lost[each], each))
        rates = (each.topics[code].hits / each.topics[code].num for each in (before, since))
        return f"mostly in {self._topic_name(code)}: hits from {next(rates):.0%} to {next(rates):.0%}"


def _joined(hours: Iterable[_Hour]) -> _Hour:
    joined = _Hour(0)
    for hour in hours:
        joined.counts.add(hour.counts)
        for code, tally in hour.topics.items():
            joined.topics[code] = joined.topics.get(code, ScoreTally()) + tally
    return joined


def _shares(counts: Counter[int]) -> dict[int, float]:
    total = counts.total() or 1
    return {code: num / total for code, num in counts.items()}


def _by_chance(before: Counter[int], since: Counter[int]) -> float:
    """How far two mixes are apart on average that differ by chance alone."""
    choices = sum(CHOICE_EVENTS / max(counts.total(), 1) for counts in (before, since))
    shares = _shares(before + since).values()
    return sum(sqrt(share * (1 - share) * choices * 2 / pi) for share in shares) / 2


def _newcomers(before: BucketCounts, since: BucketCounts, *, least: float) -> str:
    """That new items or users came, where their share rose at least by a factor."""
    for what, old, new in (
        ("items known for less than a week", before.num_new_items, since.num_new_items),
        ("users who were never here", before.num_new_users, since.num_new_users),
    ):
        was, is_now = old / max(before.num_events, 1), new / max(since.num_events, 1)
        if new >= MIN_SCORES and is_now > least * was:
            return f"more events of {what}: {was:.1%} to {is_now:.1%}"
    return ""


def _gaps(before: BucketCounts, since: BucketCounts) -> str:
    """Which pauses became more common."""
    old, new = _shares(before.gaps), _shares(since.gaps)
    bin_ = max(range(len(GAP_EDGES_S) + 1), key=lambda each: new.get(each, 0.0) - old.get(each, 0.0))
    edges = ("0 s", *(_duration(edge) for edge in GAP_EDGES_S), "ever")
    change = f"{old.get(bin_, 0.0):.0%} to {new.get(bin_, 0.0):.0%}"
    return f"more pauses of {edges[bin_]} to {edges[bin_ + 1]}: {change}"


def _duration(seconds: int) -> str:
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name}"
    return f"{seconds} s"
