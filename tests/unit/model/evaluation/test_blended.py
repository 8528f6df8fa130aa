"""The blend as a scorer: it counts live, weighs the network by its value, and never looks ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.arrays import FloatArray
from core.blending.blend import COUNTS_BLEND
from core.blending.calibration import LEAST_ENCODER
from core.clock import DAY_MS
from core.errors import InvalidInput
from core.evaluation.scorers import LiveScorer, Past, TrainingPart
from core.events.history import EMPTY_HISTORY, History
from core.records.stored import EventColumns
from model.evaluation.blended import BlendScorer
from model.evaluation.models import available, spec_of

NUM_ITEMS = 30
T0 = 1_300_000_000_000


class Oracle:
    """Ranks the item `step` places after the last one first; counts its fits."""

    def __init__(self, step: int) -> None:
        self._step = step
        self.num_fits = 0

    def fit(self, part: TrainingPart) -> None:
        self.num_fits += 1

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        scores_BN = np.zeros((len(pasts), NUM_ITEMS), np.float32)
        for row, past in enumerate(pasts):
            if len(past.history):
                scores_BN[row, (past.history.items[-1] + self._step) % NUM_ITEMS] = 5
        return scores_BN


def walks(num_users: int = 200, *, length: int = 6, step: int = 1) -> TrainingPart:
    """Users who go `step` items on, or one time in three anywhere; the newest quarter of them validates."""
    random, shape = np.random.default_rng(0), (num_users, length)
    steps_UL = np.where(random.random(shape) < 1 / 3, random.integers(0, NUM_ITEMS, shape), step)
    items = steps_UL.cumsum(axis=1).ravel() % NUM_ITEMS
    users = np.repeat(np.arange(num_users), length)
    place = np.tile(np.arange(length), num_users)
    columns = EventColumns(users, items, T0 + users * DAY_MS + place * 1000)
    held = users >= num_users * 3 // 4
    return TrainingPart(columns, np.flatnonzero(~held), np.flatnonzero(held & (place > 0)), NUM_ITEMS)


def after(*items: int) -> Past:
    return Past(-1, History(np.array(items, np.int64), T0 + np.arange(len(items))))


def best(scorer: BlendScorer, past: Past) -> int:
    return int(scorer.scores([past])[0].argmax())


def test_counts_alone_predict_what_followed_the_last_item() -> None:
    scorer = BlendScorer(None, hides_seen=True)
    scorer.fit(walks())
    assert isinstance(scorer, LiveScorer)
    assert best(scorer, after(3, 4)) == 5
    assert scorer.blend.encoder == 0


def test_an_applied_event_counts_in_the_next_scores() -> None:
    scorer = BlendScorer(None, hides_seen=True)
    scorer.fit(walks())
    before = scorer.scores([after(3)])[0]
    for user in range(1000, 1005):
        scorer.apply(user, 3, T0 + 400 * DAY_MS)
        scorer.apply(user, 20, T0 + 400 * DAY_MS + 1)
    later = scorer.scores([after(3)])[0]
    assert later[20] - before[20] > later[4] - before[4]


def test_a_network_that_predicts_gets_weight_and_a_useless_one_little() -> None:
    good, useless = BlendScorer(Oracle(7), hides_seen=True), BlendScorer(Oracle(11), hides_seen=True)
    part = walks(step=7)
    good.fit(part)
    useless.fit(part)
    assert good.blend.encoder > 0.3
    assert useless.blend.encoder < 0.1


class Untaught(Oracle):
    """Has not been trained on item 29, and scores it 0."""

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        scores_BN = super().scores(pasts)
        scores_BN[:, 29] = 0
        return scores_BN


class AwareOfIt(Untaught):
    """Tells that its scores come from training: without it, all items score 0."""

    def scores_and_unseen(self, pasts: Sequence[Past]) -> tuple[FloatArray, FloatArray]:
        return self.scores(pasts), np.zeros((len(pasts), NUM_ITEMS), np.float32)


def test_an_item_newer_than_the_training_gains_what_training_would_add() -> None:
    """Users go from an item to the next, and item 29 is in no training event."""
    part = walks()
    part = replace(part, train=part.train[part.columns.items[part.train] != 29])
    leads = []
    for network in (Untaught(1), AwareOfIt(1)):
        scorer = BlendScorer(network, hides_seen=True)
        scorer.fit(part)
        for user in range(1000, 1010):
            scorer.apply(user, 28, T0 + 400 * DAY_MS)
            scorer.apply(user, 29, T0 + 400 * DAY_MS + 1)
        assert (scorer.blend.untrained is not None) == isinstance(network, AwareOfIt)
        scores = scorer.scores([after(28)])[0]
        leads.append(scores[29] - scores[:28].max())
    assert leads[1] > leads[0]


def test_a_second_fit_on_the_same_part_resets_the_counts_alone() -> None:
    network = Oracle(1)
    scorer, part = BlendScorer(network, hides_seen=True), walks()
    scorer.fit(part)
    first = scorer.scores([after(3)])
    scorer.apply(1000, 3, T0 + 400 * DAY_MS)
    scorer.fit(part)
    assert network.num_fits == 1
    assert np.array_equal(scorer.scores([after(3)]), first)


def test_few_validation_events_leave_a_default_almost_without_a_network() -> None:
    scorer = BlendScorer(Oracle(1), hides_seen=True)
    scorer.fit(walks(num_users=8, length=3))
    assert scorer.blend == replace(COUNTS_BLEND, encoder=LEAST_ENCODER)


def test_an_empty_history_is_ranked_by_the_item_part() -> None:
    scorer = BlendScorer(Oracle(1), hides_seen=True)
    scorer.fit(walks())
    assert np.isfinite(scorer.scores([Past(-1, EMPTY_HISTORY)])).all()


def test_a_blend_is_named_after_its_network() -> None:
    assert {"counts", "blend"} <= set(available())
    assert spec_of("blend:sasrec-text").name == "blend:sasrec-text"
    assert spec_of("blend").trained
    with pytest.raises(InvalidInput, match="wanted a network to blend"):
        spec_of("blend:popularity")
