"""Prequential evaluation: nothing is known before it happened, models act when they are ready, costs are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.arrays import BoolArray, FloatArray
from core.blending.blend import COUNTS_BLEND, Blend
from core.blending.calibration import LEAST_ENCODER
from core.catalogue.items import Catalogue, Item
from core.errors import InvalidInput
from core.evaluation.scorers import Past, TrainingPart
from core.events.history import WindowShape
from core.records.stored import EventColumns
from model.bundle import HM4SRBundle
from model.evaluation.arms import TrainingRecipe, check, run_arm
from model.evaluation.blended import BlendScorer
from model.evaluation.dataset import Dataset
from model.evaluation.models import Budget
from model.evaluation.prequential import DeployedModel, PrequentialStream, run_models, run_scorer
from model.evaluation.protocols import VALIDATION_SHARE
from model.network.config import Modality, ModelConfig
from model.training.fine_tuning import FineTuningPlan
from model.training.plan import TrainingPlan
from tidewise.evaluation.prequential import PrequentialReplay, product_recipe, replay, write_chart

DAY_MS = 86_400_000
SHAPE = WindowShape(6, 2)
CONFIG = ModelConfig(width=8, num_layers=1, num_heads=1, inner_width=8, window=SHAPE, contents=(Modality("text", 4),))
RECIPE = TrainingRecipe(CONFIG, TrainingPlan(epochs=1, batch_events=256), FineTuningPlan(epochs=1))
NUM_USERS, NUM_ITEMS, NUM_DAYS = 20, 15, 20


def dataset() -> Dataset:
    """Users who go round the items day by day; items 12.. are born late, with day 12 and after."""
    rows = [
        (f"u{user:02}", f"i{(user + day) % (12 if day < 12 else NUM_ITEMS):02}", day * DAY_MS + user)
        for day in range(NUM_DAYS)
        for user in range(NUM_USERS)
    ]
    items = [Item(f"i{number:02}", f"thing {number % 4} red {number % 3}") for number in range(NUM_ITEMS)]
    return Dataset.of(rows, items)


def stream(*, num_periods: int = 2, max_test_events: int | None = None, hide_seen: bool = False) -> PrequentialStream:
    return PrequentialStream.of(
        dataset(),
        cut_ms=10 * DAY_MS,
        num_periods=num_periods,
        max_test_events=max_test_events,
        hide_seen=hide_seen,
    )


def silent(share: float) -> None:
    """Nobody watches."""


class Watching:
    """A live scorer that writes down what it knows and is asked."""

    def __init__(self) -> None:
        self.known: list[tuple[int, int, int]] = []
        self.asked: list[Past] = []
        self.num_known: list[int] = []

    def fit(self, part: TrainingPart) -> None:
        self.part, events = part, part.training_events
        self.known = list(zip(events.users.tolist(), events.items.tolist(), events.times_ms.tolist(), strict=True))
        self.num_items = part.num_items

    def apply(self, user: int, item: int, time_ms: int) -> None:
        self.known.append((user, item, time_ms))

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        self.asked += pasts
        self.num_known.append(len(self.known))
        return np.zeros((len(pasts), self.num_items), np.float32)


def test_a_live_scorer_sees_exactly_the_events_before_a_test_event() -> None:
    scorer, events = Watching(), stream()
    run_scorer(events, scorer, tick=silent)
    asked_at = events.times_ms.tolist()
    everything = sorted(events.columns.times_ms.tolist())
    assert scorer.num_known == [np.searchsorted(everything, time_ms) for time_ms in asked_at]
    for past, row in zip(scorer.asked, events.test_rows.tolist(), strict=True):
        assert past.history.times_ms.max() < events.columns.times_ms[row]


def test_a_frozen_state_ends_with_the_cut() -> None:
    events = stream()
    row = int(events.test_rows[-1])
    assert events.past(row, frozen=True).history.times_ms.max() < 10 * DAY_MS
    assert len(events.past(row).history) > len(events.past(row, frozen=True).history)


def test_only_items_born_so_far_are_rivals() -> None:
    events = stream()
    numbers = np.array([0])
    born = events.born_ms <= events.times_ms[0]
    scores = np.ones((1, NUM_ITEMS), np.float32)
    assert events.ranks(numbers, scores)[0] == (born.sum() - 1) / 2
    assert born.sum() == 12


def test_a_users_earlier_items_are_hidden_where_that_is_wanted() -> None:
    events = stream(hide_seen=True)
    for row in events.test_rows.tolist():
        seen = events.columns.items[events.first[row] : row]
        assert events.columns.items[row] not in seen
    assert 0 < len(events.test_rows) < len(stream().test_rows)


def test_a_training_knows_only_items_that_were_born_before_it() -> None:
    assert len(stream().catalogue_at(10 * DAY_MS)) == 12
    assert len(stream().catalogue_at(10**15)) == NUM_ITEMS


class Fixed:
    """A model that puts one row first."""

    def __init__(self, row: int, blend: Blend | None = None) -> None:
        self.row, self.version, self.window, self.blend = row, str(row), SHAPE, blend

    def bind(self, catalogue: object) -> Fixed:
        return self

    width = NUM_ITEMS

    def items(self, rows: np.ndarray) -> FloatArray:
        return np.eye(NUM_ITEMS, dtype=np.float32)[rows]

    def trained(self, rows: np.ndarray) -> BoolArray:
        return np.ones(len(rows), np.bool_)

    def encode(self, histories: Sequence[object]) -> FloatArray:
        return np.repeat(np.eye(NUM_ITEMS, dtype=np.float32)[[self.row]], len(histories), axis=0)

    def query(self, vectors: FloatArray, gaps_ms: np.ndarray) -> FloatArray:
        return vectors

    def repeats(self, history: object) -> None:
        return None


def test_a_new_model_answers_only_after_its_training_has_ended() -> None:
    events = stream()
    middle_ms = int(events.times_ms[50])
    models = [DeployedModel(Fixed(3), 0, 0, 1.0), DeployedModel(Fixed(5), middle_ms - 1, middle_ms, 2.0)]  # type: ignore[arg-type]
    run = run_models(events, models, frozen=False, shape=SHAPE, tick=silent)
    early = events.times_ms < middle_ms
    assert (run.ranks[early & (events.target_items == 3)] == 0).all()
    assert (run.ranks[~early & (events.target_items == 5)] == 0).all()
    assert (run.ranks[~early & (events.target_items == 3)] > 0).all()
    assert run.train_s == [1.0, 2.0]


@pytest.mark.parametrize("hide_seen", [False, True])
def test_a_blended_model_ranks_with_the_counts_of_each_moment(*, hide_seen: bool) -> None:
    events = stream(hide_seen=hide_seen)
    counts = BlendScorer(None, hides_seen=hide_seen)
    expected = run_scorer(events, counts, tick=silent)
    only_counts = dataclasses.replace(counts.blend, encoder=0.0)
    models = [DeployedModel(Fixed(3, only_counts), 0, 0, 1.0)]  # type: ignore[arg-type]
    run = run_models(events, models, frozen=False, shape=SHAPE, tick=silent)
    answered = ~np.isnan(run.ranks)
    assert answered.any()
    np.testing.assert_array_equal(run.ranks[answered], expected.ranks[answered])
    assert len(np.unique(run.ranks[answered])) > 1


def test_counts_are_weighted_by_the_newest_events_before_the_cut() -> None:
    events = stream()
    scorer = Watching()
    run_scorer(events, scorer, tick=silent)
    newest_ms = scorer.part.columns.times_ms[scorer.part.validation]
    before_ms = events.columns.times_ms[events.columns.times_ms < events.starts_ms[0]]
    assert sorted(newest_ms.tolist()) == np.sort(before_ms)[-round(VALIDATION_SHARE * len(before_ms)) :].tolist()
    counts = BlendScorer(None, hides_seen=False)
    expected = run_scorer(events, counts, tick=silent)
    np.testing.assert_array_equal(run_arm(events, "counts", RECIPE, seed=0, tick=silent).ranks, expected.ranks)
    assert counts.blend != dataclasses.replace(COUNTS_BLEND, encoder=LEAST_ENCODER)


def test_a_blend_is_fitted_to_events_that_its_network_has_not_learnt_from() -> None:
    events, calls = stream(), []

    def blender(
        bundle: HM4SRBundle,
        columns: EventColumns,
        catalogue: Catalogue,
        *,
        since_ms: int | None,
        before_training: HM4SRBundle | None,
    ) -> HM4SRBundle:
        calls.append((bundle.version, int(columns.times_ms.max()), since_ms, before_training))
        return dataclasses.replace(bundle, blend=COUNTS_BLEND)

    run_arm(events, "product", dataclasses.replace(RECIPE, blender=blender), seed=0, tick=silent)
    [(first, first_end_ms, since_ms, before), (_, end_ms, tuned_since_ms, parent)] = calls
    cut_ms, second_ms = events.starts_ms.tolist()
    assert (since_ms, before) == (None, None)
    assert first_end_ms < cut_ms <= end_ms < second_ms
    assert tuned_since_ms == cut_ms
    assert parent is not None
    assert parent.version == first


def test_the_products_arms_differ_by_the_blend_alone(tmp_path: Path) -> None:
    budget = Budget(epochs=1, hides_seen=True)
    product = product_recipe(budget, has_text=True, folder=tmp_path)
    case = PrequentialReplay(
        stream(max_test_events=60, hide_seen=True), RECIPE, product, ("product", "product:encoder"), (0,), "product"
    )
    document = replay(case, progress=lambda step, share: None)
    arms = document["arms"]
    assert set(arms) == {"popularity", "product", "product:encoder"}
    assert arms["product"]["ndcg_10"] != arms["product:encoder"]["ndcg_10"]
    assert len(list(tmp_path.iterdir())) == 2  # the first model and its fine-tune, of both arms


def test_all_arms_run_and_a_second_run_takes_the_models_from_disk(tmp_path: Path) -> None:
    recipe = TrainingRecipe(CONFIG, RECIPE.plan, RECIPE.tuning, folder=tmp_path)
    names = ("frozen-frozen", "frozen", "fine-tune", "fine-tune+replay", "fine-tune+rank", "retrain", "vsknn")
    case = PrequentialReplay(stream(max_test_events=60), recipe, recipe, names, (0,), "frozen")
    document = replay(case, progress=lambda step, share: None)
    num_models = len(list(tmp_path.iterdir()))
    second = replay(case, progress=lambda step, share: None)
    assert num_models == 5  # the first, three fine-tunes, a second full training
    assert len(list(tmp_path.iterdir())) == num_models
    assert set(document["arms"]) == {"popularity", *names}
    for name in names:
        assert second["arms"][name]["ndcg_10"] == document["arms"][name]["ndcg_10"]
        assert second["arms"][name]["train_cpu_s"] == pytest.approx(document["arms"][name]["train_cpu_s"], abs=0.5)
    assert document["arms"]["frozen"]["difference"] == [0, 0, 0]
    assert document["arms"]["frozen"]["by_seed"] == [document["arms"]["frozen"]["ndcg_10"]]
    write_chart(document, tmp_path / "chart.svg")
    chart = (tmp_path / "chart.svg").read_text()
    assert all(f">{name}<" in chart for name in ("popularity", *names))


def test_a_seed_gives_the_same_answers() -> None:
    runs = [run_arm(stream(max_test_events=40), "fine-tune+replay", RECIPE, seed=3, tick=silent) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].ranks, runs[1].ranks)


def test_unknown_arms_and_empty_sides_of_the_cut_are_rejected() -> None:
    with pytest.raises(InvalidInput, match="wanted arms among popularity"):
        check(["frozen", "magic"])
    with pytest.raises(InvalidInput, match="choose another --cut"):
        PrequentialStream.of(dataset(), cut_ms=0, num_periods=2, max_test_events=None, hide_seen=False)
