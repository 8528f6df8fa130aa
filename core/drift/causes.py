"""The likely cause of an alarm, in words: what else changed at its onset. Independent of detection."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import pi, sqrt

from core.clock import HOUR_MS
from core.drift.changes import SignalChange
from core.records.drift import ANSWER_SIGNALS, BUCKET_MS, GAP_EDGES_S, Bucket, BucketCounts, ScoreTally
from core.topics import NO_TOPIC

KEPT_HOURS = 28 * 24
MIX_SHIFT = 0.08  # a mix that moved by this share beyond chance explains a change of a model's scores
CHOICE_EVENTS = 5.0  # events of a visit are not independent: this many count as one observation
NEWCOMER_RISE = 1.5  # so does a share of new users or items that rose by this factor
MIN_SCORES = 30


@dataclass
class _Hour:
    """The buckets of one hour together."""

    start_ms: int
    counts: BucketCounts = field(default_factory=BucketCounts)
    topics: dict[int, ScoreTally] = field(default_factory=dict)


class Recent:
    """Hourly counts of the last weeks."""

    def __init__(self, topic_name: Callable[[int], str]) -> None:
        self._topic_name = topic_name
        self._hours: deque[_Hour] = deque(maxlen=KEPT_HOURS)

    def add(self, bucket: Bucket) -> None:
        """Add a bucket."""
        start_ms = bucket.start_ms // HOUR_MS * HOUR_MS
        if not self._hours or self._hours[-1].start_ms != start_ms:
            self._hours.append(_Hour(start_ms))
        hour = self._hours[-1]
        hour.counts.add(bucket.counts)
        for code, tally in bucket.topics.items():
            hour.topics[code] = hour.topics.get(code, ScoreTally()) + tally

    def cause(self, signal: str, change: SignalChange) -> str:
        """What else changed at the onset, compared with the same hours of the days before it."""
        if signal in ANSWER_SIGNALS:
            return _shown(signal, change)
        onset_ms = change.onset_ms // HOUR_MS * HOUR_MS
        since_for_ms = self._hours[-1].start_ms + BUCKET_MS - onset_ms
        day_ms = 24 * HOUR_MS
        from_ms = onset_ms - max(7 * day_ms, -(-since_for_ms // day_ms) * day_ms)
        hours = {hour.start_ms % day_ms for hour in self._hours if hour.start_ms >= onset_ms}
        before = _joined(
            hour for hour in self._hours if from_ms <= hour.start_ms < onset_ms and hour.start_ms % day_ms in hours
        )
        since = _joined(hour for hour in self._hours if hour.start_ms >= onset_ms)
        if not before.counts.num_events:
            return "a slow change: no counts before its onset are kept"
        if signal == "gaps":
            return _gaps(before.counts, since.counts)
        if signal == "categories":
            return self._mix(before, since)[1]
        if signal in ("new_users", "new_items"):
            return _newcomers(signal, change)
        if signal == "confidence":
            return self._mix(before, since)[1]
        return self._model(before, since, is_worse=change.rises == (signal == "loss"))

    def _model(self, before: _Hour, since: _Hour, *, is_worse: bool) -> str:
        """The cause of a change of a model's scores."""
        shift, explanation = self._mix(before, since)
        if shift >= MIX_SHIFT + _by_chance(before.counts.topics, since.counts.topics):
            return explanation
        if not is_worse:
            return "the same categories and users; users choose more of what the model ranks first"
        same = "the same categories and users; users choose differently within them"
        return _more_newcomers(before.counts, since.counts) or self._worst(before, since) or same

    def _mix(self, before: _Hour, since: _Hour) -> tuple[float, str]:
        """The total variation distance of the topic mix, and its largest loser and gainer in words."""
        old, new = _shares(before.counts.topics), _shares(since.counts.topics)
        gains = {code: new.get(code, 0.0) - old.get(code, 0.0) for code in {*old, *new} - {NO_TOPIC}}
        if not gains:
            return 0.0, "items without categories"
        ranked = sorted(gains, key=lambda code: (gains[code], code))
        loser, gainer = ranked[0], ranked[-1]
        explanation = (
            f"events moved from {self._topic_change(loser, old, new)} to {self._topic_change(gainer, old, new)}"
        )
        return sum(abs(gain) for gain in gains.values()) / 2, explanation

    def _topic_change(self, code: int, old: dict[int, float], new: dict[int, float]) -> str:
        return f"{self._topic_name(code)} ({old.get(code, 0.0):.0%} to {new.get(code, 0.0):.0%})"

    def _worst(self, before: _Hour, since: _Hour) -> str:
        """The topic that lost most hits, if it accounts for more than half of the loss."""
        lost = {
            code: tally.num * (before.topics[code].hits / before.topics[code].num - tally.hits / tally.num)
            for code, tally in since.topics.items()
            if tally.num >= MIN_SCORES and before.topics.get(code, ScoreTally()).num >= MIN_SCORES
        }
        if not lost or max(lost.values()) <= sum(value for value in lost.values() if value > 0) / 2:
            return ""
        code = max(lost, key=lambda topic: (lost[topic], topic))
        rates = (hour.topics[code].hits / hour.topics[code].num for hour in (before, since))
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
    """The expected distance of two samples of the same mix."""
    choices = sum(CHOICE_EVENTS / max(counts.total(), 1) for counts in (before, since))
    shares = _shares(before + since).values()
    return sum(sqrt(share * (1 - share) * choices * 2 / pi) for share in shares) / 2


