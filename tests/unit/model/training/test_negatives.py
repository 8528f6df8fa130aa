"""Losses over sampled items: gBCE is its paper's formula, mixed negatives are corrected, and both learn and serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.catalogue.items import Catalogue
from core.events.history import History
from core.records.stored import EventColumns
from model.network.config import ModelConfig
from model.network.hm4sr import HM4SR
from model.training.data import TrainingData
from model.training.losses import generalised_bce
from model.training.negatives import mixed, uniform
from model.training.objective import Objective
from model.training.plan import NextItemLoss, TrainingPlan
from model.training.sequences import Sequences
from model.training.train import train

GAP_MS = 60_000


def by_the_paper(positive: float, negatives: list[float], *, alpha: float, t: float) -> float:
    """gBCE of one position as printed: powers and logarithms of probabilities, in float64."""

    def sigmoid(score: float) -> float:
        return float(1 / (1 + np.exp(-score)))

    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    logs = [np.log(sigmoid(positive) ** beta), *(np.log(1 - sigmoid(score)) for score in negatives)]
    return -float(np.sum(logs)) / (len(negatives) + 1)


@pytest.mark.parametrize("t", [0.0, 0.75, 1.0])
def test_gbce_is_the_formula_of_its_paper(t: float) -> None:
    positive, negatives = [2.0, -1.0], [[0.5, -3.0, 1.0], [0.0, 4.0, -2.0]]
    pairs = zip(positive, negatives, strict=True)
    expected = np.mean([by_the_paper(score, others, alpha=0.1, t=t) for score, others in pairs])
    loss = generalised_bce(torch.tensor(positive), torch.tensor(negatives), sampling_rate=0.1, calibration=t)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_a_hidden_negative_is_none_and_has_no_gradient() -> None:
    negative = torch.tensor([[0.5, -torch.inf, 1.0]], requires_grad=True)
    loss = generalised_bce(torch.tensor([2.0]), negative, sampling_rate=0.1, calibration=0.5)
    assert float(loss.detach()) == pytest.approx(by_the_paper(2.0, [0.5, 1.0], alpha=0.1, t=0.5), rel=1e-6)
    loss.backward()  # type: ignore[no-untyped-call]
    assert negative.grad is not None
    assert negative.grad.isfinite().all()


def test_without_a_position_gbce_is_0() -> None:
    assert float(generalised_bce(torch.ones(0), torch.ones(0, 3), sampling_rate=0.1, calibration=0.5)) == 0


@pytest.mark.parametrize(("hides_seen", "repeats"), [(False, False), (True, False), (False, True)])
def test_a_step_of_gbce_equals_the_formula_at_each_position(
    shop_events: EventColumns,
    hold_out: Callable[[EventColumns], TrainingData],
    make_config: Callable[..., ModelConfig],
    hides_seen: bool,
    repeats: bool,
) -> None:
    data = hold_out(shop_events)
    config = make_config(dropout=0.0, id_dropout=0.0, hides_seen=hides_seen, repeats=repeats)
    model = HM4SR(config, num_items=len(data.trained_rows)).initialise(seed=0).eval()
    if model.repeats is not None:
        with torch.no_grad():
            for parameter in model.repeats.parameters():
                parameter += 0.1 * torch.arange(parameter.numel()).view_as(parameter)
    objective = Objective(model, data, sampled_above=0, num_samples=15, calibration=0.75)
    windows = Sequences(data.ranges.first, np.full(len(data.ranges.first), 9))
    torch.manual_seed(1)
    batch = objective.prepare(windows)
    torch.manual_seed(1)
    loss = objective(windows)
    assert batch.scored_N is not None
    negatives = batch.rows_R[batch.scored_N].tolist()
    table_NC = model.item_vectors(data.id_rows, dict(data.features))
    inputs_BL, targets_BL = batch.rows_R[batch.inputs_BL], batch.rows_R[batch.targets_BL]
    scores_BLN = (model(table_NC[inputs_BL], batch.times_ms_BL) @ table_NC.T).detach()
    terms = []
    for window, position in np.ndindex(*targets_BL.shape):
        scores, target = scores_BLN[window, position].clone(), int(targets_BL[window, position])
        inputs = inputs_BL[window].tolist()
        if model.repeats is not None:
            added = model.score_offsets(batch.times_ms_BL[[window]], torch.tensor([position]))
            assert added is not None
            for item, value in zip(inputs, added[0].tolist(), strict=True):
                scores[item] += value
        hidden = set(inputs[: position + 1]) if hides_seen else set()
        others = [float(scores[item]) for item in negatives if item not in {target, *hidden}]
        terms.append(by_the_paper(float(scores[target]), others, alpha=15 / len(table_NC), t=0.75))
    assert float(loss.detach()) == pytest.approx(np.mean(terms), rel=1e-4)


def test_mixed_candidates_are_targets_and_uniform_items_with_corrections() -> None:
    share = torch.tensor([0.9, 0.1, *[0.0] * 8])
    draws = torch.Generator().manual_seed(0)
    seen = torch.zeros(10)
    for _ in range(2000):
        targets = torch.multinomial(share, 3, replacement=True, generator=draws)
        candidates, correction = mixed(targets, share, 2, draws)
        assert set(targets.tolist()) <= set(candidates.tolist())
        seen[candidates] += torch.exp(correction)
    # Each item's share of steps times 1 / probability is 1; the correction treats draws as a Poisson process.
    torch.testing.assert_close(seen / 2000, torch.ones(10), atol=0.15, rtol=0)


def test_uniform_negatives_are_distinct_and_each_as_likely() -> None:
    draws, seen = torch.Generator().manual_seed(0), torch.zeros(10)
    for _ in range(2000):
        drawn = uniform(10, 4, draws)
        assert len(set(drawn.tolist())) == 4
        seen[drawn] += 1
    torch.testing.assert_close(seen / 2000, torch.full((10,), 0.4), atol=0.05, rtol=0)
    assert uniform(3, 4, draws).tolist() == [0, 1, 2]


@pytest.mark.parametrize("loss", ["mixed", "gbce"])
def test_a_model_learns_by_it_what_follows(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig], loss: NextItemLoss
) -> None:
    plan = TrainingPlan(20, batch_events=128, learning_rate=1e-2, warmup_steps=5, patience=20)
    plan = replace(plan, loss=loss, calibration=0.0, num_samples=16)
    bundle = train(shop_events, shop, config=make_config(width=16, dropout=0.0), plan=plan, seed=1)
    assert bundle.report["validation_ndcg_10"] > 0.7
    encoder = bundle.bind(shop)
    walk = History(100 + 4 * np.arange(3), int(shop_events.times_ms.max()) + GAP_MS * np.arange(3))
    scores = encoder.items(np.arange(40)) @ encoder.encode([walk])[0]
    scores[[0, 4, 8]] = -np.inf
    assert scores.argmax() == 12  # theme 0 in its fixed order: 0, 4, 8, then 12
