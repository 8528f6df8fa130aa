"""Fine-tuning: what it learns again, which rows new items get, what stays frozen, and that a killed run goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue.items import Catalogue
from core.errors import InvalidInput
from core.events.history import WindowShape
from core.records.stored import EventColumns
from model.bundle import HM4SRBundle
from model.network.config import Modality, ModelConfig
from model.network.hm4sr import UNSEEN
from model.training.data import Split, training_data
from model.training.fine_tuning import FineTuningPlan, fine_tune, recent_windows, replayed, target_share
from model.training.growth import first_rows
from model.training.sequences import Sequences, UserRanges
from model.training.train import TrainingPlan, train

SHAPE = WindowShape(8, 4)
CONFIG = ModelConfig(width=8, num_layers=1, num_heads=1, inner_width=16, window=SHAPE, contents=(Modality("text", 6),))
DAY_MS = 86_400_000
CUT_MS = 40 * DAY_MS
WORDS = ("red", "blue", "green", "warm", "cold", "soft", "hard")


def catalogue(num_items: int) -> Catalogue:
    texts = tuple(f"{WORDS[i % 7]} {WORDS[(i // 7) % 7]} thing" for i in range(num_items))
    ids = tuple(f"i{i}" for i in range(num_items))
    keys = np.arange(num_items, dtype=np.int64)
    return Catalogue(keys, ids, texts, ((),) * num_items, np.ones(num_items, np.bool_))


def events(num_users: int, num_items: int, *, first_day: int, num_days: int, seed: int) -> EventColumns:
    """Users who go round the items one after the other, one event a day."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(num_users), num_days)
    starts = np.repeat(rng.integers(0, num_items, num_users), num_days)
    days = np.tile(np.arange(first_day, first_day + num_days), num_users)
    return EventColumns(users, (starts + days) % num_items, days * DAY_MS + users)


def merged(first: EventColumns, second: EventColumns) -> EventColumns:
    users, items, times = (np.concatenate(pair) for pair in zip(_parts(first), _parts(second), strict=True))
    order = np.lexsort((times, users))
    return EventColumns(users[order], items[order], times[order])


def _parts(columns: EventColumns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return columns.users, columns.items, columns.times_ms


OLD = events(30, 20, first_day=20, num_days=20, seed=1)
NEW = events(30, 24, first_day=41, num_days=6, seed=1)  # four items more
ALL = merged(OLD, NEW)


@pytest.fixture(scope="module")
def parent() -> HM4SRBundle:
    return train(OLD, catalogue(20), config=CONFIG, plan=TrainingPlan(epochs=2, batch_events=256), seed=0)


def targets_of(windows: Sequences) -> list[int]:
    """The places of the events that are learnt."""
    starts = np.zeros(len(windows), np.int64) if windows.context is None else windows.context
    spans = zip(windows.first.tolist(), starts.tolist(), windows.length.tolist(), strict=True)
    return [row + 1 for first, start, length in spans for row in range(first + start, first + length)]


def test_every_recent_event_but_a_users_first_is_learnt_and_windows_fit() -> None:
    windows = recent_windows(ALL, CUT_MS, SHAPE)
    follows = np.diff(ALL.users, prepend=-1) == 0
    assert sorted(targets_of(windows)) == np.flatnonzero((ALL.times_ms >= CUT_MS) & follows).tolist()
    assert windows.num_targets == len(targets_of(windows))
    assert windows.length.max() <= SHAPE.size
    assert windows.length.sum() > windows.num_targets  # what came before is read along


@given(counts=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8))
def test_recent_windows_train_on_each_new_event_exactly_once(
    counts: list[tuple[int, int]],
) -> None:
    users = np.repeat(np.arange(len(counts)), [old + new for old, new in counts]).astype(np.int64)
    times = np.concatenate([np.r_[np.arange(old), 1000 + np.arange(new)] for old, new in counts]).astype(np.int64)
    if not len(users):
        return
    columns = EventColumns(users, np.zeros_like(users), times)
    windows = recent_windows(columns, 1000, SHAPE)
    follows = np.diff(users, prepend=-1) == 0
    assert sorted(targets_of(windows)) == np.flatnonzero((times >= 1000) & follows).tolist()
    assert all(follows[row] for row in targets_of(windows))
    assert not len(windows) or (windows.length.max() <= SHAPE.size and windows.length.min() > 0)


def test_replay_takes_about_as_many_events_as_asked_for_and_never_more() -> None:
    ranges, rng = UserRanges.of(ALL.users), np.random.default_rng(0)
    total = int(replayed(ranges, SHAPE, 200, rng).length.sum())
    assert 200 - SHAPE.size < total <= 200
    assert len(replayed(ranges, SHAPE, 0, rng)) == 0


