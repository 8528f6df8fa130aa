"""Experts of contents: two of them for each item, weights of modalities, the same in training and when bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from incremental_parity import num_extended_as_full
from torch import nn

from core.catalogue.items import Catalogue
from core.events.history import History
from core.records.stored import EventColumns
from model.bundle import HM4SRBundle
from model.checkpoint import load, save
from model.features import TextFeatures
from model.network.config import LossWeights, Modality
from model.network.content_experts import ExpertProjection, ModalityWeights, imbalance
from model.network.hm4sr import HM4SR
from model.training.data import Split, TrainingData, training_data
from model.training.objective import Objective
from model.training.sequences import Sequences


def randomise(module: nn.Module) -> None:
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    module.requires_grad_(False)


@pytest.fixture
def sources(shop: Catalogue) -> tuple[TextFeatures, ...]:
    """Two modalities of all items but the last, which has none."""
    fitted = [TextFeatures.fit(shop, size=size, seed=0) for size in (4, 3)]
    assert all(fitted)
    return tuple(replace(source, name=name) for source, name in zip(fitted, ("text", "other"), strict=True) if source)


@pytest.fixture
def expert_bundle(
    shop: Catalogue, sources: tuple[TextFeatures, ...], make_network: Callable[..., HM4SR]
) -> HM4SRBundle:
    contents = tuple(Modality(source.name, source.size) for source in sources)
    network = make_network(30, contents=contents, content_experts=3, fused_id=True)
    return HM4SRBundle(network, shop.item_ids[:30], sources, "hm4sr-content")


@pytest.fixture
def data(shop: Catalogue, shop_events: EventColumns, sources: tuple[TextFeatures, ...]) -> TrainingData:
    whole = Split(np.arange(len(shop_events)), np.empty(0, np.int64))
    device = torch.device("cpu")
    return training_data(shop_events, shop, whole, sources=sources, category_names=(), device=device)


def test_an_item_is_projected_by_its_two_best_experts() -> None:
    projection = ExpertProjection(5, 4, 3)
    randomise(projection)
    for x in torch.randn(6, 5, generator=torch.Generator().manual_seed(9)):
        gates = projection.gate(x)
        best = gates.argsort(descending=True)[:2]
        weights = torch.softmax(gates[best], dim=0)
        outputs = [projection.experts.weight.view(3, 4, 5)[k] @ x + projection.experts.bias.view(3, 4)[k] for k in best]
        expected = weights[0] * outputs[0] + weights[1] * outputs[1]
        torch.testing.assert_close(projection(x[None])[0], expected)


def test_modalities_that_an_item_has_share_a_weight_of_1() -> None:
    weigh = ModalityWeights(2, 4)
    randomise(weigh)
    contents = [torch.randn(4, 4, generator=torch.Generator().manual_seed(n)) for n in (1, 2)]
    weights = weigh(contents, torch.tensor([[True, True], [True, False], [False, True], [False, False]]))
    torch.testing.assert_close(weights.sum(1), torch.ones(4))
    assert weights[1].tolist() == [1, 0]
    assert weights[2].tolist() == [0, 1]
    of_text, of_other = (float(contents[m][0] @ weigh.weight[m] + weigh.bias[m]) for m in (0, 1))
    assert float(weights[0, 0] / weights[0, 1]) == pytest.approx(math.exp(of_text - of_other), rel=1e-4)


def test_at_first_all_modalities_have_the_same_weight_and_no_imbalance(make_network: Callable[..., HM4SR]) -> None:
    weigh = ModalityWeights(2, 4).requires_grad_(False)
    weights = weigh([torch.ones(3, 4), torch.ones(3, 4)], torch.ones(3, 2, dtype=torch.bool))
    torch.testing.assert_close(weights, torch.full((3, 2), 0.5))
    assert float(imbalance(weights)) == pytest.approx(0, abs=1e-6)


def test_imbalance_is_the_divergence_of_the_mean_weights() -> None:
    weights = torch.tensor([[0.9, 0.1], [0.7, 0.3]])
    assert float(imbalance(weights)) == pytest.approx(0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2), rel=1e-5)


def test_the_balance_term_enters_the_loss(data: TrainingData, make_network: Callable[..., HM4SR]) -> None:
    losses = []
    for balance in (0.0, 2.0):
        contents = (Modality("text", 4), Modality("other", 3))
        weights = LossWeights(balance=balance)
        model = make_network(40, contents=contents, content_experts=3, losses=weights, dropout=0.0, id_dropout=0.0)
        windows = Sequences(data.ranges.first, np.full(len(data.ranges.first), 9))
        losses.append(float(Objective(model, data, sampled_above=50_000, num_samples=1)(windows).detach()))
    present = torch.stack([data.features[name].present for name in model.contents], dim=1)
    parts = [projection(data.features[name]) for name, projection in model.contents.items()]
    assert model.modality_weights is not None
    expected = 2 * float(imbalance(model.modality_weights(parts, present)).detach())
    assert losses[1] - losses[0] == pytest.approx(expected, rel=1e-3)
    assert expected > 0


def test_bound_items_have_the_vectors_of_training_new_ones_too(
    expert_bundle: HM4SRBundle, shop: Catalogue, data: TrainingData
) -> None:
    rows = torch.from_numpy(expert_bundle.id_rows([shop.item_ids[row] for row in data.trained_rows]))
    with torch.inference_mode():
        trained = expert_bundle.model.item_vectors(rows, dict(data.features))
    bound = expert_bundle.bind(shop).items(data.trained_rows)
    np.testing.assert_allclose(bound, trained.numpy(), atol=1e-5)
    assert len(np.unique(bound[30:], axis=0)) == 4  # the texts of new items differ by their themes alone


def test_incremental_vectors_and_a_checkpoint_equal_a_full_encode(
    expert_bundle: HM4SRBundle, shop: Catalogue, tmp_path: Path, make_history: Callable[..., History]
) -> None:
    save(expert_bundle, tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.config.content_experts == 3
    num_extended_as_full(expert_bundle, shop, make_history, lengths=(3, 4, 6, 8), num_users=4)
    histories, plain = [make_history(8, seed=seed) for seed in range(4)], expert_bundle.bind(shop)
    np.testing.assert_array_equal(again.bind(shop).encode(histories), plain.encode(histories))
