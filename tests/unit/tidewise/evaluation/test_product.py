"""The model `product` is what the product trains and serves by default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace

import numpy as np
import pytest
from domain_doubles import AxisEncoder

from core.arrays import FloatArray
from core.blending.calibration import MAX_CHOICES
from core.catalogue.items import Catalogue, Item
from core.evaluation.scorers import Past, TrainingPart
from core.events.history import History, WindowShape
from core.learn import live_features
from core.learn.blended_trial import calibrated
from core.learn.trial import select_slice
from core.popularity import DEFAULT_HALF_LIFE_MS
from core.records.stored import EventColumns
from model.evaluation.blended import BlendScorer
from model.evaluation.dataset import Dataset
from model.evaluation.models import Budget, FitContext
from model.evaluation.networks import Contents, NetworkScorer
from tidewise.evaluation.files import specs_of
from tidewise.evaluation.product import default_settings, product_specs
from tidewise.settings.schema import Settings
from tidewise.training.plans import model_config, training_plan

T0 = 1_300_000_000_000
NUM_ITEMS = 30
TITLES = ("red car", "blue car", "red boat", "blue boat")
DATASET = Dataset.of([("u", "0", T0), ("u", "1", T0 + 1)], [Item(str(n), title) for n, title in enumerate(TITLES)])


def network_of(budget: Budget, dataset: Dataset = DATASET) -> NetworkScorer:
    contents = Contents.of(dataset.catalogue, text_size=Settings().model.text_dim)
    spec = product_specs()["product"]
    scorer = spec.make(spec.grid[0], 3, FitContext(budget, contents, lambda progress: None))
    assert isinstance(scorer, BlendScorer)
    assert isinstance(scorer.network, NetworkScorer)
    return scorer.network


def test_the_network_and_its_training_are_those_of_the_default_settings() -> None:
    network = network_of(Budget(hides_seen=True))
    assert network.config == model_config(Settings(), network.contents.sources)
    assert network.config.towers == ("id", "text")
    assert network.plan == replace(training_plan(Settings()), device="cpu")
    assert network.seed == 3


def test_a_shop_that_keeps_seen_items_trains_for_them() -> None:
    budget = Budget(hides_seen=False)
    network = network_of(budget)
    assert network.config == model_config(default_settings(budget), network.contents.sources)
    assert network.config.repeats


def test_a_smaller_budget_ends_the_training_earlier() -> None:
    plan = network_of(Budget(epochs=2, max_seconds=60)).plan
    assert (plan.epochs, plan.max_seconds) == (2, 60)


def test_items_without_texts_are_learnt_by_id() -> None:
    assert network_of(Budget(), Dataset.of([("u", "a", T0)])).config.contents == ()


def test_the_encoder_alone_is_the_one_of_the_product_and_trained_once() -> None:
    contents, specs = Contents.of(DATASET.catalogue, text_size=Settings().model.text_dim), product_specs()
    context = FitContext(Budget(), contents, lambda progress: None)
    alone, whole = (specs[name].make(specs[name].grid[0], 3, context) for name in ("product:encoder", "product"))
    assert isinstance(whole, BlendScorer)
    assert whole.network is alone


def test_the_product_is_found_by_its_name() -> None:
    names = ["product", "popularity", "product:encoder"]
    assert [spec.name for spec in specs_of(names)] == names


class EncoderScorer:
    """A model's encoder as a scorer; the keys of items are their rows + 1."""

    def __init__(self, encoder: AxisEncoder) -> None:
        self._encoder = encoder

    def fit(self, part: TrainingPart) -> None:
        """Nothing to learn."""

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        histories = [History(past.history.items + 1, past.history.times_ms) for past in pasts]
        return self._encoder.encode(histories)[:, : len(self._encoder.catalogue)]

    def scores_and_unseen(self, pasts: Sequence[Past]) -> tuple[FloatArray, FloatArray]:
        return self.scores(pasts), np.zeros((len(pasts), len(self._encoder.catalogue)), np.float32)


@pytest.mark.parametrize("hides_seen", [True, False])
def test_the_blend_is_fitted_as_the_product_fits_it(hides_seen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for how often the features of items are renewed."""
    monkeypatch.setattr(live_features, "RENEW_EVENTS", 1)
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(100), 12)
    items = random.integers(0, 4, 1200).cumsum() % NUM_ITEMS
    columns = EventColumns(users, items, T0 + np.tile(np.arange(12), 100) * 1000 * 60 + users)
    since_ms = T0 + 9 * 60_000
    names = tuple(map(str, range(NUM_ITEMS)))
    keys, nothing = np.arange(1, NUM_ITEMS + 1), ("",) * NUM_ITEMS
    catalogue = Catalogue(keys, names, nothing, ((),) * NUM_ITEMS, np.ones(NUM_ITEMS, np.bool_))
    by_key = EventColumns(users, items + 1, columns.times_ms)
    held_out = select_slice(by_key, catalogue, since_ms=since_ms, max_events=MAX_CHOICES, hide_seen=hides_seen)
    shape = WindowShape(50, 10)
    product = calibrated(AxisEncoder(catalogue), held_out, shape, half_life_ms=DEFAULT_HALF_LIFE_MS)

    held = columns.times_ms >= since_ms
    part = TrainingPart(columns, np.flatnonzero(~held), np.flatnonzero(held), NUM_ITEMS)
    scorer = BlendScorer(EncoderScorer(AxisEncoder(catalogue)), hides_seen=hides_seen)
    scorer.fit(part)
    assert scorer.blend.weights == pytest.approx(product.weights, rel=1e-4)
    assert product.untrained is not None
    assert scorer.blend.untrained is not None
    assert astuple(scorer.blend.untrained) == pytest.approx(astuple(product.untrained), rel=1e-3, abs=1e-5)
