"""Which numbers are a change: river's detectors, with thresholds read off the trade-off curve in docs/drift.md.

Page-Hinkley notices a jump soonest, ADWIN also a slow slide. Knows neither Kafka nor Faust, nor what the numbers mean:
they are about 0 with a deviation of about 1 while nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from river.drift import ADWIN, PageHinkley


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How sure a detector has to be. A higher threshold and a smaller delta: fewer false alarms, later true ones.

    `slack`: deviations that Page-Hinkley forgives each number; smaller changes are left to ADWIN.
    """

    threshold: float = 10.0
    slack: float = 0.5
    delta: float = 0.002


DEFAULT = Sensitivity()
ONE_OF_MANY = Sensitivity(threshold=14.0, delta=0.0002)  # there are dozens of segments, and each may be wrong


class Detectors:
    """Both detectors over one stream of numbers."""

    def __init__(self, sensitivity: Sensitivity = DEFAULT) -> None:
        self._jump: Any = PageHinkley(
            min_instances=3, delta=sensitivity.slack, threshold=sensitivity.threshold, alpha=1.0
        )
        make_adwin: Any = ADWIN  # compiled without types
        self._slide = make_adwin(delta=sensitivity.delta, clock=1, min_window_length=5, grace_period=10)

    def update(self, value: float) -> bool:
        """Whether either of them sees a change."""
        self._jump.update(value)
        self._slide.update(value)
        return bool(self._jump.drift_detected or self._slide.drift_detected)


def detectors(one_of_many: bool) -> Detectors:
    """Fresh detectors of the default sensitivity."""
    return Detectors(ONE_OF_MANY if one_of_many else DEFAULT)
