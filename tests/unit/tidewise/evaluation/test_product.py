"""The model `product` is what the product trains and serves by default."""

from __future__ import annotations

from dataclasses import replace

from core.items import Item
from model.evaluation.blended import BlendScorer
from model.evaluation.dataset import Dataset
from model.evaluation.models import Budget, FitContext
from model.evaluation.networks import Contents, NetworkScorer
from tidewise.evaluation.files import specs_of
from tidewise.evaluation.product import default_settings, product_spec
from tidewise.settings.schema import Settings
from tidewise.training.plans import model_config, training_plan

T0 = 1_300_000_000_000
TITLES = ("red car", "blue car", "red boat", "blue boat")
DATASET = Dataset.of([("u", "0", T0), ("u", "1", T0 + 1)], [Item(str(n), title) for n, title in enumerate(TITLES)])


def network_of(budget: Budget, dataset: Dataset = DATASET) -> NetworkScorer:
    contents = Contents.of(dataset.catalogue, text_size=Settings().model.text_dim)
    spec = product_spec()
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


def test_the_product_is_found_by_its_name() -> None:
    assert [spec.name for spec in specs_of(["product", "popularity"])] == ["product", "popularity"]
