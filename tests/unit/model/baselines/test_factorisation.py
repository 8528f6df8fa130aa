"""Specifications of river's factorisation as a baseline; skipped where the extra `drift` is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.evaluation.scorers import LiveScorer, Past, TrainingPart
from core.events.history import History
from core.records.stored import EventColumns
from model.baselines.factorisation import OnlineFactorisation

T0 = 1_300_000_000_000
NOTHING = History(np.empty(0, np.int64), np.empty(0, np.int64))

pytest.importorskip("river", reason="river is not installed: it comes with the extra `drift`")


@pytest.fixture
def part() -> TrainingPart:
    """Users 0-19 take items 0-4 again and again, users 20-39 items 5-9."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 30)
    items = rng.integers(0, 5, len(users)) + 5 * (users >= 20)
    times_ms = T0 + rng.permutation(len(users))
    order = np.lexsort((times_ms, users))
    columns = EventColumns(users[order], items[order], times_ms[order])
    return TrainingPart(columns, np.arange(len(users)), np.empty(0, np.int64), 10)


def factorisation() -> OnlineFactorisation:
    return OnlineFactorisation(num_factors=8, learning_rate=0.1, num_negatives=3, seed=0)


def test_a_user_is_given_what_others_like_them_took(part: TrainingPart) -> None:
    scorer = factorisation()
    scorer.fit(part)
    scores = scorer.scores([Past(3, NOTHING), Past(33, NOTHING)])
    assert scores[0, :5].mean() > scores[0, 5:].mean() + 0.1
    assert scores[1, 5:].mean() > scores[1, :5].mean() + 0.1


def test_it_predicts_what_river_predicts_but_for_what_all_items_share(
    part: TrainingPart, monkeypatch: pytest.MonkeyPatch
) -> None:
    from river import reco

    models: list[reco.BiasedMF] = []

    class RecordedMF(reco.BiasedMF):  # type: ignore[misc]  # river's classes carry no types
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            models.append(self)

    monkeypatch.setattr(reco, "BiasedMF", RecordedMF)
    scorer = factorisation()
    scorer.fit(part)
    (model,) = models
    predicted = np.array([model.predict_one(user=3, item=item) for item in range(10)])
    shared = model.global_mean.get() + model.u_biases[3]
    assert scorer.scores([Past(3, NOTHING)])[0] == pytest.approx(predicted - shared, abs=1e-5)


def test_it_learns_from_each_event_and_forgets_when_fitted_anew(part: TrainingPart) -> None:
    scorer = factorisation()
    assert isinstance(scorer, LiveScorer)
    scorer.fit(part)
    before = scorer.scores([Past(3, NOTHING)])
    for _ in range(60):
        scorer.apply(3, 7, T0)
    assert scorer.scores([Past(3, NOTHING)])[0, 7] > before[0, 7] + 0.1
    scorer.fit(part)
    assert np.array_equal(scorer.scores([Past(3, NOTHING)]), before)


def test_a_stranger_is_given_what_many_take(part: TrainingPart) -> None:
    scorer = factorisation()
    scorer.fit(part)
    for user in range(100, 160):
        scorer.apply(user, 2, T0)
    assert np.argmax(scorer.scores([Past(999, NOTHING)])[0]) == 2
