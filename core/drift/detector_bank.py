"""The watcher: closed buckets in, in order; points of all signals and alarms out. A pure function of the buckets.

So a monitor that crashed reads the closed buckets again and stands where it stood. Which numbers are a change is for
detectors to say, which somebody else provides. Independent of stores, clocks or libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from core.clock import DAY_MS, HOUR_MS
from core.drift.causes import Recent
from core.drift.lag import GROWTH
from core.drift.records import NUM_GAPS, Alarm, Bucket, BucketCounts, Point, ScoreTally
from core.drift.signals import COUNT_BLOCK, SCORE_BLOCK, SEGMENT_BLOCK, LevelSignal, MixSignal, Reading, Signal, Sums
from core.drift.topics import NO_TOPIC, NUM_TOPICS

MAX_READINGS = 2_000  # of each signal, since the last change: where the onset is looked for
ADMITTED_AFTER = 3 * SEGMENT_BLOCK  # users scored in a segment, before it is watched


class Detector(Protocol):
    """Sees one number after the other; about 0 with a deviation of about 1 while nothing changes."""

    def update(self, value: float) -> bool:
        """Whether, by all numbers so far, their mean has changed."""
        ...


Detectors = Callable[[bool], Detector]  # whether it is one of many, and has to be surer; a fresh one


@dataclass(frozen=True, slots=True)
class Findings:
    """What a bucket brought."""

    points: list[Point] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)


@dataclass
class _Watched:
    """One signal under watch. `worse`: which direction is one to tell: 1 up, -1 down, 0 both."""

    name: str
    segment: str
    signal: Signal
    detector: Detector
    worse: int
    of_model: bool
    readings: list[Reading] = field(default_factory=list)


class DetectorBank:
    """Watches all signals."""

    def __init__(
        self,
        detectors: Detectors,
        *,
        warmup_ms: int = 7 * DAY_MS,
        max_segments: int = 20,
        topic_name: Callable[[int], str] = str,
    ) -> None:
        """`topic_name`: what a topic's code stands for, for people."""
        self._detectors = detectors
        self._warmup_ms = warmup_ms
        self._max_segments = max_segments
        self._recent = Recent(topic_name)
        self._version: str | None = None
        self._pending: dict[str, int] = {}  # scores of segments that are not watched
        self._segments: set[str] = set()
        self._watched = [
            self._watch("hit_rate", _hits, worse=-1, of_model=True),
            self._watch("loss", _loss, worse=1, of_model=True),
            self._watch_mix("categories", NUM_TOPICS + 1, _known_topics),
            # A young shop has had no long pauses yet: their share grows by itself, and has to be learned at once.
            self._watch_mix("gaps", NUM_GAPS, lambda counts: counts.gaps, lag=0.0),
            self._watch("new_users", lambda bucket: _share(bucket, bucket.counts.num_new_users), worse=1),
            self._watch("new_items", lambda bucket: _share(bucket, bucket.counts.num_new_items), worse=1),
        ]

    def read(self, bucket: Bucket) -> Findings:
        """Take the next bucket in."""
        if bucket.version is not None and bucket.version != self._version:
            self._begin_version(bucket.version)
        self._recent.add(bucket)
        self._admit(bucket.segments)
        findings = Findings()
        for watched in self._watched:
            reading = watched.signal.feed(bucket)
            if reading is not None:
                findings.points.append(_point(watched, reading))
                findings.alarms.extend(self._judge(watched, reading))
        return findings

    def _begin_version(self, version: str) -> None:
        """Another model serves: what is known of the level of its scores is worth nothing any more."""
        self._version = version
        for watched in self._watched:
            if watched.of_model:
                self._settle(watched)

    def _admit(self, segments: Mapping[str, ScoreTally]) -> None:
        """Watch a segment from when it has had enough scores; the first ones who have, up to the limit."""
        if len(self._segments) >= self._max_segments:
            return
        for name in sorted(segments.keys() - self._segments):
            if name in self._pending or len(self._pending) < 50 * self._max_segments:
                self._pending[name] = self._pending.get(name, 0) + segments[name].num
            if self._pending.get(name, 0) >= ADMITTED_AFTER and len(self._segments) < self._max_segments:
                self._segments.add(name)
                self._watched.append(self._watch("hit_rate", _Of(name, _hits_of), name, worse=-1, of_model=True))
                self._watched.append(self._watch("loss", _Of(name, _loss_of), name, worse=1, of_model=True))

    def _judge(self, watched: _Watched, reading: Reading) -> list[Alarm]:
        if reading.surprise is None:
            return []
        watched.readings.append(reading)
        del watched.readings[:-MAX_READINGS]
        if not watched.detector.update(reading.surprise):
            return []
        before, since = _parted(watched.readings)
        change = _mean(since) - _mean(before)
        alarms = [] if change * watched.worse < 0 else [self._alarm(watched, before, since)]
        for each in self._covered(watched) if alarms else [watched]:
            self._settle(each)
        return alarms

    def _covered(self, alarmed: _Watched) -> list[_Watched]:
        """What an alarm speaks for: a model that got worse need not be told again by its loss, nor by each segment."""
        if not alarmed.of_model:
            return [alarmed]
        return [each for each in self._watched if each.of_model and alarmed.segment in ("", each.segment)]

    def _settle(self, watched: _Watched) -> None:
        watched.signal.settle()
        watched.detector = self._detectors(bool(watched.segment))
        watched.readings = []

    def _alarm(self, watched: _Watched, before: Sequence[Reading], since: Sequence[Reading]) -> Alarm:
        detected_ms, onset_ms = since[-1].end_ms, since[0].start_ms
        return Alarm(
            f"{watched.name}/{watched.segment}/{detected_ms}",
            watched.name,
            watched.segment,
            detected_ms,
            onset_ms,
            _mean(before),
            _mean(since),
            self._recent.cause(watched.name, onset_ms=onset_ms),
            self._version,
        )

    def _watch(
        self,
        name: str,
        sums_of: Callable[[Bucket], Sums],
        segment: str = "",
        *,
        worse: int = 0,
        of_model: bool = False,
    ) -> _Watched:
        of_all = (SCORE_BLOCK, 0) if of_model else (COUNT_BLOCK, HOUR_MS)
        size, span_ms = (SEGMENT_BLOCK, HOUR_MS) if segment else of_all
        signal = LevelSignal(sums_of, block=size, span_ms=span_ms, warmup_ms=self._warmup_ms)
        return _Watched(name, segment, signal, self._detectors(bool(segment)), worse, of_model)

    def _watch_mix(
        self, name: str, num_kinds: int, counts_of: Callable[..., dict[int, int]], *, lag: float = GROWTH
    ) -> _Watched:
        signal = MixSignal(num_kinds, counts_of, warmup_ms=self._warmup_ms, lag=lag)
        return _Watched(name, "", signal, self._detectors(False), 1, False)


