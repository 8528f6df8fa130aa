"""Earlier events add to the scores of their own items: in the loss, in validation and in serving alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.catalogue.items import Catalogue
from core.errors import InvalidSettings
from core.events.history import History
from core.records.stored import EventColumns
from model.bundle import HM4SRBundle
from model.features import TextFeatures
from model.network.config import Modality, ModelConfig
from model.network.hm4sr import HM4SR
from model.network.repeat_model import NUM_GAPS, NUM_STEPS, RATE, RepeatModel
from model.training import softmax
from model.training.data import TrainingData
from model.training.softmax import Added
from model.training.train import TrainingPlan, train
from model.training.validation import TOP, validation_ndcg

DAY_MS = 86_400_000


@pytest.fixture
def repeats() -> RepeatModel:
    """With numbers of its own in every row."""
    repeat_model = RepeatModel().requires_grad_(False)
    repeat_model.gap += torch.randn(repeat_model.gap.shape, generator=torch.Generator().manual_seed(3))
    repeat_model.step += torch.randn(repeat_model.step.shape, generator=torch.Generator().manual_seed(4))
    return repeat_model


@pytest.fixture
def data(hold_out: Callable[[EventColumns], TrainingData], shop_events: EventColumns) -> TrainingData:
    """Every third event repeats the one before it."""
    repeated = np.arange(len(shop_events)) % 3 == 2
    items = np.where(repeated, np.roll(shop_events.items, 1), shop_events.items)
    return hold_out(EventColumns(shop_events.users, items, shop_events.times_ms))


@pytest.fixture
def model(data: TrainingData, make_network: Callable[..., HM4SR]) -> HM4SR:
    network = make_network(len(data.trained_rows), dropout=0.0, id_dropout=0.0, repeats=True)
    assert network.repeats is not None
    with torch.no_grad():
        for table in network.repeats.parameters():
            table /= RATE  # about as large as the other scores, so that some events come first and others don't
    return network


@pytest.fixture
def repeating(shop: Catalogue, make_network: Callable[..., HM4SR]) -> HM4SRBundle:
    text = TextFeatures.fit(shop, size=4, seed=0)
    assert text is not None
    network = make_network(30, contents=(Modality("text", text.size),), repeats=True)
    return HM4SRBundle(network, shop.item_ids[:30], (text,), "hm4sr-test")


def test_an_event_adds_by_the_time_and_by_the_number_of_events_since(repeats: RepeatModel) -> None:
    times_ms = torch.tensor([[0, DAY_MS, DAY_MS, DAY_MS + 3_000, 9 * DAY_MS]])
    added = repeats(times_ms, torch.tensor([3]))[0]
    gap, step = repeats.gap[:, 0], repeats.step[:, 0]
    day = int(np.log2(DAY_MS / 1000 + 4))
    expected = [gap[day] + step[2], gap[2] + step[1], gap[2] + step[1], gap[0] + step[0]]
    torch.testing.assert_close(added[:4], RATE * torch.stack(expected))
    assert float(added[4]) == 0, "what comes later adds nothing"


def test_each_doubling_of_the_gap_or_of_the_steps_is_a_row(repeats: RepeatModel) -> None:
    repeats.gap[:, 0], repeats.step[:, 0] = torch.arange(NUM_GAPS), 0
    for row in range(1, NUM_GAPS):
        gaps_ms = [seconds * 1000 for seconds in (2**row - 2, 2**row - 1, 2 ** (row + 10))]
        added = [float(repeats(torch.tensor([[0, gap_ms]]), torch.tensor([1]))[0, 0]) / RATE for gap_ms in gaps_ms]
        just_below = row - 1 if row <= 24 else row  # where float32 seconds are further apart than a second
        assert added == pytest.approx([just_below, row, min(row + 10, NUM_GAPS - 1)])
    repeats.gap[:, 0], repeats.step[:, 0] = 0, torch.arange(NUM_STEPS)
    added_L = repeats(torch.zeros(1, 1100, dtype=torch.int64), torch.tensor([1099]))[0] / RATE
    steps = np.arange(1099, -1, -1)
    expected = [min(int(step + 1).bit_length() - 1, NUM_STEPS - 1) for step in steps]
    assert added_L.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("max_logits", [1, 40, 2**23])
def test_the_softmax_trains_added_scores_and_adds_them_per_mention(
    monkeypatch: pytest.MonkeyPatch, max_logits: int
) -> None:
    monkeypatch.setattr(softmax, "MAX_LOGITS", max_logits)
    generator = torch.Generator().manual_seed(0)
    queries, candidates = torch.randn(7, 5, generator=generator), torch.randn(11, 5, generator=generator)
    targets, rows = (torch.randint(0, 11, shape, generator=generator) for shape in ((7,), (7, 4)))
    rows[0, 0], rows[1, 1] = targets[0], rows[1, 0]
    parts = (queries, candidates, torch.randn(7, 4, generator=generator))
    inputs, reference = ([part.clone().requires_grad_() for part in parts] for _ in range(2))
    loss = softmax.cross_entropy(inputs[0], inputs[1], targets, added=Added(rows, inputs[2]))
    one_hot = F.one_hot(rows, 11).float()
    expected = F.cross_entropy(
        reference[0] @ reference[1].T + torch.einsum("ps,psn->pn", reference[2], one_hot), targets
    )
    (3 * loss).backward()
    (3 * expected).backward()
    torch.testing.assert_close(loss, expected)
    for part, expected_part in zip(inputs, reference, strict=True):
        torch.testing.assert_close(part.grad, expected_part.grad)


@pytest.mark.parametrize("sampled_above", [50_000, 10], ids=["full softmax", "sampled softmax"])
def test_the_loss_scores_a_windows_own_items_with_what_its_events_add(
    data: TrainingData, model: HM4SR, take_step: Callable[..., Any], sampled_above: int
) -> None:
    step = take_step(data, model, sampled_above)
    losses = []
    for row, at in np.ndindex(*step.inputs_BL.shape):
        added_N = added_by(model, step.times_ms_BL, step.inputs_BL, row, at)[step.items_N]
        losses.append(F.cross_entropy(step.scores_BLN[row, at] + added_N, step.targets_BL[row, at]))
    torch.testing.assert_close(step.loss, torch.stack(losses).mean())


def added_by(model: HM4SR, times_ms_BL: Tensor, items_BL: Tensor, row: int, at: int) -> Tensor:
    """(N,) what the events of one window up to one of them add to the scores of all items, one after the other."""
    assert model.repeats is not None
    added_L = model.repeats(times_ms_BL[row][None, : at + 1], torch.tensor([at]))[0]
    sums = [added_L[items_BL[row, : at + 1] == item].sum() for item in range(model.num_items)]
    return torch.stack(sums)


def test_validation_ranks_a_windows_own_items_with_what_its_events_add(data: TrainingData, model: HM4SR) -> None:
    table_NC = model.item_vectors(data.id_rows, dict(data.features))
    gain, history = 0.0, 11
    for row in data.split.validation:
        before = torch.arange(row - history + model.config.window.start(history), row)
        items, times_ms = data.items[before][None], data.times_ms[before][None]
        query_C = model.last(table_NC[items], times_ms, torch.tensor([len(before)]))[0]
        scores_N = (table_NC @ query_C + added_by(model, times_ms, items, 0, len(before) - 1)).detach()
        rank = int((scores_N >= scores_N[data.items[row]]).sum())
        gain += 1 / np.log2(rank + 1) if rank <= TOP else 0.0
    assert validation_ndcg(model, data) == pytest.approx(gain / len(data.split.validation))
    assert gain > 0


def test_serving_adds_what_was_trained_and_only_within_the_window(
    repeating: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    long, size = make_history(25), repeating.window.size
    long.times_ms.flags.writeable = False  # as a stored window is
    added = repeating.bind(shop).repeats(long)
    assert repeating.model.repeats is not None
    assert added is not None
    expected = repeating.model.repeats(torch.from_numpy(long.times_ms[-size:].copy())[None], torch.tensor([size - 1]))
    np.testing.assert_array_equal(added[-size:], expected.numpy()[0])
    np.testing.assert_array_equal(added[:-size], np.zeros(25 - size))


def test_a_model_without_it_adds_nothing(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    assert bundle.bind(shop).repeats(make_history(5)) is None


def test_without_repeat_consumption_seen_items_learn_negative_scores(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig]
) -> None:
    plan = TrainingPlan(epochs=6, batch_events=64, learning_rate=1e-2, warmup_steps=1)
    trained = train(shop_events, shop, config=make_config(repeats=True), plan=plan, seed=0)
    last = History(shop_events.items[:9], shop_events.times_ms[:9])
    added = trained.bind(shop).repeats(last)
    assert added is not None
    assert added.max() < -1


def test_answers_without_what_the_user_has_had_leave_it_nothing_to_learn() -> None:
    with pytest.raises(InvalidSettings, match="not both repeats and hides_seen"):
        ModelConfig(repeats=True, hides_seen=True)
