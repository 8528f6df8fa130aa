"""A model for answers without seen items: its loss, its validation and its start leave out what serving leaves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.records.stored import EventColumns
from model.network.config import ModelConfig
from model.network.hm4sr import HM4SR
from model.training import softmax
from model.training.data import TrainingData
from model.training.softmax import Added
from model.training.validation import TOP, validation_ndcg


@pytest.fixture
def data(hold_out: Callable[[EventColumns], TrainingData], shop_events: EventColumns) -> TrainingData:
    return hold_out(shop_events)


@pytest.fixture
def model(data: TrainingData, make_config: Callable[..., ModelConfig]) -> HM4SR:
    config = make_config(dropout=0.0, id_dropout=0.0, hides_seen=True)
    return HM4SR(config, num_items=len(data.trained_rows)).initialise(seed=0).eval()


@pytest.mark.parametrize("max_logits", [1, 40, 2**23])
def test_the_softmax_skips_excluded_items_but_never_the_target(
    monkeypatch: pytest.MonkeyPatch, max_logits: int
) -> None:
    monkeypatch.setattr(softmax, "MAX_LOGITS", max_logits)
    generator = torch.Generator().manual_seed(0)
    queries, candidates = torch.randn(7, 5, generator=generator), torch.randn(11, 5, generator=generator)
    targets, excluded = (torch.randint(0, 11, shape, generator=generator) for shape in ((7,), (7, 3)))
    excluded[0, 0] = targets[0]
    inputs, reference = ([part.clone().requires_grad_() for part in (queries, candidates)] for _ in range(2))
    softmax.cross_entropy(*inputs, targets, added=Added(excluded, torch.full((7, 3), -torch.inf))).backward()
    mean_of_rows(reference[0] @ reference[1].T, targets.tolist(), excluded.tolist()).backward()  # type: ignore[no-untyped-call]
    for part, expected_part in zip(inputs, reference, strict=True):
        torch.testing.assert_close(part.grad, expected_part.grad)


def mean_of_rows(scores: Tensor, targets: Sequence[int], excluded: Sequence[Sequence[int]]) -> Tensor:
    """Each row's cross-entropy over the candidates that it has, one row after the other."""
    losses = []
    for row, target, excluded_rows in zip(scores, targets, excluded, strict=True):
        candidates = [column for column in range(len(row)) if column == target or column not in excluded_rows]
        losses.append(F.cross_entropy(row[candidates][None], torch.tensor([candidates.index(target)])))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("sampled_above", [50_000, 10], ids=["full softmax", "sampled softmax"])
def test_the_next_item_is_chosen_among_items_not_yet_in_the_window(
    data: TrainingData, model: HM4SR, take_step: Callable[..., Any], sampled_above: int
) -> None:
    step = take_step(data, model, sampled_above)
    column_of = {int(item): at for at, item in enumerate(step.items_N)}
    seen_columns = [
        {column_of[int(item)] for item in row[: at + 1] if int(item) in column_of}
        for row in step.inputs_BL
        for at in range(9)
    ]
    expected = mean_of_rows(
        step.scores_BLN.flatten(0, 1), step.targets_BL.flatten().tolist(), [sorted(columns) for columns in seen_columns]
    )
    torch.testing.assert_close(step.loss, expected)


def test_validation_ranks_among_what_the_window_has_not_had(data: TrainingData, model: HM4SR) -> None:
    table_NC = model.item_vectors(data.id_rows, dict(data.features))
    gain, validation, history = 0.0, data.split.validation, 11
    for place in validation:
        before = torch.arange(place - history + model.config.window.start(history), place)
        items = data.items[before]
        query_C = model.last(table_NC[items][None], data.times_ms[before][None], torch.tensor([len(before)]))[0]
        scores_N = (table_NC @ query_C).detach()
        candidates = [row for row in range(len(scores_N)) if row not in items]
        target = int(data.items[place])
        rank = (
            sum(float(scores_N[row]) >= float(scores_N[target]) for row in candidates)
            if target in candidates
            else TOP + 1
        )
        gain += 1 / np.log2(rank + 1) if rank <= TOP else 0.0
    assert validation_ndcg(model, data) == pytest.approx(gain / len(validation))
    assert gain > 0


def test_the_temporal_moe_starts_near_identity_when_repeats_are_handled(
    model: HM4SR, make_network: Callable[..., HM4SR]
) -> None:
    published = make_network()
    assert model.temporal is not None
    assert published.temporal is not None
    assert float(model.temporal.expert.detach().mean()) == pytest.approx(1.0, abs=0.1)
    assert float(published.temporal.expert.detach().mean()) == pytest.approx(0.0, abs=0.1)
