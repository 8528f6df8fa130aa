"""The detector bank: reads closed buckets in order, emits points of all signals, alarms and their ends.

A pure function of the buckets, so that a monitor that crashed replays them and reaches the same state. Detectors are
injected. Independent of stores, clocks and detector libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

import numpy as np

from core.clock import DAY_MS, HOUR_MS
from core.drift.causes import Recent
from core.drift.changes import SignalChange
from core.drift.effects import SmallestEffects
from core.drift.expectations import LevelExpectation, MixExpectation
from core.drift.gaps import GapSignal
from core.drift.monitored_signal import Detectors, MonitoredSignal, SignalKind, SignalSpec
from core.drift.signals import BlockShape, Reading, Signal, Sums
from core.drift.silence import Silence, SilenceDetector
from core.records.drift import ANSWER_SIGNALS, PER_MILLE, Alarm, Bucket, Point, ScoreTally
from core.records.statuses import AlarmEnding
from core.topics import NO_TOPIC, NUM_TOPICS

BLOCKS: dict[SignalKind, tuple[int, int]] = {  # observations and time of a block
    "scores": (25, 0),
    "segment": (10, HOUR_MS),
    "counts": (200, HOUR_MS),  # the standard error of a share of 10% is then 2%
}
OF_ANSWERS = {  # numbers of answers, their sums, the unit of these, and the direction that raises alarms
    "fallback": ("num_answers", "num_fallbacks", 1.0, 1),
    "popularity_bias": ("num_answers", "popularity", 1 / PER_MILLE, 1),
    "novelty": ("num_novel", "novelty", 1 / PER_MILLE, -1),
    "diversity": ("num_diverse", "diversity", 1 / PER_MILLE, -1),
    "coverage": ("num_grouped", "coverage", 1 / PER_MILLE, -1),
}
OF_SCORES: Mapping[str, tuple[str, str, int]] = {  # the number of users, the sum, and the direction that raises alarms
    "hit_rate": ("num", "hits", -1),
    "loss": ("num", "loss", 1),
    "confidence": ("num_confident", "confidence", -1),
}
OF_SEGMENTS = ("hit_rate", "loss")
LEVELS_OF_MODELS = ("loss", "confidence")  # that another model has, too, but at another level
MIN_SEGMENT_SCORES = 30  # before a segment is monitored
NEW_NORMAL_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Findings:
    """The points of a bucket, the alarms it raises, and those that are over."""

    points: list[Point] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    ended: list[Alarm] = field(default_factory=list)


class _Version(NamedTuple):
    """The model that serves, and since when scores are its."""

    name: str
    since_ms: int


class DetectorBank:
    """Monitors all signals."""

    def __init__(
        self,
        detectors: Detectors,
        *,
        smallest: SmallestEffects | None = None,
        warmup_ms: int = 7 * DAY_MS,
        new_normal_ms: int = NEW_NORMAL_MS,
        max_segments: int = 20,
        topic_name: Callable[[int], str] = str,
    ) -> None:
        """`new_normal_ms`: how long a change lasts until it is expected. `topic_name`: of a code, for explanations."""
        self._detectors = detectors
        self._smallest = smallest or SmallestEffects()
        self._warmup_ms, self._new_normal_ms = warmup_ms, new_normal_ms
        self._max_segments = max_segments
        size, span_ms = BLOCKS["counts"]
        count_blocks: BlockShape = {"block": size, "span_ms": span_ms, "warmup_ms": warmup_ms}
        self._recent = Recent(topic_name)
        self._silences = SilenceDetector(warmup_ms=warmup_ms)
        self._version: _Version | None = None
        self._pending: dict[str, int] = {}  # scores of segments that are not monitored yet
        self._segments: dict[str, list[MonitoredSignal]] = {}
        self._signals = [
            *(self._scores(name) for name in OF_SCORES),
            self._mix("categories", Signal(_topics, MixExpectation(NUM_TOPICS + 1), **count_blocks)),
            self._mix("gaps", GapSignal(self._silences, **count_blocks)),
            self._of_counts("new_users", "num_events", "num_new_users", 1.0, worse=1),
            self._of_counts("new_items", "num_events", "num_new_items", 1.0, worse=1),
            *(self._of_counts(name, *of_answers) for name, of_answers in OF_ANSWERS.items()),
        ]

    def read(self, bucket: Bucket) -> Findings:
        """Read the next bucket."""
        findings = Findings()
        if bucket.version is not None and (self._version is None or bucket.version != self._version.name):
            self._begin_version(bucket.version, bucket.start_ms, findings)
        silence = self._silences.read(bucket)
        if silence is not None and silence.hours >= self._smallest.silence:
            findings.alarms.append(_silence_alarm(silence, self._version))
        self._recent.add(bucket)
        self._admit(bucket.segments)
        own = (each for name in bucket.segments for each in self._segments.get(name, ()))
        for monitored in (*self._signals, *own):
            fed = monitored.feed(bucket)
            if fed is None:
                continue
            reading, ended = fed
            findings.points.append(_point(monitored.spec, reading))
            findings.ended.extend(ended)
            change = monitored.change(reading)
            if change is not None:
                self._judge(monitored, change, findings)
        return findings

    def _begin_version(self, version: str, start_ms: int, findings: Findings) -> None:
        """Another model serves: its scores have a level of their own; its hits are expected to be as many as before."""
        is_first = self._version is None
        self._version = _Version(version, start_ms)
        if is_first:
            return
        for monitored in self._all():
            if monitored.spec.name in LEVELS_OF_MODELS:
                findings.ended.extend(monitored.close_all(start_ms, AlarmEnding.NEW_MODEL))
                monitored.settle(start_ms)

    def _admit(self, segments: Mapping[str, ScoreTally]) -> None:
        """Monitor a segment once it has enough scores; at most `max_segments`, first come first served."""
        if len(self._segments) >= self._max_segments:
            return
        for name in sorted(segments.keys() - self._segments):
            if name in self._pending or len(self._pending) < 50 * self._max_segments:
                self._pending[name] = self._pending.get(name, 0) + segments[name].num
            if self._pending.get(name, 0) >= MIN_SEGMENT_SCORES and len(self._segments) < self._max_segments:
                self._segments[name] = [self._scores(signal, name) for signal in OF_SEGMENTS]

    def _all(self) -> list[MonitoredSignal]:
        return [*self._signals, *(each for signals in self._segments.values() for each in signals)]

    def _judge(self, monitored: MonitoredSignal, change: SignalChange, findings: Findings) -> None:
        """Raise an alarm, unless a change is for the better or back to normal."""
        returned = monitored.returns(change)
        findings.ended.extend(returned)
        if returned:
            return
        if not monitored.is_worse(change):
            monitored.settle(change.onset_ms)
            return
        alarm = self._alarm(monitored.spec, change)
        findings.alarms.append(alarm)
        for covered in self._covered(monitored):
            covered.settle(change.onset_ms, alarm if covered is monitored else None)

    def _covered(self, alarmed: MonitoredSignal) -> list[MonitoredSignal]:
        """The signals that an alarm covers: one of the overall scores those of segments, one of answers the others."""
        if alarmed.spec.name in ANSWER_SIGNALS:
            return [each for each in self._signals if each.spec.name in ANSWER_SIGNALS]
        if not alarmed.spec.of_model:
            return [alarmed]
        of_model = (each for each in self._all() if each.spec.of_model)
        return [each for each in of_model if alarmed.spec.segment in ("", each.spec.segment)]

    def _alarm(self, spec: SignalSpec, change: SignalChange) -> Alarm:
        low, high = change.interval(low=spec.low, high=spec.high)
        promoted = (
            self._version if self._version and abs(change.onset_ms - self._version.since_ms) <= DAY_MS / 4 else None
        )
        cause = self._recent.cause(spec.name, change)
        if (spec.of_model or spec.name in ANSWER_SIGNALS) and promoted is not None and promoted.since_ms > 0:
            cause = f"began when model {promoted.name} was promoted; {cause}"
        return Alarm(
            f"{spec.name}/{spec.segment}/{change.detected_ms}",
            spec.name,
            spec.segment,
            change.detected_ms,
            change.onset_ms,
            change.difference.before,
            change.difference.after,
            low,
            high,
            cause,
            self._version.name if self._version else None,
        )

    def _scores(self, name: str, segment: str = "") -> MonitoredSignal:
        """A signal of a model's scores."""
        num, total, worse = OF_SCORES[name]
        kind: SignalKind = "segment" if segment else "scores"
        spec = SignalSpec(
            name,
            kind,
            worse=worse,
            smallest=self._smallest.of(name),
            segment=segment,
            high=inf if name == "loss" else 1.0,
            slow=name == "hit_rate" and not segment,
        )
        return self._level(spec, _TallySums(segment, num, total))

    def _of_counts(self, name: str, num: str, total: str, unit: float, worse: int) -> MonitoredSignal:
        """A signal that is a mean over events or answers: `num`, `total` name their counts, the total is in `unit`."""
        high = inf if name == "novelty" else 1.0
        spec = SignalSpec(name, "counts", worse=worse, smallest=self._smallest.of(name), high=high)
        return self._level(spec, _CountSums(num, total, unit))

    def _level(self, spec: SignalSpec, sums_of: Callable[[Bucket], Sums | None]) -> MonitoredSignal:
        size, span_ms = BLOCKS[spec.kind]
        expectation = LevelExpectation(size, low=spec.low, high=spec.high)
        signal = Signal(sums_of, expectation, block=size, span_ms=span_ms, warmup_ms=self._warmup_ms)
        return MonitoredSignal(spec, signal, self._detectors, self._new_normal_ms)

    def _mix(self, name: str, signal: Signal) -> MonitoredSignal:
        """A signal of the shares of kinds of events."""
        spec = SignalSpec(name, "counts", worse=1, smallest=self._smallest.of(name))
        return MonitoredSignal(spec, signal, self._detectors, self._new_normal_ms)


