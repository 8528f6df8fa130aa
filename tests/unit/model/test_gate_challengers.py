"""Challengers spoilt on purpose are spoilt in the way that their names say, and leave the champion as it was."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch

from benchmarks.learning.challengers import BLURS, ChallengeMoment, plainly_spoilt, subtly_spoilt
from core.catalogue.items import Catalogue
from core.events.history import History, WindowShape
from core.ports.encoder import ModelBundle
from core.records.stored import EventColumns
from model.bundle import HM4SRBundle
from model.network.config import ModelConfig
from model.training.train import TrainingPlan, train

NUM_USERS, NUM_ITEMS, NUM_DAYS, DAY_MS = 20, 12, 12, 86_400_000
SHAPE = WindowShape(8, 4)
CONFIG = ModelConfig(width=8, num_layers=1, num_heads=1, inner_width=16, window=SHAPE, contents=())
USERS, DAYS = np.repeat(np.arange(NUM_USERS), NUM_DAYS), np.tile(np.arange(NUM_DAYS), NUM_USERS)
COLUMNS = EventColumns(USERS, (USERS + DAYS) % NUM_ITEMS, DAYS * DAY_MS + USERS)


def catalogue(*, with_categories: bool) -> Catalogue:
    ids = tuple(f"i{number}" for number in range(NUM_ITEMS))
    categories = tuple(("a",) if number < 7 else ("b",) for number in range(NUM_ITEMS))
    listed = np.ones(NUM_ITEMS, np.bool_)
    none = ((),) * NUM_ITEMS
    return Catalogue(np.arange(NUM_ITEMS), ids, ("",) * NUM_ITEMS, categories if with_categories else none, listed)


def moment(*, with_categories: bool = True) -> ChallengeMoment:
    items = catalogue(with_categories=with_categories)
    champion = train(COLUMNS, items, config=CONFIG, plan=TrainingPlan(epochs=1, batch_events=64))
    return ChallengeMoment(champion, COLUMNS, items, since_ms=8 * DAY_MS, seed=3)


@pytest.fixture(scope="module")
def challengers() -> dict[str, ModelBundle]:
    gate_trial = moment()
    return {"champion": gate_trial.champion, **dict(chain(plainly_spoilt(gate_trial), subtly_spoilt(gate_trial)))}


def weights(bundle: ModelBundle) -> dict[str, torch.Tensor]:
    assert isinstance(bundle, HM4SRBundle)
    return dict(bundle.model.state_dict())


def test_only_the_nan_challenger_has_non_finite_vectors(challengers: dict[str, ModelBundle]) -> None:
    finite = {
        name: all(bool(weight.isfinite().all()) for weight in weights(bundle).values())
        for name, bundle in challengers.items()
        if name != "popularity collapse"
    }
    assert {name for name, is_finite in finite.items() if not is_finite} == {"not a number"}


def test_another_shop_has_the_same_items_in_another_order(challengers: dict[str, ModelBundle]) -> None:
    challenger, champion = challengers["of another shop"], challengers["champion"]
    assert isinstance(challenger, HM4SRBundle)
    assert isinstance(champion, HM4SRBundle)
    assert sorted(challenger.item_ids) == sorted(champion.item_ids) != list(challenger.item_ids)


def test_a_collapsed_model_answers_everybody_with_what_most_turned_to(challengers: dict[str, ModelBundle]) -> None:
    encoder = challengers["popularity collapse"].bind(catalogue(with_categories=True))
    histories = [History(np.array([item]), np.array([0])) for item in (1, 5)]
    scores = encoder.query(encoder.encode(histories), np.zeros(2, np.int64)) @ encoder.items(np.arange(NUM_ITEMS)).T
    np.testing.assert_array_equal(scores, np.repeat(np.bincount(COLUMNS.items)[None], 2, axis=0))


def test_blurred_weights_differ_by_the_share_of_their_own_spread(challengers: dict[str, ModelBundle]) -> None:
    table = weights(challengers["champion"])["id_embedding"]
    for share in BLURS:
        moved = weights(challengers[f"weights blurred by {share:.0%}"])["id_embedding"] - table
        assert float(moved.std() / table.std()) == pytest.approx(share, rel=0.3)


def test_a_log_without_categories_has_no_challenger_of_one_category(challengers: dict[str, ModelBundle]) -> None:
    name = "new events of one category alone"
    assert name in challengers
    assert name not in dict(subtly_spoilt(moment(with_categories=False)))
