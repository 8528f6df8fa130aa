"""A model for answers without seen items: its loss, its validation and its start leave out what serving leaves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.items import Catalogue
from core.ports import EventColumns
from model import softmax
from model.config import ModelConfig
from model.features import TextFeatures
from model.hm4sr import HM4SR
from model.objective import Objective
from model.sequences import Sequences
from model.training_data import Split, TrainingData, training_data
from model.validation import TOP, validation_ndcg


@pytest.fixture
def data(shop: Catalogue, shop_events: EventColumns) -> TrainingData:
    """The last event of each user is held out."""
    text = TextFeatures.fit(shop, size=4, seed=0)
    assert text is not None
    last = np.append(np.diff(shop_events.users) > 0, True)
    split = Split(np.flatnonzero(~last), np.flatnonzero(last))
    cpu = torch.device("cpu")
    return training_data(shop_events, shop, split, sources=(text,), category_names=(), device=cpu)


@pytest.fixture
def model(data: TrainingData, make_config: Callable[..., ModelConfig]) -> HM4SR:
    config = make_config(dropout=0.0, id_dropout=0.0, hides_seen=True)
    return HM4SR(config, num_items=len(data.trained_rows)).initialise(seed=0).eval()


@pytest.mark.parametrize("max_logits", [1, 40, 2**23])
def test_the_softmax_runs_over_what_is_not_left_out_but_always_over_the_target(
    monkeypatch: pytest.MonkeyPatch, max_logits: int
) -> None:
    monkeypatch.setattr(softmax, "MAX_LOGITS", max_logits)
    generator = torch.Generator().manual_seed(0)
    queries, candidates = torch.randn(7, 5, generator=generator), torch.randn(11, 5, generator=generator)
    targets, left_out = (torch.randint(0, 11, shape, generator=generator) for shape in ((7,), (7, 3)))
    left_out[0, 0] = targets[0]
    ours, plain = ([part.clone().requires_grad_() for part in (queries, candidates)] for _ in range(2))
    softmax.cross_entropy(*ours, targets, places_PS=left_out, added_PS=torch.full((7, 3), -torch.inf)).backward()
    mean_of_rows(plain[0] @ plain[1].T, targets.tolist(), left_out.tolist()).backward()  # type: ignore[no-untyped-call]
    for mine, theirs in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def mean_of_rows(scores: Tensor, targets: Sequence[int], left_out: Sequence[Sequence[int]]) -> Tensor:
    """Each row's cross-entropy over the candidates that it has, one row after the other."""
    losses = []
    for row, target, without in zip(scores, targets, left_out, strict=True):
        kept = [place for place in range(len(row)) if place == target or place not in without]
        losses.append(F.cross_entropy(row[kept][None], torch.tensor([kept.index(target)])))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("sampled_above", [50_000, 10], ids=["full softmax", "sampled softmax"])
def test_the_next_item_is_chosen_among_those_that_the_window_has_not_had_so_far(
    data: TrainingData, model: HM4SR, sampled_above: int
) -> None:
    inputs = 9
    objective = Objective(model, data, sampled_above=sampled_above, num_samples=25)
    sequences = Sequences(data.ranges.first, np.full(len(data.ranges.first), inputs))
    torch.manual_seed(1)
    batch = objective.prepare(sequences)
    torch.manual_seed(1)
    loss = objective(sequences)
    table_NC = model.item_vectors(data.id_rows, dict(data.features))
    rows_R = batch.rows_R if batch.scored_N is None else batch.rows_R[batch.scored_N]
    items = batch.rows_R[batch.inputs_BL]
    queries_PC = model(table_NC[items], batch.times_ms_BL).flatten(0, 1)
    scores = queries_PC @ table_NC[rows_R].T + (0 if batch.bias_N is None else batch.bias_N)
    place = {int(item): at for at, item in enumerate(rows_R)}
    targets = [place[int(item)] for item in batch.rows_R[batch.targets_BL].flatten()]
    had = [{place[int(item)] for item in row[: at + 1] if int(item) in place} for row in items for at in range(inputs)]
    torch.testing.assert_close(loss, mean_of_rows(scores, targets, [sorted(places) for places in had]))


def test_validation_ranks_among_what_the_window_has_not_had(data: TrainingData, model: HM4SR) -> None:
    table_NC = model.item_vectors(data.id_rows, dict(data.features))
    gain, asked, history = 0.0, data.split.validation, 11
    for place in asked:
        before = torch.arange(place - history + model.config.window.start(history), place)
        items = data.items[before]
        query_C = model.last(table_NC[items][None], data.times_ms[before][None], torch.tensor([len(before)]))[0]
        scores_N = (table_NC @ query_C).detach()
        kept = [row for row in range(len(scores_N)) if row not in items]
        target = int(data.items[place])
        rank = sum(float(scores_N[row]) >= float(scores_N[target]) for row in kept) if target in kept else TOP + 1
        gain += 1 / np.log2(rank + 1) if rank <= TOP else 0.0
    assert validation_ndcg(model, data) == pytest.approx(gain / len(asked))
    assert gain > 0


def test_the_temporal_moe_starts_near_doing_nothing_where_repeats_need_not_be_unlearnt(
    model: HM4SR, make_network: Callable[..., HM4SR]
) -> None:
    published = make_network()
    assert model.temporal is not None
    assert published.temporal is not None
    assert float(model.temporal.expert.detach().mean()) == pytest.approx(1.0, abs=0.1)
    assert float(published.temporal.expert.detach().mean()) == pytest.approx(0.0, abs=0.1)
