"""Facets: each head of the last layer predicts by itself, its queries are routed, and all paths agree."""

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
from core.events.history import History
from model.bundle import HM4SRBundle
from model.checkpoint import load, save
from model.features import TextFeatures
from model.network.config import Modality, ModelConfig
from model.network.facets import FacetLayer
from model.network.hm4sr import HM4SR


@pytest.fixture
def layer(make_config: Callable[..., ModelConfig]) -> FacetLayer:
    layer = FacetLayer(make_config(facet_experts=3))
    with torch.no_grad():
        for number, parameter in enumerate(layer.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    return layer.eval().requires_grad_(False)


@pytest.fixture(params=[False, True], ids=["plain attention", "relative attention"])
def facet_bundle(shop: Catalogue, make_network: Callable[..., HM4SR], request: pytest.FixtureRequest) -> HM4SRBundle:
    text = TextFeatures.fit(shop, size=4, seed=0)
    assert text is not None
    contents = (Modality("text", text.size),)
    network = make_network(30, contents=contents, facet_experts=3, relative_attention=request.param)
    return HM4SRBundle(network, shop.item_ids[:30], (text,), "hm4sr-facets")


def inputs() -> Tensor:
    return torch.randn(2, 1, 5, 8, generator=torch.Generator().manual_seed(0))


def score_by_the_paper(layer: FacetLayer, tower: int, x_LD: Tensor, item_D: Tensor) -> float:
    """The score of one item after the last event: sum over heads of g_h <f_h, W_h x>, one head after the other."""
    heads = []
    for head in range(2):
        columns = slice(4 * head, 4 * head + 4)
        weight, bias = layer.key_value.weight[tower], layer.key_value.bias[tower]
        keys = x_LD @ weight[:, :8][:, columns] + bias[:, :8][:, columns]
        values = x_LD @ weight[:, 8:][:, columns] + bias[:, 8:][:, columns]
        told = []
        for expert in range(3):
            own = slice(8 * expert + 4 * head, 8 * expert + 4 * head + 4)
            query = x_LD[-1] @ layer.query.weight[tower][:, own] + layer.query.bias[tower, 0, own]
            told.append(torch.softmax(keys @ query / 2, dim=0) @ values)
        row = 2 * tower + head
        route = torch.softmax(torch.cat(told) @ layer.router.weight[row] + layer.router.bias[row, 0], dim=0)
        f = sum(weight * part for weight, part in zip(route, told, strict=True))
        inner = F.gelu(f @ layer.inner.weight[tower] + layer.inner.bias[tower, 0])
        f = f + inner @ layer.outer.weight[tower] + layer.outer.bias[tower, 0]
        heads.append(F.layer_norm(f, (4,), layer.norm.weight[tower], layer.norm.bias[tower], layer.norm.eps))
    gates = torch.softmax(torch.cat(heads) @ layer.gate.weight[tower] + layer.gate.bias[tower, 0], dim=0)
    facets = layer.facets[tower].view(2, 4, 8)  # W_h of each head
    return float(sum(gates[head] * heads[head] @ (facets[head] @ item_D) for head in range(2)))


def test_the_score_is_the_gated_sum_of_the_facets_as_in_the_paper(layer: FacetLayer) -> None:
    x, item = inputs(), torch.randn(8, generator=torch.Generator().manual_seed(9))
    for tower in range(2):
        query = layer(x)[tower, 0, -1]
        assert float(query @ item) == pytest.approx(score_by_the_paper(layer, tower, x[tower, 0], item), rel=1e-4)


def test_a_position_reads_nothing_after_it(layer: FacetLayer) -> None:
    torch.testing.assert_close(layer(inputs()[:, :, :3]), layer(inputs())[:, :, :3])


def test_the_last_position_alone_gets_what_it_gets_among_all(layer: FacetLayer) -> None:
    x, lengths = inputs().expand(2, 2, 5, 8), torch.tensor([5, 3])
    torch.testing.assert_close(layer.last(x, lengths), layer(x)[:, torch.arange(2), lengths - 1])


def test_the_last_towers_alone_get_what_they_get_among_all(layer: FacetLayer) -> None:
    torch.testing.assert_close(layer(inputs()[1:]), layer(inputs())[1:])


def test_it_starts_with_heads_of_equal_weight_each_on_its_part_of_the_item(
    make_config: Callable[..., ModelConfig],
) -> None:
    network = HM4SR(make_config(facet_experts=2), num_items=20).initialise(seed=0)
    layer = network.towers.layers[-1]
    assert isinstance(layer, FacetLayer)
    told = torch.ones(2, 1, 2, 2, 4) * torch.arange(1.0, 5.0)
    with torch.no_grad():
        query = layer.finish(told)
    torch.testing.assert_close(query[0, 0, :4], F.layer_norm(torch.arange(1.0, 5.0), (4,)), atol=0.05, rtol=0)


def test_incremental_vectors_equal_a_full_encode(
    facet_bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    assert num_extended_as_full(facet_bundle, shop, make_history) == 18


def test_the_plain_forward_equals_the_encoders(
    facet_bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    history, encoder = make_history(8), facet_bundle.bind(shop)
    items_BLC = torch.from_numpy(encoder.items(history.items - 100))[None]
    with torch.inference_mode():
        plain = facet_bundle.model(items_BLC, torch.from_numpy(history.times_ms)[None])[0, -1]
    np.testing.assert_allclose(encoder.encode([history])[0], plain.numpy(), atol=1e-5)


def test_a_checkpoint_keeps_it(
    facet_bundle: HM4SRBundle, shop: Catalogue, tmp_path: Path, make_history: Callable[..., History]
) -> None:
    save(facet_bundle, tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.config.facet_experts == 3
    history = [make_history(8)]
    np.testing.assert_array_equal(again.bind(shop).encode(history), facet_bundle.bind(shop).encode(history))
