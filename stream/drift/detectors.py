"""Change detectors: CUSUM charts and river's ADWIN, with thresholds from the trade-off curve in docs/drift.md.

A CUSUM chart detects soonest a jump of twice its slack, so one with a small and one with a large slack run together
(Lucas, 1982). ADWIN detects slow changes. Independent of Kafka and of what the
values mean: without a change their mean is about 0 and their standard deviation about 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from river._river_rust.drift import AdaptiveWindowing  # river.drift also imports scikit-learn and scipy: 1.5 s of CPU

from core.drift.monitored_signal import SignalKind


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Thresholds. Higher ones and a smaller `delta` give fewer false alarms and later detections.

    `charts`: slack and threshold of each, in standard deviations. `delta`: of ADWIN.
    """

    charts: Sequence[tuple[float, float]] = ((0.5, 14.0), (1.3, 4.0))
    delta: float = 1e-5

    def scaled(self, factor: float) -> Sensitivity:
        """The charts with thresholds times a factor."""
        return Sensitivity([(slack, threshold * factor) for slack, threshold in self.charts], self.delta)


OUTLIER = 4.0  # one block counts as no more standard deviations

SENSITIVITY: dict[SignalKind, Sensitivity] = {
    "scores": Sensitivity(),
    "segment": Sensitivity(((0.5, 17.0), (1.5, 4.7)), delta=1e-7),  # there are dozens, whose false alarms add up
    "counts": Sensitivity(((0.5, 11.0),)),  # no chart for large jumps: bursts of one user are large and short
}


class Detectors:
    """CUSUM charts and ADWIN over one stream of values."""

    def __init__(self, sensitivity: Sensitivity) -> None:
        self._charts = [_Chart(slack, threshold) for slack, threshold in sensitivity.charts]
        self._delta = sensitivity.delta
        self._adwin = self._new_adwin()

    def _new_adwin(self) -> Any:
        """An empty window of river's ADWIN; compiled without types."""
        return AdaptiveWindowing(delta=self._delta, clock=1, max_buckets=5, min_window_length=5, grace_period=10)

    def update(self, value: float) -> bool:
        """Add a value; returns whether a detector reports a change."""
        value = min(max(value, -OUTLIER), OUTLIER)
        has_jumped = max([chart.update(value) for chart in self._charts], default=False)
        has_changed = bool(self._adwin.update(value))
        if has_changed:
            self._adwin = self._new_adwin()
        return has_jumped or has_changed


class _Chart:
    """A two-sided CUSUM; at the threshold a sum grows no further, so that it falls as soon as the change ends."""

    def __init__(self, slack: float, threshold: float) -> None:
        self._slack, self._threshold = slack, threshold
        self._up = self._down = 0.0

    def update(self, value: float) -> bool:
        self._up = min(self._threshold, max(0.0, self._up + value - self._slack))
        self._down = min(self._threshold, max(0.0, self._down - value - self._slack))
        return max(self._up, self._down) >= self._threshold


def detectors(kind: SignalKind, *, factor: float = 1.0) -> Detectors:
    """New detectors with the default thresholds of a kind of signal, times a factor."""
    return Detectors(SENSITIVITY[kind].scaled(factor))
