"""The gap to now: changes nothing until it has learnt something, reads minutes, and any gap is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.catalogue.items import Catalogue
from core.clock import MINUTE_MS
from core.events.history import History
from core.records.stored import EventColumns
from model.network.config import ModelConfig
from model.network.now_gap import NUM_ROWS, UNKNOWN, NowGap
from model.training.train import TrainingPlan, train

START_MS = 1_300_000_000_000


def test_before_training_it_changes_nothing(make_config: Callable[..., ModelConfig]) -> None:
    now_gap, queries = NowGap(make_config()), torch.randn(3, 16)
    rows = now_gap.rows(torch.tensor([0, 10**6, 10**12]))
    assert now_gap(queries, rows).equal(queries)


def test_gaps_within_a_minute_are_one_and_any_gap_has_a_row(make_config: Callable[..., ModelConfig]) -> None:
    rows = NowGap(make_config()).rows(torch.tensor([-(10**15), 0, MINUTE_MS - 1, MINUTE_MS, 10**15])).tolist()
    assert rows == [1, 1, 1, 3, NUM_ROWS - 1]


def test_an_unknown_gap_stays_unshaped_whatever_is_learnt(make_config: Callable[..., ModelConfig]) -> None:
    now_gap, queries = NowGap(make_config()), torch.randn(2, 16)
    now_gap(queries, torch.tensor([UNKNOWN, 5])).square().sum().backward()
    assert now_gap.scale.grad is not None
    assert not now_gap.scale.grad[UNKNOWN].any()
    assert now_gap.scale.grad[5].any()


def habits(shop: Catalogue) -> EventColumns:
    """What follows depends on the gap alone: within a minute item 101, after ten days item 102; item 100 between."""
    rng = np.random.default_rng(0)
    users, items, times_ms = [], [], []
    for user in range(200):
        now_ms = START_MS + user * 50_000
        for _ in range(4):
            late = bool(rng.integers(2))
            for item, gap_ms in ((100, 86_400_000), (102 if late else 101, 864_000_000 if late else 1_000)):
                now_ms += gap_ms
                users.append(user)
                items.append(item)
                times_ms.append(now_ms)
    return EventColumns(np.array(users), np.array(items), np.array(times_ms))


def test_the_now_gap_separates_immediate_from_later_successors(
    shop: Catalogue, make_config: Callable[..., ModelConfig]
) -> None:
    plan = TrainingPlan(epochs=10, batch_events=128, learning_rate=1e-2, warmup_steps=5, validation_share=0.0)
    bundle = train(habits(shop), shop, config=make_config(now_gap=True, dropout=0.0), plan=plan)
    encoder, events = bundle.bind(shop), habits(shop)
    vector = encoder.encode([_first_of(events)])
    queries = encoder.query(np.repeat(vector, 2, axis=0), np.array([1_000, 864_000_000]))
    scores = queries @ encoder.items(np.array([1, 2])).T
    assert scores[0, 0] > scores[0, 1]
    assert scores[1, 1] > scores[1, 0]


def test_validation_matches_live_requests_and_reports_ndcg_without_the_gap(
    shop: Catalogue, make_config: Callable[..., ModelConfig]
) -> None:
    plan = TrainingPlan(epochs=10, batch_events=128, learning_rate=1e-2, warmup_steps=5, validation_share=0.1)
    report = train(habits(shop), shop, config=make_config(now_gap=True, dropout=0.0), plan=plan).report
    assert report["validation_ndcg_10"] == max(report["validation_history"])
    assert report["validation_ndcg_10"] > report["validation_ndcg_10_untold"]


def _first_of(events: EventColumns) -> History:
    return History(events.items[:1], events.times_ms[:1])


@pytest.mark.parametrize("now_gap", [True, False])
def test_the_switch_decides_whether_the_query_is_shaped(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig], now_gap: bool
) -> None:
    plan = replace(TrainingPlan(), epochs=1, batch_events=64, validation_share=0.0, warmup_steps=1)
    encoder = train(shop_events, shop, config=make_config(now_gap=now_gap), plan=plan).bind(shop)
    vectors = np.ones((2, encoder.width), np.float32)
    shaped = encoder.query(vectors, np.array([0, 30_000]))
    assert (not np.array_equal(shaped, vectors)) == now_gap
    assert shaped.dtype == np.float32
