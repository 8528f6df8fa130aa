"""A signal with its detectors and lasting alarms. Independent of the other signals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from core.drift.blocks import Block
from core.drift.changes import SignalChange, SlowChangeDetector, largest_change
from core.drift.expectations import LevelExpectation
from core.drift.open_alarms import OpenAlarm
from core.drift.signals import Reading, Signal
from core.records.drift import Alarm, Bucket
from core.records.statuses import AlarmEnding

MIN_BLOCKS = 3  # of a change; blocks of counts are an hour each, so that a burst of one user is none
MAX_READINGS = 2_000  # since the last alarm: the onset is searched in them

SignalKind = Literal["scores", "segment", "counts"]


class Detector(Protocol):
    """A change detector on a stream of z-scores: mean 0 and deviation 1 while nothing changes."""

    def update(self, value: float) -> bool:
        """Add a number; True if the mean has changed."""
        ...


Detectors = Callable[[SignalKind], Detector]  # makes a detector for a kind of signal


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """What a signal is. `worse`: the direction that raises alarms: 1 up, -1 down. `low`, `high`: its range.

    `smallest`: the effect that alarms. `slow`: whether a slow change alarms, which the expected values follow.
    """

    name: str
    kind: SignalKind
    worse: int
    smallest: float
    segment: str = ""
    low: float = 0.0
    high: float = 1.0
    slow: bool = False

    @property
    def of_model(self) -> bool:
        """Whether it comes from a model's scores."""
        return self.kind != "counts"


@dataclass
class MonitoredSignal:
    """A signal, its detectors, and its alarms that last."""

    spec: SignalSpec
    signal: Signal
    detectors: Detectors
    new_normal_ms: int
    open_alarms: list[OpenAlarm] = field(default_factory=list)
    _readings: list[Reading] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._renew()

    def feed(self, bucket: Bucket) -> tuple[Reading, list[Alarm]] | None:
        """The reading of the block that a bucket completes, and the alarms that it ends."""
        block = self.signal.collect(bucket)
        if block is None:
            return None
        return self.signal.read(block), self._follow(block)

    def change(self, reading: Reading) -> SignalChange | None:
        """The change that a reading reveals, if it is large enough to matter; either direction."""
        if reading.surprise is None:
            return None
        self._readings.append(reading)
        del self._readings[:-MAX_READINGS]
        expectation = self.signal.expectation
        change = largest_change(self._readings, expectation) if self._detector.update(reading.surprise) else None
        slow = None
        if self.spec.slow:
            assert isinstance(expectation, LevelExpectation)
            slow = self._slow.read(reading, expectation)
        for candidate in (change, slow):
            if candidate and candidate.is_at_least(self.spec.smallest) and candidate.blocks >= MIN_BLOCKS:
                return candidate
        return None

    def is_worse(self, change: SignalChange) -> bool:
        """Whether a change is in the direction that raises alarms."""
        return change.rises == (self.spec.worse > 0)

    def settle(self, onset_ms: int, alarm: Alarm | None = None) -> None:
        """Make the state since a change the expectation, and follow its alarm, if it has one, until that is over."""
        before = self.signal.settle(onset_ms)
        if alarm is not None:
            self.open_alarms.append(OpenAlarm(alarm, before, self.spec.smallest, self.new_normal_ms))
        self._renew()

    def returns(self, change: SignalChange) -> list[Alarm]:
        """The lasting alarms that a change ends, because it leads back to before them."""
        return self._end([each for each in self.open_alarms if each.has_returned(change.onset_ms)], change.detected_ms)

    def close_all(self, over_ms: int, ending: AlarmEnding) -> list[Alarm]:
        """End all lasting alarms."""
        ended = [each.ended(over_ms, ending) for each in self.open_alarms]
        self.open_alarms.clear()
        return ended

    def _follow(self, block: Block) -> list[Alarm]:
        """Show the lasting alarms a block; returns those that it ends."""
        ended = [(each, alarm) for each in self.open_alarms if (alarm := each.read(block)) is not None]
        for each, alarm in ended:
            if alarm.ending == AlarmEnding.RECOVERED:
                self._return_to(each)
            elif each in self.open_alarms:
                self.open_alarms.remove(each)
        return [alarm for _, alarm in ended]

    def _end(self, returned: list[OpenAlarm], over_ms: int) -> list[Alarm]:
        for each in returned:
            self._return_to(each)
        return [each.ended(over_ms, AlarmEnding.RECOVERED) for each in returned]

    def _return_to(self, ended: OpenAlarm) -> None:
        """Expect again what was expected before an alarm."""
        if ended in self.open_alarms:
            self.open_alarms.remove(ended)
        self.signal.restore(ended.expectation)
        self._renew()

    def _renew(self) -> None:
        """New detectors, which know nothing of the time before."""
        self._detector = self.detectors(self.spec.kind)
        self._slow = SlowChangeDetector(self.spec.smallest)
        self._readings = []