@dataclass(frozen=True, slots=True)
class _Of:
    """The sums of one segment."""

    segment: str
    sums_of: Callable[[ScoreTally], Sums]

    def __call__(self, bucket: Bucket) -> Sums:
        return self.sums_of(bucket.segments.get(self.segment, ScoreTally()))


def _known_topics(counts: BucketCounts) -> dict[int, int]:
    """Events by topic, without those of items that have none: once they are given one, nobody's interest has moved."""
    return {code: num for code, num in counts.topics.items() if code != NO_TOPIC}


def _hits_of(tally: ScoreTally) -> Sums:
    return Sums(tally.num, tally.hits)


def _loss_of(tally: ScoreTally) -> Sums:
    return Sums(tally.num, tally.loss)


def _hits(bucket: Bucket) -> Sums:
    return _hits_of(bucket.tally)


def _loss(bucket: Bucket) -> Sums:
    return _loss_of(bucket.tally)


def _share(bucket: Bucket, num: int) -> Sums:
    return Sums(bucket.counts.num_events, num)


def _point(watched: _Watched, reading: Reading) -> Point:
    return Point(watched.name, watched.segment, *reading[:5])


def _parted(readings: Sequence[Reading]) -> tuple[Sequence[Reading], Sequence[Reading]]:
    """The readings before and since the likeliest moment of the change: where the two sides differ most."""
    surprises = np.array([reading.surprise for reading in readings])
    sums, ranks = np.cumsum(surprises)[:-1], np.arange(1, len(readings))
    if not len(ranks):
        return readings, readings
    differences = (sums - ranks * surprises.mean()) ** 2 / (ranks * (len(readings) - ranks))
    cut = 1 + int(differences.argmax())
    return readings[:cut], readings[cut:]


def _mean(readings: Sequence[Reading]) -> float:
    num = sum(reading.num for reading in readings)
    return sum(reading.num * reading.value for reading in readings) / num
