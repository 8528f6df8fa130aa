"""Change detectors: two-sided CUSUM and river's ADWIN, with thresholds from the trade-off curve in docs/drift.md.

CUSUM (Page-Hinkley with a known mean) detects a jump earliest; ADWIN also detects a slow change. Independent of Kafka
and of what the values mean: without a change their mean is about 0 and their standard deviation about 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from river._river_rust.drift import AdaptiveWindowing  # river.drift also imports scikit-learn and scipy: 1.5 s of CPU


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
        self._delta = sensitivity.delta
        self._adwin = self._new_adwin()

    def _new_adwin(self) -> Any:
        """An empty window of river's ADWIN; compiled without types."""
        return AdaptiveWindowing(delta=self._delta, clock=1, max_buckets=5, min_window_length=5, grace_period=10)

    def update(self, value: float) -> bool:
        """Add a value; returns whether a detector reports a change."""
        self._up = max(0.0, self._up + value - self._slack)
        self._down = max(0.0, self._down - value - self._slack)
        has_changed = bool(self._adwin.update(value))
        if has_changed:
            self._adwin = self._new_adwin()
        return max(self._up, self._down) > self._threshold or has_changed


def detectors(one_of_many: bool) -> Detectors:
    """New detectors with the default thresholds, stricter for one of many segments."""
    return Detectors(DEFAULT.stricter() if one_of_many else DEFAULT)