@pytest.mark.parametrize("replay", [0.0, 1.0, 3.0])
def test_sampling_correction_equals_how_often_each_item_is_a_target(parent: HM4SRBundle, replay: float) -> None:
    """Otherwise what has just become popular would be taken for rare, and learnt to be so."""
    everything = Split(np.arange(len(ALL), dtype=np.int64), np.empty(0, np.int64))
    data = training_data(
        ALL, catalogue(24), everything, sources=parent.sources, category_names=(), device=torch.device("cpu")
    )
    recent, rng, counts = recent_windows(ALL, CUT_MS, SHAPE), np.random.default_rng(0), np.zeros(24)
    for _ in range(50):
        windows = recent.join(replayed(data.ranges, SHAPE, int(replay * recent.num_targets), rng))
        counts += np.bincount(data.items[targets_of(windows)].numpy(), minlength=24)
    share = target_share(data, CUT_MS, replay).numpy()
    np.testing.assert_allclose(share, counts / counts.sum(), atol=0.01)
    assert share.sum() == pytest.approx(1)


def test_sampled_and_full_softmax_differ_when_items_exceed_samples(
    parent: HM4SRBundle,
) -> None:
    few, all_, more = (
        fine_tune(parent, ALL, catalogue(24), since_ms=CUT_MS, plan=FineTuningPlan(epochs=1, num_samples=number))
        for number in (8, 24, 1000)
    )
    assert few.version != all_.version == more.version


def test_new_items_get_rows_after_the_old_ones(parent: HM4SRBundle) -> None:
    tuned = fine_tune(parent, ALL, catalogue(24), since_ms=CUT_MS, plan=FineTuningPlan(epochs=1))
    assert tuned.item_ids[: len(parent.item_ids)] == parent.item_ids
    assert set(tuned.item_ids[len(parent.item_ids) :]) == {"i20", "i21", "i22", "i23"}
    assert tuned.sources is parent.sources
    assert tuned.model.time_encoding.origin_ms == parent.model.time_encoding.origin_ms
    assert (tuned.report["parent"], tuned.report["new_items"]) == (parent.version, 4)
    assert tuned.version != parent.version


def test_the_parent_is_left_as_it_was(parent: HM4SRBundle) -> None:
    before = {name: tensor.clone() for name, tensor in parent.model.state_dict().items()}
    fine_tune(parent, ALL, catalogue(24), since_ms=CUT_MS, plan=FineTuningPlan(epochs=1))
    after = parent.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_same_seed_gives_the_same_model_and_another_one_another(parent: HM4SRBundle) -> None:
    models = [
        fine_tune(parent, ALL, catalogue(24), since_ms=CUT_MS, plan=FineTuningPlan(epochs=1), seed=s) for s in (1, 1, 2)
    ]
    assert models[0].version == models[1].version != models[2].version


def test_a_run_that_was_killed_goes_on_to_the_same_model(parent: HM4SRBundle, tmp_path) -> None:  # type: ignore[no-untyped-def]
    class Killed(Exception):
        pass

    def kill(at) -> None:  # type: ignore[no-untyped-def]
        if at.epoch == 2:
            raise Killed

    plan, file = FineTuningPlan(epochs=3), tmp_path / "run"
    uninterrupted = fine_tune(parent, ALL, catalogue(24), since_ms=CUT_MS, plan=plan)
    with pytest.raises(Killed):
        fine_tune(parent, ALL, catalogue(24), since_ms=CUT_MS, plan=plan, progress=kill, resume=file)
    assert file.exists()
    resumed = fine_tune(parent, ALL, catalogue(24), since_ms=CUT_MS, plan=plan, resume=file)
    assert resumed.version == uninterrupted.version
    assert not file.exists()


def test_nothing_new_is_said_so(parent: HM4SRBundle) -> None:
    with pytest.raises(InvalidInput, match="wait for more"):
        fine_tune(parent, ALL, catalogue(24), since_ms=4 * 10**12)


def test_a_new_item_starts_near_the_rows_of_items_with_its_content(parent: HM4SRBundle) -> None:
    """Rows that are a linear map of the content are recovered, where there is content; else the unseen row."""
    shop = catalogue(24)
    source = parent.sources[0]
    contents = source.transform(source.keys(shop))[0]
    mapping = np.random.default_rng(0).normal(size=(contents.shape[1], CONFIG.width))
    table = np.concatenate([np.zeros((1, CONFIG.width)), 100 * contents[:20] @ mapping]).astype(np.float32)
    model = type(parent.model)(parent.config, num_items=20)
    state = {**parent.model.state_dict(), "id_embedding": torch.from_numpy(table)}
    model.load_state_dict(state)
    grown = replace(parent, model=model, item_ids=tuple(f"i{i}" for i in range(20)))
    bare = replace(shop, texts=(*shop.texts[:23], ""))
    rows = first_rows(grown, bare, ["i20", "i23"])
    expected = 100 * contents[20] @ mapping
    assert np.dot(rows[0], expected) / (np.linalg.norm(rows[0]) * np.linalg.norm(expected)) > 0.8
    np.testing.assert_array_equal(rows[1], table[UNSEEN])