def _newcomers(signal: str, change: SignalChange) -> str:
    """A change of the share of new users or items, in words."""
    events = "first events of users" if signal == "new_users" else "events of items less than a week old"
    more = "more" if change.rises else "fewer"
    before, after, _ = change.difference
    return f"{more} {events} than usual at these hours: {after:.1%} of all events instead of {before:.1%}"


def _shown(signal: str, change: SignalChange) -> str:
    """A change of what answers show, in words."""
    before, after, _ = change.difference
    if signal == "fallback":
        why = "no model serves, or users" if change.rises else "a model serves, or fewer users"
        shares = f"popularity answered {after:.1%} of the lists that a model is meant for instead of {before:.1%}"
        return f"{why} without a history ask: {shares}"
    if signal == "popularity_bias":
        items = "more popular items" if change.rises else "less popular items"
        return f"{items} are shown: ahead of {after:.1%} of the catalogue on average instead of {before:.1%}"
    if signal == "novelty":
        items = "rarer items" if change.rises else "better-known items"
        return f"{items} are shown: {after:.1f} bits each on average instead of {before:.1f}"
    if signal == "diversity":
        items = "items of different categories" if change.rises else "items of the same category"
        return f"lists hold more {items}: {after:.1%} of pairs differ instead of {before:.1%}"
    lists = "lists of different users differ more" if change.rises else "different users get the same items"
    return f"{lists}: {after:.1%} of the items of 20 lists are different ones instead of {before:.1%}"


def _more_newcomers(before: BucketCounts, since: BucketCounts) -> str:
    """A large rise of the share of new items or users, in words."""
    for label, old, new in (
        ("items less than a week old", before.num_new_items, since.num_new_items),
        ("new users", before.num_new_users, since.num_new_users),
    ):
        was, now = old / max(before.num_events, 1), new / max(since.num_events, 1)
        if new >= MIN_SCORES and now > NEWCOMER_RISE * was:
            return f"more events of {label}: {was:.1%} to {now:.1%}"
    return ""


def _gaps(before: BucketCounts, since: BucketCounts) -> str:
    """The gap between events that became more frequent, in words."""
    old, new = _shares(before.gaps), _shares(since.gaps)
    bin_ = max(range(len(GAP_EDGES_S) + 1), key=lambda gap: new.get(gap, 0.0) - old.get(gap, 0.0))
    edges = ("0 s", *(_duration(edge) for edge in GAP_EDGES_S), "ever")
    change = f"{old.get(bin_, 0.0):.0%} to {new.get(bin_, 0.0):.0%}"
    return f"more pauses of {edges[bin_]} to {edges[bin_ + 1]}: {change}"


def _duration(seconds: int) -> str:
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name}"
    return f"{seconds} s"
