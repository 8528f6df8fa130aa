"""The detectors over one stream: ADWIN reports what river's public class reports."""

from __future__ import annotations

import math

import numpy as np
from river.drift import ADWIN

from stream.drift.detectors import Detectors, Sensitivity

ADWIN_ALONE = Sensitivity(threshold=math.inf, delta=0.01)


def test_adwin_reports_the_changes_that_the_class_of_river_reports() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(np.repeat([0.0, 1.5, -1.0, 0.0], 150)).tolist()
    reference = ADWIN(delta=0.01, clock=1, min_window_length=5, grace_period=10)
    expected = []
    for value in values:
        reference.update(value)
        expected.append(reference.drift_detected)
    detectors = Detectors(ADWIN_ALONE)
    assert [detectors.update(value) for value in values] == expected
    assert sum(expected) >= 3
