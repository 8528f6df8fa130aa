"""The auxiliary losses: equal targets are no negatives, CP counts items and not positions, and switches switch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from core.catalogue.items import Catalogue
from core.records.stored import EventColumns
from model.network.config import LossWeights, ModelConfig
from model.training import objective
from model.training.losses import category_prediction, id_contrast, placeholder_contrast
from model.training.train import TrainingPlan, train

PLAN = TrainingPlan(epochs=2, batch_events=128, learning_rate=5e-3, warmup_steps=5, validation_share=0.0)


def test_idcl_by_hand_for_two_pairs_at_right_angles() -> None:
    axes = torch.eye(2) * 7  # the length must not matter
    loss = id_contrast(axes, axes, torch.tensor([1, 2]), temperature=0.5)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-2.0)))


@pytest.mark.parametrize("released", [False, True])
def test_same_target_pairs_are_masked_and_score_0_only_when_released(released: bool) -> None:
    queries = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    loss = id_contrast(queries, queries, torch.tensor([5, 5, 9]), temperature=1.0, released=released)
    same = math.exp(0.0) if released else 0.0
    first = -math.log(math.e / (math.e + same + 1))
    last = -math.log(math.e / (math.e + 1 + 1))
    assert float(loss) == pytest.approx((2 * first + last) / 3)


def test_pcl_is_the_mean_over_content_towers_and_0_without_negatives() -> None:
    plain, replaced = torch.randn(2, 1, 4), torch.randn(2, 1, 4)
    assert float(placeholder_contrast(plain, replaced, torch.tensor([3]), temperature=1.0)) == 0.0


def test_cp_at_even_odds_costs_log_two() -> None:
    assert float(category_prediction(torch.zeros(3, 4), torch.ones(3, 4))) == pytest.approx(math.log(2))


def test_cp_counts_distinct_items_once_and_skips_uncategorised_items(
    shop: Catalogue,
    shop_events: EventColumns,
    make_config: Callable[..., ModelConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: list[Tensor] = []

    def watched(logits_NK: Tensor, categories_NK: Tensor) -> Tensor:
        rows.append(categories_NK)
        return category_prediction(logits_NK, categories_NK)

    monkeypatch.setattr(objective, "category_prediction", watched)
    bare = replace(shop, categories=((), *shop.categories[1:]))
    config = make_config(losses=LossWeights(cp=1.0))
    train(shop_events, bare, config=config, plan=replace(PLAN, epochs=1, batch_events=10_000))
    assert [len(batch) for batch in rows] == [39], "600 positions, 40 items, one of them without categories"
    assert all((batch.sum(1) == 1).all() for batch in rows)


def test_the_released_preset_freezes_experts_and_uses_all_positions_for_cp(
    shop: Catalogue,
    shop_events: EventColumns,
    make_config: Callable[..., ModelConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: list[int] = []

    def watched(logits_NK: Tensor, categories_NK: Tensor) -> Tensor:
        rows.append(len(categories_NK))
        return category_prediction(logits_NK, categories_NK)

    monkeypatch.setattr(objective, "category_prediction", watched)
    plan = replace(PLAN, epochs=1, batch_events=10_000)
    for released in (True, False):
        config = make_config(released=released, losses=LossWeights(idcl=1.0, cp=1.0, pcl=1.0))
        start = train(shop_events, shop, config=config, plan=replace(plan, max_seconds=0.0)).model.temporal
        after = train(shop_events, shop, config=config, plan=plan).model.temporal
        assert start is not None
        assert after is not None
        assert after.expert.equal(start.expert) == released
    assert rows == [60 * 11, 40]


@pytest.mark.parametrize("name", ["idcl", "cp", "pcl"])
def test_each_loss_changes_what_is_learnt_and_owns_its_weights(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig], name: str
) -> None:
    plain = train(shop_events, shop, config=make_config(), plan=PLAN)
    config = make_config(losses=LossWeights(**{name: 1.0}))
    trained = train(shop_events, shop, config=config, plan=PLAN)
    expected = {"idcl": set(), "cp": {"category_head"}, "pcl": {"placeholders"}}[name]
    extra = {key.split(".")[0] for key in trained.model.state_dict()} - {
        key.split(".")[0] for key in plain.model.state_dict()
    }
    assert extra == expected
    assert not trained.model.id_embedding.equal(plain.model.id_embedding)
    assert all(tensor.isfinite().all() for tensor in trained.model.state_dict().values())


@pytest.mark.parametrize(
    "change", [{}, {"use_id": False}, {"contents": ()}, {"gaps": "shuffled"}, {"gaps": "off"}], ids=str
)
def test_all_losses_together_still_learn_under_each_ablation(
    shop: Catalogue, shop_events: EventColumns, make_config: Callable[..., ModelConfig], change: dict[str, object]
) -> None:
    losses: list[float] = []
    config = make_config(losses=LossWeights(idcl=0.5, cp=0.5, pcl=0.5), **change)
    train(shop_events, shop, config=config, plan=replace(PLAN, epochs=4), progress=lambda p: losses.append(p.loss))
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
