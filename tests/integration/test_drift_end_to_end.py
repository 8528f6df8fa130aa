"""One stream through the whole system; and whether the scores drawn for long measurements are like a real model's."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drift.streams import draw_scores
from benchmarks.drift_end_to_end import EndToEndResult, ShopPlan, learn, run, summary

PLAN = ShopPlan("interests", 3, num_users=1_000, days=29, days_trained=12)
pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> EndToEndResult:
    folder = tmp_path_factory.mktemp("drift") / "data"
    learn(PLAN, folder)
    return run(PLAN, folder)


def distance(observed: np.ndarray, drawn: np.ndarray) -> float:
    """Of Kolmogorov and Smirnov: how far apart two distributions are where they are farthest apart."""
    points = np.sort(np.concatenate([observed, drawn]))
    shares = [np.searchsorted(np.sort(values), points, side="right") / len(values) for values in (observed, drawn)]
    return float(np.abs(shares[0] - shares[1]).max())


def test_the_monitor_process_detects_a_shift_and_names_its_cause(
    outcome: EndToEndResult,
) -> None:
    assert outcome.false_alarms == ()
    assert outcome.alarm is not None
    assert outcome.alarm.signal == "categories"
    assert PLAN.is_cause_of(outcome.alarm)
    assert outcome.delay is not None
    assert outcome.delay < 4_000
    assert summary([outcome])["cause_right"] == 1


def test_simulated_scores_resemble_those_of_a_real_model(outcome: EndToEndResult) -> None:
    hit_rate = outcome.hit_rate(changed=False)
    assert 0.25 < hit_rate < 0.45
    hits, losses = draw_scores(np.random.default_rng(1), np.full(50_000, hit_rate))
    assert hits.mean() == pytest.approx(hit_rate, abs=0.01)
    assert distance(outcome.losses(of_hits=True), losses[hits]) < 0.3
    assert distance(outcome.losses(of_hits=False), losses[~hits]) < 0.2
