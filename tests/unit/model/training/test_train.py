"""Training: learns what there is to learn, the same under a seed, on its own part of the data, within its budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.catalogue.items import Catalogue
from core.errors import InvalidInput
from core.events.history import History
from core.records.stored import EventColumns
from model.bundle import HM4SRBundle
from model.network.config import FEW_EVENTS, ModelConfig
from model.training.precision import Precision, multiplies_bfloat16
from model.training.train import TrainingPlan, TrainingProgress, train

PLAN = TrainingPlan(epochs=12, batch_events=128, learning_rate=1e-2, warmup_steps=10, validation_share=0.1)
# Where auto is float32 too, training with it would be the same training once more.
PRECISIONS: list[Precision] = ["float32", *(["auto"] if multiplies_bfloat16("auto", torch.device("cpu")) else [])]


def hit_rate(bundle: HM4SRBundle, shop: Catalogue, events: EventColumns) -> float:
    """How often the item that the walk takes next scores highest, after the first six events of each user."""
    encoder = bundle.bind(shop)
    walks = [History(events.items[i : i + 6], events.times_ms[i : i + 6]) for i in range(0, len(events), 12)]
    next_items = events.items[6::12] - 100
    best = (encoder.encode(walks) @ encoder.items(np.arange(40)).T).argmax(1)
    return float((best == next_items).mean())


@pytest.mark.parametrize("sampled_above", [50_000, 10], ids=["full softmax", "sampled softmax"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_deterministic_sequence_is_learned(
    shop: Catalogue,
    shop_events: EventColumns,
    make_config: Callable[..., ModelConfig],
    sampled_above: int,
    precision: Precision,
) -> None:
    plan = replace(PLAN, epochs=30, sampled_above=sampled_above, num_samples=16, patience=30, precision=precision)
    bundle = train(shop_events, shop, config=make_config(width=16, dropout=0.0), plan=plan)
    assert hit_rate(bundle, shop, shop_events) > 0.9


def test_a_seed_fixes_every_bit_and_another_seed_does_not(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig]
) -> None:
    plan = replace(PLAN, epochs=2, precision="float32")
    state_before = torch.get_rng_state()
    one, again, other = (train(shop_events, shop, config=make_config(), plan=plan, seed=seed) for seed in (3, 3, 4))
    assert one.version == again.version != other.version
    for name, tensor in one.model.state_dict().items():
        assert tensor.equal(again.model.state_dict()[name]), name
    assert torch.get_rng_state().equal(state_before), "the caller's random state is left alone"


def test_held_out_events_are_neither_trained_on_nor_given_id_rows(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig]
) -> None:
    newest = np.argsort(shop_events.times_ms)[-36:]
    items = shop_events.items.copy()
    items[items == 139] = 135
    items[newest] = 139
    bundle = train(replace(shop_events, items=items), shop, config=make_config(), plan=replace(PLAN, epochs=1))
    assert bundle.report["validation_events"] > 20
    assert "item-39" not in bundle.item_ids


def test_the_unseen_row_is_trained_by_id_dropout(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig]
) -> None:
    plan = replace(PLAN, epochs=1, validation_share=0.0)
    rows = {
        share: train(shop_events, shop, config=make_config(id_dropout=share), plan=plan).model.id_embedding[0]
        for share in (0.0, 0.3)
    }
    start = train(shop_events, shop, config=make_config(), plan=replace(plan, max_seconds=0.0)).model.id_embedding[0]
    assert rows[0.0].equal(start)
    assert not rows[0.3].equal(start)


def test_the_budget_ends_training_and_progress_reports_it(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig]
) -> None:
    reports: list[TrainingProgress] = []
    plan = replace(PLAN, epochs=100_000, patience=100_000, max_seconds=8.0)

    def two_seconds_per_step() -> float:
        return 2.0 * len(reports)

    bundle = train(
        shop_events, shop, config=make_config(), plan=plan, progress=reports.append, timer=two_seconds_per_step
    )
    assert bundle.report["steps"] == reports[-1].step == 4
    assert bundle.report["seconds"] == 8
    assert [report.elapsed_s for report in reports] == [0, 2, 4, 6]
    assert [report.left_s for report in reports[1:]] == pytest.approx([6, 4, 2])
    assert len(bundle.report["validation_history"]) == bundle.report["epochs"]


def test_early_stopping_keeps_the_best_weights_seen(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig]
) -> None:
    plan = replace(PLAN, epochs=50, patience=2)
    report = train(shop_events, shop, config=make_config(), plan=plan).report
    history = report["validation_history"]
    assert report["validation_ndcg_10"] == max(history)
    assert len(history) < 50
    gained_at = max(epoch for epoch, metric in enumerate(history) if metric > 1.005 * max([0.0, *history[:epoch]]))
    assert len(history) == gained_at + 1 + plan.patience


class Killed(BaseException):
    """As kill -9 in the middle of an epoch, as far as the run can tell."""


def test_a_killed_run_resumes_to_the_same_weights(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig], tmp_path: Path
) -> None:
    plan, file = replace(PLAN, epochs=5, patience=5), tmp_path / "run.safetensors"
    whole = train(shop_events, shop, config=make_config(), plan=plan)
    steps_per_epoch = whole.report["steps"] // 5
    for kill_at_step in (1, 8, 23):

        def kill(progress: TrainingProgress, at_step: int = kill_at_step) -> None:
            if progress.step == at_step:
                raise Killed

        with pytest.raises(Killed):
            train(shop_events, shop, config=make_config(), plan=plan, progress=kill, resume=file)
        told: list[TrainingProgress] = []
        resumed = train(shop_events, shop, config=make_config(), plan=plan, progress=told.append, resume=file)
        assert resumed.version == whole.version, kill_at_step
        whole_epochs = (kill_at_step - 1) // steps_per_epoch * steps_per_epoch
        assert told[0].step == 1 + whole_epochs, "whole epochs are not run again"
        assert not file.exists(), "a run that has ended leaves nothing behind"


def test_files_of_another_or_a_damaged_run_are_not_resumed(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig], tmp_path: Path
) -> None:
    plan, file = replace(PLAN, epochs=2), tmp_path / "run.safetensors"

    def kill(progress: TrainingProgress) -> None:
        if progress.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train(shop_events, shop, config=make_config(), plan=plan, seed=7, progress=kill, resume=file)
    stored = file.read_bytes()

    for damage, content, seed in (
        ("other seed", stored, 8),
        ("truncated", stored[:-100], 7),
        ("no safetensors", b"not a run", 7),
    ):
        file.write_bytes(content)
        told: list[TrainingProgress] = []
        train(shop_events, shop, config=make_config(), plan=plan, seed=seed, progress=told.append, resume=file)
        assert told[0].step == 1, damage


def test_a_catalogue_without_texts_gives_a_model_of_ids_alone(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig]
) -> None:
    silent = replace(shop, texts=("",) * 40, categories=((),) * 40)
    bundle = train(shop_events, silent, config=make_config(), plan=replace(PLAN, epochs=1))
    assert bundle.config.towers == ("id",)


def test_nothing_to_learn_from_is_said_in_words(shop: Catalogue) -> None:
    single = EventColumns(np.array([1, 2]), np.array([100, 101]), np.array([10**12, 10**12]))
    with pytest.raises(InvalidInput, match="wanted users with at least two events, got 2 events"):
        train(single, shop)
    strange = EventColumns(np.array([1, 1]), np.array([100, 7]), np.array([10**12, 10**12]))
    with pytest.raises(InvalidInput, match="1 events are of items that the catalogue does not hold"):
        train(strange, shop)


@pytest.mark.parametrize(("events_per_item", "fuses"), [(FEW_EVENTS - 1, True), (FEW_EVENTS, False)])
def test_ids_are_fused_where_items_have_few_events_unless_told(events_per_item: float, *, fuses: bool) -> None:
    left_open = ModelConfig(fused_id=None, dropout=None)
    decided = left_open.decided(events_per_item=events_per_item)
    assert (decided.fuses_id, decided.dropout_rate) == (fuses, 0.3 if fuses else 0.2)
    for told in (False, True):
        config = replace(left_open, fused_id=told, dropout=0.1).decided(events_per_item=events_per_item)
        assert (config.fuses_id, config.dropout_rate) == (told, 0.1)


def test_a_training_decides_what_is_left_open_by_its_events(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig]
) -> None:
    plan, items = replace(PLAN, epochs=1, max_seconds=0.0), shop_events.items
    assert len(items) / len(np.unique(items)) < FEW_EVENTS
    config = make_config(fused_id=None, dropout=None)
    few = train(shop_events, shop, config=config, plan=plan)
    many = train(replace(shop_events, items=items // 4 * 4), shop, config=config, plan=plan)
    decided = [(bundle.model.config.fused_id, bundle.model.config.dropout) for bundle in (few, many)]
    assert decided == [(True, 0.3), (False, 0.2)], "older versions, which know nothing left open, read it"
