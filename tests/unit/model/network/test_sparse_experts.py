"""Specialised experts: two of them for each event, warmed up, the same on all paths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from incremental_parity import num_extended_as_full
from torch import Tensor
from torch.nn import functional as F

from core.catalogue.items import Catalogue
from core.errors import InvalidSettings
from core.events.history import History
from model.bundle import HM4SRBundle
from model.checkpoint import load, save
from model.features import TextFeatures
from model.network.config import Modality, ModelConfig
from model.network.hm4sr import HM4SR
from model.network.layers import StackedLinear
from model.network.sparse_experts import WARMUP_STEPS, SparseExperts


@pytest.fixture
def experts(make_config: Callable[..., ModelConfig]) -> SparseExperts:
    experts = SparseExperts(make_config(sparse_experts=3, inner_width=12))
    with torch.no_grad():
        for parameter in experts.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return experts.eval().requires_grad_(False)


@pytest.fixture
def expert_bundle(shop: Catalogue, make_network: Callable[..., HM4SR]) -> HM4SRBundle:
    text = TextFeatures.fit(shop, size=4, seed=0)
    assert text is not None
    network = make_network(30, contents=(Modality("text", text.size),), sparse_experts=4)
    return HM4SRBundle(network, shop.item_ids[:30], (text,), "hm4sr-experts")


def inputs() -> Tensor:
    return torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))


def one_event(experts: SparseExperts, tower: int, x: Tensor) -> Tensor:
    """The formula of the paper for one event: its two experts, one after the other."""

    def part(linear: StackedLinear, begin: int, end: int) -> tuple[Tensor, Tensor]:
        return linear.weight[tower][:, begin:end], linear.bias[tower, 0, begin:end]

    gates = x @ experts.gate.weight[tower] + experts.gate.bias[tower, 0]
    picked = sorted(range(3), key=lambda number: -float(gates[number]))[:2]
    weights = torch.softmax(gates[picked], dim=0)
    out = experts.outer.bias[tower, 0]
    for weight, number in zip(weights, picked, strict=True):
        w_in, b_in = part(experts.inner, 4 * number, 4 * number + 4)
        out = out + weight * F.gelu(x @ w_in + b_in) @ experts.outer.weight[tower, 4 * number : 4 * number + 4]
    return torch.sigmoid(experts.alpha[tower]) * out


def test_each_event_gets_the_weighted_sum_of_its_two_experts(experts: SparseExperts) -> None:
    x = inputs()
    expected = torch.stack([torch.stack([one_event(experts, tower, event) for event in x[tower]]) for tower in (0, 1)])
    torch.testing.assert_close(experts(x), expected)


def test_two_experts_have_all_the_weight(experts: SparseExperts) -> None:
    route = experts.route(inputs())
    assert ((route > 0).sum(-1) == 2).all()
    torch.testing.assert_close(route.sum(-1), torch.ones(2, 5))


def test_the_last_towers_alone_get_what_they_get_among_all(experts: SparseExperts) -> None:
    torch.testing.assert_close(experts(inputs()[1:]), experts(inputs())[1:])


def test_in_training_they_are_faded_in(experts: SparseExperts) -> None:
    whole, x = experts(inputs()), inputs()
    experts.train()
    assert not experts(x).any()
    for _ in range(WARMUP_STEPS // 2 - 1):
        experts(x)
    torch.testing.assert_close(experts(x), whole / 2)
    for _ in range(WARMUP_STEPS):
        last = experts(x)
    torch.testing.assert_close(last, whole)


def test_one_expert_alone_is_refused(make_config: Callable[..., ModelConfig]) -> None:
    with pytest.raises(InvalidSettings, match="no sparse experts, or at least 2"):
        make_config(sparse_experts=1)


def test_incremental_vectors_equal_a_full_encode(
    expert_bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    assert num_extended_as_full(expert_bundle, shop, make_history) == 18


def test_a_checkpoint_keeps_them(
    expert_bundle: HM4SRBundle, shop: Catalogue, tmp_path: Path, make_history: Callable[..., History]
) -> None:
    save(expert_bundle, tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.config.sparse_experts == 4
    history = [make_history(8)]
    np.testing.assert_array_equal(again.bind(shop).encode(history), expert_bundle.bind(shop).encode(history))
