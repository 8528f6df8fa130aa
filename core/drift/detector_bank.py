"""The detector bank: reads closed buckets in order, emits points of all signals and alarms.

A pure function of the buckets, so that a monitor that crashed replays them and reaches the same state. Detectors are
injected. Independent of stores, clocks and detector libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from core.clock import DAY_MS, HOUR_MS
from core.drift.causes import Recent
from core.drift.lag import GROWTH
from core.drift.signals import COUNT_BLOCK, SCORE_BLOCK, SEGMENT_BLOCK, LevelSignal, MixSignal, Reading, Signal, Sums
from core.drift_records import NUM_GAPS, Alarm, Bucket, BucketCounts, Point, ScoreTally
from core.topics import NO_TOPIC, NUM_TOPICS

MAX_READINGS = 2_000  # per signal since its last alarm: the onset is searched in them
MIN_SEGMENT_SCORES = 3 * SEGMENT_BLOCK  # before a segment is monitored


class Detector(Protocol):
    """A change detector on a stream of z-scores: mean 0 and deviation 1 while nothing changes."""

    def update(self, value: float) -> bool:
        """Add a number; True if the mean has changed."""
        ...


Detectors = Callable[[bool], Detector]  # makes a detector; True: one of many, with a stricter threshold


@dataclass(frozen=True, slots=True)
class Findings:
    """The points and alarms of a bucket."""

    points: list[Point] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)


@dataclass
class _MonitoredSignal:
    """A signal with its detector. `worse`: the direction that raises alarms: 1 up, -1 down, 0 both."""

    name: str
    segment: str
    signal: Signal
    detector: Detector
    worse: int
    of_model: bool
    readings: list[Reading] = field(default_factory=list)


class DetectorBank:
    """Monitors all signals."""

    def __init__(
        self,
        detectors: Detectors,
        *,
        warmup_ms: int = 7 * DAY_MS,
        max_segments: int = 20,
        topic_name: Callable[[int], str] = str,
    ) -> None:
        """`topic_name`: the name of a topic code, for explanations."""
        self._detectors = detectors
        self._warmup_ms = warmup_ms
        self._max_segments = max_segments
        self._recent = Recent(topic_name)
        self._version: str | None = None
        self._pending: dict[str, int] = {}  # scores of segments that are not monitored yet
        self._segments: set[str] = set()
        self._signals = [
            self._level_signal("hit_rate", _hits, worse=-1, of_model=True),
            self._level_signal("loss", _loss, worse=1, of_model=True),
            self._mix_signal("categories", NUM_TOPICS + 1, _known_topics),
            # In a new installation the share of long gaps grows by itself and has to be learned without a lag.
            self._mix_signal("gaps", NUM_GAPS, lambda counts: counts.gaps, lag=0.0),
            self._level_signal("new_users", lambda bucket: _share(bucket, bucket.counts.num_new_users), worse=1),
            self._level_signal("new_items", lambda bucket: _share(bucket, bucket.counts.num_new_items), worse=1),
        ]

    def read(self, bucket: Bucket) -> Findings:
        """Read the next bucket."""
        if bucket.version is not None and bucket.version != self._version:
            self._begin_version(bucket.version)
        self._recent.add(bucket)
        self._admit(bucket.segments)
        findings = Findings()
        for monitored in self._signals:
            reading = monitored.signal.feed(bucket)
            if reading is not None:
                findings.points.append(_point(monitored, reading))
                findings.alarms.extend(self._judge(monitored, reading))
        return findings

    def _begin_version(self, version: str) -> None:
        """Another model serves: relearn the levels of the model's signals."""
        self._version = version
        for monitored in self._signals:
            if monitored.of_model:
                self._settle(monitored)

    def _admit(self, segments: Mapping[str, ScoreTally]) -> None:
        """Monitor a segment once it has enough scores; at most `max_segments`, first come first served."""
        if len(self._segments) >= self._max_segments:
            return
        for name in sorted(segments.keys() - self._segments):
            if name in self._pending or len(self._pending) < 50 * self._max_segments:
                self._pending[name] = self._pending.get(name, 0) + segments[name].num
            if self._pending.get(name, 0) >= MIN_SEGMENT_SCORES and len(self._segments) < self._max_segments:
                self._segments.add(name)
                self._signals.append(
                    self._level_signal("hit_rate", _SegmentSums(name, _hits_of), name, worse=-1, of_model=True)
                )
                self._signals.append(
                    self._level_signal("loss", _SegmentSums(name, _loss_of), name, worse=1, of_model=True)
                )

    def _judge(self, monitored: _MonitoredSignal, reading: Reading) -> list[Alarm]:
        if reading.surprise is None:
            return []
        monitored.readings.append(reading)
        del monitored.readings[:-MAX_READINGS]
        if not monitored.detector.update(reading.surprise):
            return []
        before, since = _split_at_onset(monitored.readings)
        change = _mean(since) - _mean(before)
        alarms = [] if change * monitored.worse < 0 else [self._alarm(monitored, before, since)]
        for covered in self._covered(monitored) if alarms else [monitored]:
            self._settle(covered)
        return alarms

    def _covered(self, alarmed: _MonitoredSignal) -> list[_MonitoredSignal]:
        """The signals that an alarm covers: an alarm on the model's overall scores covers those of its segments."""
        if not alarmed.of_model:
            return [alarmed]
        return [s for s in self._signals if s.of_model and alarmed.segment in ("", s.segment)]

    def _settle(self, monitored: _MonitoredSignal) -> None:
        monitored.signal.settle()
        monitored.detector = self._detectors(bool(monitored.segment))
        monitored.readings = []

    def _alarm(self, monitored: _MonitoredSignal, before: Sequence[Reading], since: Sequence[Reading]) -> Alarm:
        detected_ms, onset_ms = since[-1].end_ms, since[0].start_ms
        return Alarm(
            f"{monitored.name}/{monitored.segment}/{detected_ms}",
            monitored.name,
            monitored.segment,
            detected_ms,
            onset_ms,
            _mean(before),
            _mean(since),
            self._recent.cause(monitored.name, onset_ms=onset_ms),
            self._version,
        )

    def _level_signal(
        self,
        name: str,
        sums_of: Callable[[Bucket], Sums],
        segment: str = "",
        *,
        worse: int = 0,
        of_model: bool = False,
    ) -> _MonitoredSignal:
        of_all = (SCORE_BLOCK, 0) if of_model else (COUNT_BLOCK, HOUR_MS)
        size, span_ms = (SEGMENT_BLOCK, HOUR_MS) if segment else of_all
        signal = LevelSignal(sums_of, block=size, span_ms=span_ms, warmup_ms=self._warmup_ms)
        return _MonitoredSignal(name, segment, signal, self._detectors(bool(segment)), worse, of_model)

    def _mix_signal(
        self, name: str, num_kinds: int, counts_of: Callable[..., dict[int, int]], *, lag: float = GROWTH
    ) -> _MonitoredSignal:
        signal = MixSignal(num_kinds, counts_of, warmup_ms=self._warmup_ms, lag=lag)
        return _MonitoredSignal(name, "", signal, self._detectors(False), 1, False)


@dataclass(frozen=True, slots=True)
class _SegmentSums:
    """The sums of a segment."""

    segment: str
    sums_of: Callable[[ScoreTally], Sums]

    def __call__(self, bucket: Bucket) -> Sums:
        return self.sums_of(bucket.segments.get(self.segment, ScoreTally()))


def _known_topics(counts: BucketCounts) -> dict[int, int]:
    """Events by topic, without items that have none: assigning them one later is no drift."""
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


def _point(monitored: _MonitoredSignal, reading: Reading) -> Point:
    return Point(monitored.name, monitored.segment, *reading[:5])


def _split_at_onset(readings: Sequence[Reading]) -> tuple[Sequence[Reading], Sequence[Reading]]:
    """The readings before and since the most likely change point: where the two sides differ most."""
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
