"""The detectors over one stream: charts for jumps of both sizes, and ADWIN as river's public class reports."""

from __future__ import annotations

import numpy as np
import pytest
from river.drift import ADWIN

from stream.drift.detectors import Detectors, Sensitivity, detectors

ADWIN_ALONE = Sensitivity(charts=(), delta=0.01)


def test_adwin_reports_the_changes_that_the_class_of_river_reports() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(np.repeat([0.0, 1.5, -1.0, 0.0], 150)).tolist()
    reference = ADWIN(delta=0.01, clock=1, min_window_length=5, grace_period=10)
    expected = []
    for value in values:
        reference.update(value)
        expected.append(reference.drift_detected)
    adwin = Detectors(ADWIN_ALONE)
    assert [adwin.update(value) for value in values] == expected
    assert sum(expected) >= 3


@pytest.mark.parametrize(("size", "within"), [(-3.0, 3), (1.2, 25)])
def test_a_jump_of_scores_is_reported_sooner_the_larger_it_is(size: float, within: int) -> None:
    chart = detectors("scores")
    assert not any(chart.update(0.0) for _ in range(50))
    assert any(chart.update(size) for _ in range(within))


def test_two_hours_of_a_burst_are_no_change_of_counts() -> None:
    chart = detectors("counts")
    assert not any(chart.update(value) for value in (*[0.0] * 50, 4.0, 4.0, *[0.0] * 50))


def test_a_report_ends_soon_after_the_jump_does() -> None:
    chart = detectors("scores")
    assert [chart.update(4.0) for _ in range(30)][-1]
    assert not [chart.update(-1.0) for _ in range(5)][-1]
