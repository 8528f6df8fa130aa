"""Recency sampling: newer events are more often targets, in proportion to how many events came after them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.records.stored import EventColumns
from model.network.config import ModelConfig
from model.network.hm4sr import HM4SR
from model.training.data import TrainingData
from model.training.objective import Objective
from model.training.recency import LEAST_PROBABILITY, target_probabilities, with_target_share
from model.training.sequences import Sequences


@pytest.fixture
def data(hold_out: Callable[[EventColumns], TrainingData], shop_events: EventColumns) -> TrainingData:
    return hold_out(shop_events)


def test_a_probability_halves_with_each_share_of_newer_events(data: TrainingData) -> None:
    probabilities = target_probabilities(data, 0.25)
    trained = torch.from_numpy(data.split.train)
    order = data.times_ms[trained].argsort()
    in_time = probabilities[trained][order]
    at_share = [in_time[int(share * len(in_time)) - 1].item() for share in (0.25, 0.5, 0.75, 1.0)]
    assert at_share == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1], rel=0.02)


def test_the_oldest_events_stay_targets(data: TrainingData) -> None:
    assert target_probabilities(data, 0.01).min().item() == pytest.approx(LEAST_PROBABILITY)


def test_probabilities_depend_on_the_order_of_events_not_on_the_calendar(
    hold_out: Callable[[EventColumns], TrainingData], shop_events: EventColumns, data: TrainingData
) -> None:
    slower = replace(shop_events, times_ms=shop_events.times_ms * 3)
    torch.testing.assert_close(target_probabilities(hold_out(slower), 0.2), target_probabilities(data, 0.2))


def test_targets_are_drawn_in_proportion_to_their_probabilities(
    data: TrainingData, make_config: Callable[..., ModelConfig]
) -> None:
    model = HM4SR(make_config(), num_items=len(data.trained_rows)).initialise(seed=0)
    probabilities = target_probabilities(data, 0.25)
    objective = Objective(model, data, sampled_above=50_000, num_samples=1, probabilities_n=probabilities)
    windows = Sequences(data.ranges.first, np.full(len(data.ranges.first), 9))
    torch.manual_seed(0)
    drawn = torch.stack([objective.prepare(windows).trained_BL for _ in range(2000)]).float().mean(0)
    targets = torch.from_numpy(data.split.train[data.ranges.first[:, None] + 1 + np.arange(9)])
    torch.testing.assert_close(drawn, probabilities[targets].float(), atol=0.06, rtol=0)


def test_log_q_reads_the_share_among_drawn_targets(data: TrainingData) -> None:
    probabilities = torch.zeros(len(data.items))
    newest = data.split.train[-1]
    probabilities[newest] = 1.0
    share = with_target_share(data, probabilities).target_share
    assert share[data.items[newest]] == 1
    assert share.sum() == 1
