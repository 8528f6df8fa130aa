"""Specifications of the harness: what is tuned on what, what is kept, and what the report says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.arrays import FloatArray
from core.catalogue.items import Item
from core.errors import InvalidInput
from core.evaluation.scorers import Past, Scorer, TrainingPart
from core.events.history import WindowShape
from model.evaluation.code import code_version
from model.evaluation.dataset import Dataset
from model.evaluation.harness import EvaluatedModel, Harness
from model.evaluation.models import (
    BASELINES,
    NETWORK_GRID,
    RECENCY_HALF_LIFE,
    Budget,
    Config,
    FitContext,
    ModelSpec,
    available,
    spec_of,
)
from model.evaluation.networks import Contents, NetworkScorer
from model.evaluation.protocols import Fold, leave_one_out, temporal
from model.evaluation.ranking import MISS, TargetRanks
from model.evaluation.report import Comparison, report
from model.evaluation.results import ModelResult, ResultCache
from model.features import VectorFeatures
from model.network.time_encoding import ReleasedTimeEncoding

T0 = 1_300_000_000_000
SMALL = Budget(epochs=2, width=16, window=WindowShape(10, 5))


class Killed(BaseException):
    """The process dies."""


class Walker:
    """Says that the item `step` places on comes next."""

    def __init__(self, step: int, log: list[str], *, dies: bool = False) -> None:
        self._step, self._log, self._dies = step, log, dies

    def fit(self, part: TrainingPart) -> None:
        self._log.append(f"fit step {self._step}")
        if self._dies:
            raise Killed
        self._num_items = part.num_items

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        scores = np.zeros((len(pasts), self._num_items), np.float32)
        for row, past in enumerate(pasts):
            if len(past.history):
                scores[row, (past.history.items[-1] + self._step) % self._num_items] = 1
        return scores


def walker(log: list[str], *, steps: Sequence[int] = (1, 2), dies_at: int | None = None) -> ModelSpec:
    def make(config: Config, seed: int, setting: FitContext) -> Scorer:
        return Walker(config["step"], log, dies=config["step"] == dies_at)

    return ModelSpec("walker", make, [{"step": step} for step in steps], "model.baselines.counting", seeded=True)


@pytest.fixture
def dataset() -> Dataset:
    items = [
        Item(f"item{row}", title=f"thing {row % 4} of kind{row % 3}", categories=(f"c{row % 2}",)) for row in range(20)
    ]
    rows = [
        (f"user{user}", f"item{(user * 3 + step) % 20}", T0 + 60_000 * (user * 10 + step))
        for user in range(40)
        for step in range(6)
    ]
    return Dataset.of(rows, items)


@pytest.fixture
def fold(dataset: Dataset) -> Fold:
    return leave_one_out(dataset)


def harness(dataset: Dataset, fold: Fold, folder: Path | None = None, **changes: Any) -> Harness:
    base = Harness(dataset, fold, SMALL, Contents(dataset.catalogue), ResultCache(folder))
    return replace(base, **changes)


# --- running


def test_tuning_selects_by_validation_and_fits_every_seed(dataset: Dataset, fold: Fold) -> None:
    log: list[str] = []
    outcome = harness(dataset, fold, seeds=(0, 1)).run(walker(log, steps=(2, 1, 3)))
    assert [(trial.config["step"], trial.validation > 0.9) for trial in outcome.trials] == [
        (2, False),
        (1, True),
        (3, False),
    ]
    assert dict(outcome.config) == {"step": 1}
    assert list(outcome.results) == [0, 1]
    assert log == [f"fit step {step}" for step in (2, 1, 3, 1)]  # under the first seed the chosen one is fitted already


def test_tuning_never_looks_at_the_test_events(dataset: Dataset, fold: Fold) -> None:
    backwards = replace(fold, test=replace(fold.test, rows=fold.test.begin))  # others: the first events
    configs = [dict(harness(dataset, tested).run(walker([])).config) for tested in (fold, backwards)]
    assert configs == [{"step": 1}, {"step": 1}]


def test_with_one_configuration_nothing_is_tuned(dataset: Dataset, fold: Fold) -> None:
    log: list[str] = []
    harness(dataset, fold).run(walker(log, steps=(1,)))
    assert log == ["fit step 1"]


def test_a_killed_run_goes_on_where_it_was(dataset: Dataset, fold: Fold, tmp_path: Path) -> None:
    log: list[str] = []
    with pytest.raises(Killed):
        harness(dataset, fold, tmp_path).run(walker(log, steps=(1, 2, 3), dies_at=3))
    assert log == ["fit step 1", "fit step 2", "fit step 3"]
    log.clear()
    outcome = harness(dataset, fold, tmp_path).run(walker(log, steps=(1, 2, 3)))
    assert log == ["fit step 3", "fit step 1"]  # the third trial, then the chosen one
    log.clear()
    cached = harness(dataset, fold, tmp_path).run(walker(log, steps=(1, 2, 3)))
    assert log == []
    assert np.array_equal(cached.ranks("keep")[0].above, outcome.ranks("keep")[0].above)
    assert dict(cached.results[0].facts) == dict(outcome.results[0].facts)


def test_a_killed_training_resumes_at_its_last_epoch(dataset: Dataset, fold: Fold, tmp_path: Path) -> None:
    budget = replace(SMALL, epochs=4)
    uninterrupted = harness(dataset, fold, budget=budget).run(spec_of("sasrec"))

    def die(step: str, share: float) -> None:
        if "epoch 3" in step:
            raise Killed

    with pytest.raises(Killed):
        harness(dataset, fold, tmp_path, budget=budget, progress=die).run(spec_of("sasrec"))
    steps: list[str] = []
    resumed = harness(dataset, fold, tmp_path, budget=budget, progress=lambda step, share: steps.append(step))
    outcome = resumed.run(spec_of("sasrec"))
    assert not any("epoch 1" in step or "epoch 2" in step for step in steps)
    assert np.array_equal(outcome.ranks("keep")[0].above, uninterrupted.ranks("keep")[0].above)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_a_kept_result_is_used_for_nothing_else(dataset: Dataset, fold: Fold, tmp_path: Path) -> None:
    log: list[str] = []
    spec = walker(log, steps=(1,))
    harness(dataset, fold, tmp_path).run(spec)
    variants = [
        harness(dataset, fold, tmp_path, seeds=(5,)),
        harness(dataset, temporal(dataset, cut_ms=T0 + 20_000_000), tmp_path),
        harness(Dataset.of([("ann", f"item{n}", T0 + n) for n in range(9)]), fold, tmp_path),
        harness(dataset, fold.sampled(7), tmp_path),
    ]
    for variant in variants:
        variant.run(spec)
    assert len(log) == 1 + len(variants)


def test_the_budget_decides_the_results_of_trained_models_alone(dataset: Dataset, fold: Fold, tmp_path: Path) -> None:
    log: list[str] = []
    more = replace(SMALL, epochs=9)
    for spec in (walker(log, steps=(1,)), replace(walker(log, steps=(1,)), trained=True)):
        for budget in (SMALL, more, replace(more, trials=5)):
            harness(dataset, fold, tmp_path, budget=budget).run(spec)
    assert len(log) == 1 + 2


def test_all_networks_are_tuned_over_the_same_grid_within_the_budget() -> None:
    trained = [spec for spec in (*BASELINES.values(), spec_of("hm4sr"), spec_of("hm4sr:no-moe")) if spec.trained]
    grids = [spec.trials(Budget(trials=3)) for spec in trained]
    assert len(trained) == 7
    assert all(list(grid) == list(grids[0]) and len(grid) == 3 for grid in grids)
    counting = [spec for spec in BASELINES.values() if not spec.trained]
    assert all(len(spec.trials(Budget(trials=1))) == len(spec.grid) > 3 for spec in counting)


# --- models by name


def built(name: str, dataset: Dataset) -> NetworkScorer:
    contents = Contents.of(dataset.catalogue, text_size=4)
    scorer = spec_of(name).make(
        {"learning_rate": 1e-3, "dropout": 0.2}, 0, FitContext(SMALL, contents, lambda at: None)
    )
    assert isinstance(scorer, NetworkScorer)
    return scorer


def test_ablations_change_what_they_name_and_combine(dataset: Dataset) -> None:
    full = built("hm4sr", dataset).config
    assert built("hm4sr:paper", dataset).config == replace(
        full, fused_id=False, repeats=False, relative_attention=False
    )
    assert built("hm4sr:no-fused-id+no-repeats+no-relative", dataset).config == built("hm4sr:paper", dataset).config
    assert built("hm4sr:no-gaps", dataset).config == replace(full, gaps="off")
    assert built("hm4sr:id-only", dataset).config == replace(full, contents=())
    assert built("hm4sr:text-only", dataset).config == replace(full, use_id=False)
    both = built("hm4sr:no-moe+no-cp", dataset).config
    assert both == replace(full, interactive_moe=False, temporal_moe=False, losses=replace(full.losses, cp=0.0))
    assert built("hm4sr:no-id", dataset).config == built("hm4sr:text-only", dataset).config
    assert built("hm4sr:no-text", dataset).config == built("hm4sr:id-only", dataset).config
    assert built("hm4sr:no-absolute-time", dataset).config == replace(full, absolute_time=False)
    assert built("hm4sr:frozen-experts", dataset).frozen_experts
    assert not built("hm4sr:no-moe", dataset).frozen_experts
    assert built("hm4sr:no-relative", dataset).config == replace(full, relative_attention=False)
    assert built("hm4sr:sparse-experts", dataset).config == replace(full, sparse_experts=4)
    assert built("hm4sr:content-experts", dataset).config == replace(full, content_experts=4)
    assert built("hm4sr:facets", dataset).config == replace(full, facet_experts=2)
    assert built("hm4sr:recency", dataset).plan.half_life == RECENCY_HALF_LIFE
    assert not built("hm4sr", dataset).plan.half_life
    gbce = built("hm4sr:gbce+recency", dataset)
    assert (gbce.config, gbce.plan.loss, gbce.plan.half_life) == (full, "gbce", RECENCY_HALF_LIFE)
    assert built("hm4sr:mixed", dataset).plan.loss == "mixed"


@pytest.mark.parametrize("name", ["hm4sr", "sasrec-text-repeats"])
def test_repeats_are_learnt_where_the_answers_may_hold_them(name: str, dataset: Dataset) -> None:
    setting = FitContext(SMALL, Contents.of(dataset.catalogue, text_size=4), lambda at: None)
    for hides_seen in (False, True):
        budget = replace(SMALL, hides_seen=hides_seen)
        scorer = spec_of(name).make(NETWORK_GRID[0], 0, replace(setting, budget=budget))
        assert isinstance(scorer, NetworkScorer)
        assert (scorer.config.repeats, scorer.config.hides_seen) == (not hides_seen, hides_seen)


@pytest.mark.parametrize("name", [name for name in available() if spec_of(name).trained and name != "counts"])
def test_every_trained_model_by_name_trains_and_ranks(name: str, dataset: Dataset, fold: Fold) -> None:
    budget = replace(SMALL, epochs=1)
    looks = VectorFeatures("image", dataset.catalogue.item_ids, np.eye(dataset.num_items, 3, dtype=np.float32))
    contents = Contents.of(dataset.catalogue, text_size=4, sources=[looks])
    outcome = harness(dataset, fold, budget=budget, contents=contents).run(spec_of(name))
    facts = outcome.results[0].facts
    assert facts["parameters"] > 0
    assert facts["validation_events"] == 40


def test_frozen_experts_stay_as_they_started(dataset: Dataset, fold: Fold) -> None:
    scorers = [built(f"hm4sr{name}", dataset) for name in (":frozen-experts", "")]
    for scorer in scorers:
        scorer.fit(fold.part)
    frozen, trained = (scorer.model for scorer in scorers)
    start = type(frozen)(frozen.config, num_items=frozen.num_items).initialise(seed=0)
    assert frozen.temporal is not None
    assert trained.temporal is not None
    assert start.temporal is not None
    assert frozen.temporal.expert.equal(start.temporal.expert)
    assert not trained.temporal.expert.equal(start.temporal.expert)


def test_the_released_preset_never_trains_its_experts(dataset: Dataset, fold: Fold) -> None:
    scorer = built("hm4sr:released", dataset)
    paper = built("hm4sr:paper", dataset).config
    assert scorer.config == replace(paper, released=True, id_dropout=0.0)
    scorer.fit(fold.part)
    released = scorer.model
    start = type(released)(released.config, num_items=released.num_items).initialise(seed=0)
    assert isinstance(released.time_encoding, ReleasedTimeEncoding)
    assert released.temporal is not None
    assert start.temporal is not None
    assert released.temporal.expert.equal(start.temporal.expert)
    assert not released.temporal.gate.weight.equal(start.temporal.gate.weight)
    assert built("hm4sr:released+unit-losses", dataset).config.losses.idcl == 1.0


def test_an_ablation_of_what_is_not_there_is_refused(dataset: Dataset) -> None:
    with pytest.raises(InvalidInput, match="hm4sr:no-image: wanted items with image, got none"):
        built("hm4sr:no-image", dataset)


@pytest.mark.parametrize("name", ["hm5sr", "hm4sr:no-towers", "sasrec:no-gaps", ""])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"--model: unknown model .* known are popularity, .* no-gaps"):
        spec_of(name)


def test_a_model_of_contents_that_nobody_gave_says_what_to_give(dataset: Dataset, fold: Fold) -> None:
    scorer = replace(built("hm4sr", dataset), contents=Contents(dataset.catalogue))
    with pytest.raises(InvalidInput, match="contents: wanted text of the items, got none; give --items"):
        scorer.fit(fold.part)


# --- leakage


def test_nothing_after_the_cut_changes_a_trained_model(dataset: Dataset) -> None:
    cut_ms = T0 + 18_000_000
    rows = [
        (f"user{user}", dataset.catalogue.item_ids[item], int(time_ms))
        for user, item, time_ms in zip(*vars_of(dataset), strict=True)
    ]
    items = [
        Item(name, title=text) for name, text in zip(dataset.catalogue.item_ids, dataset.catalogue.texts, strict=True)
    ]
    changed = [row if row[2] < cut_ms else (row[0], "item3", row[2] + 7) for row in rows]
    scores = []
    for events in (rows, changed):
        data = Dataset.of(events, items)
        scorer = built("hm4sr", data)
        scorer.fit(temporal(data, cut_ms=cut_ms).part)
        scores.append(scorer.scores([temporal(data, cut_ms=cut_ms, state="frozen").validation.past(3)]))
    assert np.array_equal(*scores)


def vars_of(dataset: Dataset) -> tuple[list[int], list[int], list[int]]:
    order = dataset.arrival
    columns = dataset.columns
    return columns.users[order].tolist(), columns.items[order].tolist(), columns.times_ms[order].tolist()


# --- results on disk


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    ranks = {seen: TargetRanks(np.array([3, MISS]), np.array([0, 2]), {5: 4, 10: 9}) for seen in ("keep", "hide")}
    ResultCache(tmp_path).save({"model": "x"}, ModelResult({"fit_s": 1.5, "none": None}, ranks))
    loaded = ResultCache(tmp_path).load({"model": "x"})
    assert loaded is not None
    assert dict(loaded.facts) == {"fit_s": 1.5, "none": None}
    assert loaded.ranks["hide"].above.tolist() == [3, MISS]
    assert dict(loaded.ranks["keep"].num_shown) == {5: 4, 10: 9}
    assert ResultCache(tmp_path).load({"model": "y"}) is None
    assert ResultCache(None).load({"model": "x"}) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half of a file", b"something else"])
def test_a_damaged_result_counts_as_none(tmp_path: Path, content: bytes) -> None:
    results = ResultCache(tmp_path)
    results.save({}, ModelResult({}, {}))
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert results.load({}) is None


def test_the_version_of_code_follows_imports() -> None:
    versions = {
        name: code_version(name)
        for name in ("model.baselines.counting", "model.baselines.neighbours", "core.events.history")
    }
    assert len(set(versions.values())) == 3
    assert code_version("core.events.history") == versions["core.events.history"]


# --- report


def compared(dataset: Dataset, fold: Fold, *, seeds: Sequence[int] = (0,)) -> Comparison:
    runner = harness(dataset, fold, seeds=seeds)
    specs = (spec_of("popularity"), walker([], steps=(1,)))
    outcomes: dict[str, EvaluatedModel] = {spec.name: runner.run(spec) for spec in specs}
    return Comparison(dataset, fold, SMALL, outcomes, outcomes["popularity"], "popularity")


def test_the_report_holds_means_seeds_intervals_slices_and_differences(dataset: Dataset, fold: Fold) -> None:
    document = report(compared(dataset, fold, seeds=(0, 1, 2)))
    json.dumps(document, allow_nan=False)
    assert document["data"]["test_events"] == document["data"]["test_users"] == 40
    popularity, walked = document["models"]
    figures = walked["seen"]["keep"]
    metric = {"mean": 1.0, "seeds": [1.0, 1.0, 1.0], "seed_std": 0.0, "low": 1.0, "high": 1.0}
    assert figures["metrics"]["NDCG@10"] == metric
    assert popularity["seen"]["keep"]["metrics"]["NDCG@10"]["seed_std"] is None  # chance plays no part
    assert figures["coverage"]["@20"] == 1.0
    assert figures["slices"]["known items"] == {"HR@10": 1.0, "NDCG@10": 1.0}
    assert "new users" not in figures["slices"]
    difference = figures["difference"]["NDCG@10"]
    assert difference["low"] <= difference["mean"] <= difference["high"]
    assert difference["mean"] == pytest.approx(1 - popularity["seen"]["keep"]["metrics"]["NDCG@10"]["mean"])
    assert popularity["seen"]["keep"]["difference"] == {}
    assert len(popularity["trials"]) == 6


def test_popularity_answers_users_without_history_for_every_model(dataset: Dataset) -> None:
    fold = temporal(dataset, cut_ms=T0 + 18_000_000)
    comparison = compared(dataset, fold)
    empty = fold.test.end == fold.test.begin
    assert empty.any()
    walked, popular = (comparison.gains(name, "keep", "NDCG", 20)[0] for name in ("walker", "popularity"))
    assert np.array_equal(walked[empty], popular[empty])
    assert walked[~empty].tolist() == [1.0] * int((~empty).sum())