@dataclass(frozen=True, slots=True)
class _TallySums:
    """The sums of the scores of all events, or of a segment's."""

    segment: str
    num: str
    total: str

    def __call__(self, bucket: Bucket) -> Sums | None:
        tally = bucket.segments.get(self.segment) if self.segment else bucket.tally
        return Sums(getattr(tally, self.num), getattr(tally, self.total)) if tally is not None else None


@dataclass(frozen=True, slots=True)
class _CountSums:
    """The number of events or answers of a bucket, and the sum of what is counted of them, in units of `unit`."""

    num: str
    total: str
    unit: float

    def __call__(self, bucket: Bucket) -> Sums:
        return Sums(getattr(bucket.counts, self.num), getattr(bucket.counts, self.total) * self.unit)


def _topics(bucket: Bucket) -> Sums | None:
    """Events by topic, without items that have none: assigning them one later is no drift."""
    topics = bucket.counts.topics
    counts = np.zeros(NUM_TOPICS + 1)
    counts[list(topics)] = list(topics.values())
    counts[NO_TOPIC] = 0.0
    return Sums(float(topics.total() - topics[NO_TOPIC]), counts)


def _point(spec: SignalSpec, reading: Reading) -> Point:
    num, value, expected, *_ = reading.comparison
    return Point(spec.name, spec.segment, reading.start_ms, reading.end_ms, int(num), value, expected)


def _silence_alarm(silence: Silence, version: _Version | None) -> Alarm:
    """An alarm that is over already: it is known when events resume."""
    return Alarm(
        f"silence//{silence.end_ms}",
        "silence",
        "",
        silence.end_ms,
        silence.start_ms,
        silence.expected,
        0.0,
        0.0,
        0.0,
        "an outage, or events that were not delivered; says nothing about interests",
        version.name if version else None,
        over_ms=silence.end_ms,
        ending=AlarmEnding.RESUMED,
    )
