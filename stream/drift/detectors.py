"""Which numbers are a change: thresholds read off the trade-off curve in docs/drift.md.

Two sums (CUSUM: what Page-Hinkley becomes where the normal mean is known) notice a jump soonest; river's ADWIN notices
a slow slide, too. Knows neither Kafka nor Faust, nor what the numbers mean: they are about 0 with a deviation of about
1 while nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from river.drift import ADWIN


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How sure a detector has to be. A higher threshold and a smaller delta: fewer false alarms, later true ones.

    `slack`: deviations that the sums forgive each number; smaller changes are left to ADWIN.
    """

    threshold: float = 11.0
    slack: float = 0.5
    delta: float = 1e-5

    def surer(self) -> Sensitivity:
        """For one of many: there are dozens of segments, and each may be wrong."""
        return Sensitivity(self.threshold + 4.0, self.slack, self.delta / 100)


DEFAULT = Sensitivity()


class Detectors:
    """Both detectors over one stream of numbers."""

    def __init__(self, sensitivity: Sensitivity = DEFAULT) -> None:
        self._threshold, self._slack = sensitivity.threshold, sensitivity.slack
        self._up = self._down = 0.0
        make_adwin: Any = ADWIN  # compiled without types
        self._slide = make_adwin(delta=sensitivity.delta, clock=1, min_window_length=5, grace_period=10)

    def update(self, value: float) -> bool:
        """Whether either of them sees a change."""
        self._up = max(0.0, self._up + value - self._slack)
        self._down = max(0.0, self._down - value - self._slack)
        self._slide.update(value)
        return max(self._up, self._down) > self._threshold or bool(self._slide.drift_detected)


def detectors(one_of_many: bool) -> Detectors:
    """Fresh detectors of the default sensitivity."""
    return Detectors(DEFAULT.surer() if one_of_many else DEFAULT)
