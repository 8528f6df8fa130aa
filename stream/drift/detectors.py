"""Change detectors: two-sided CUSUM and river's ADWIN, with thresholds from the trade-off curve in docs/drift.md.

CUSUM (Page-Hinkley with a known mean) detects a jump earliest; ADWIN also detects a slow change. Independent of Kafka
and of what the values mean: without a change their mean is about 0 and their standard deviation about 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from river.drift import ADWIN


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Thresholds. A higher `threshold` and a smaller `delta` give fewer false alarms and later detections.

    `slack`: CUSUM's slack per value, in standard deviations; smaller changes are left to ADWIN.
    """

    threshold: float = 11.0
    slack: float = 0.5
    delta: float = 1e-5

    def stricter(self) -> Sensitivity:
        """Stricter thresholds for a segment: with dozens of segments, false alarms add up."""
        return Sensitivity(self.threshold + 4.0, self.slack, self.delta / 100)


DEFAULT = Sensitivity()


class Detectors:
    """CUSUM and ADWIN over one stream of values."""

    def __init__(self, sensitivity: Sensitivity = DEFAULT) -> None:
        self._threshold, self._slack = sensitivity.threshold, sensitivity.slack
        self._up = self._down = 0.0
        make_adwin: Any = ADWIN  # compiled without types
        self._adwin = make_adwin(delta=sensitivity.delta, clock=1, min_window_length=5, grace_period=10)

    def update(self, value: float) -> bool:
        """Add a value; returns whether a detector reports a change."""
        self._up = max(0.0, self._up + value - self._slack)
        self._down = max(0.0, self._down - value - self._slack)
        self._adwin.update(value)
        return max(self._up, self._down) > self._threshold or bool(self._adwin.drift_detected)


def detectors(one_of_many: bool) -> Detectors:
    """New detectors with the default thresholds, stricter for one of many segments."""
    return Detectors(DEFAULT.stricter() if one_of_many else DEFAULT)
