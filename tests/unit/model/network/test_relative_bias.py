"""Attention by steps and time between events: what is added, that it starts as nothing, and that all paths agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from incremental_parity import num_extended_as_full
from torch import Tensor

from core.catalogue.items import Catalogue
from core.events.history import History
from model.bundle import HM4SRBundle
from model.checkpoint import load, save
from model.features import TextFeatures
from model.network.config import Modality, ModelConfig
from model.network.hm4sr import HM4SR
from model.network.relative_bias import RATE, RelativeBias

START_MS = 1_300_000_000_000
TIMES_MS = torch.tensor([[0, 500, 3_000, 3_000, 60_000], [0, 10**9, 10**9 + 1, 10**11, 10**11]]) + START_MS


@pytest.fixture
def bias(make_config: Callable[..., ModelConfig]) -> RelativeBias:
    bias = RelativeBias(make_config(relative_attention=True))
    with torch.no_grad():
        for parameter in bias.parameters():
            parameter += torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    return bias


@pytest.fixture
def relative_bundle(shop: Catalogue, make_network: Callable[..., HM4SR]) -> HM4SRBundle:
    text = TextFeatures.fit(shop, size=4, seed=0)
    assert text is not None
    network = make_network(30, contents=(Modality("text", text.size),), relative_attention=True)
    return HM4SRBundle(network, shop.item_ids[:30], (text,), "hm4sr-relative")


def test_a_pair_adds_the_numbers_of_its_steps_and_of_its_seconds(bias: RelativeBias) -> None:
    added = bias(TIMES_MS)[1, 0, 0, 1]  # layer 1, tower 0, window 0, head 1
    column = (1 * bias.shape[1] + 0) * bias.shape[2] + 1
    seconds_of_pair = {(4, 0): 60, (4, 3): 57, (2, 1): 2, (1, 0): 0, (3, 2): 0, (2, 2): 0}
    doublings = {60: 5, 57: 5, 2: 1, 0: 0}
    for (query, key), seconds in seconds_of_pair.items():
        expected = RATE * (bias.step[query - key, column] + bias.gap[doublings[seconds], column])
        torch.testing.assert_close(added[query, key], expected)


def test_later_keys_are_hidden_from_every_query(bias: RelativeBias) -> None:
    later = torch.ones(5, 5).triu(1).bool()
    assert bias(TIMES_MS)[..., later].isneginf().all()
    assert bias(TIMES_MS)[..., ~later].isfinite().all()


def test_one_query_alone_gets_what_it_gets_among_all(bias: RelativeBias) -> None:
    positions = torch.tensor([3, 1])
    alone, among_all = bias.at(TIMES_MS, positions), bias(TIMES_MS)
    for window, position in enumerate(positions.tolist()):
        torch.testing.assert_close(alone[:, window], among_all[:, :, window, :, position])


def test_it_starts_as_plain_attention(make_config: Callable[..., ModelConfig], random_items: Tensor) -> None:
    outputs = []
    for relative in (False, True):
        network = HM4SR(make_config(relative_attention=relative), num_items=20).initialise(seed=0).eval()
        outputs.append(network(random_items, TIMES_MS))
    torch.testing.assert_close(*outputs)


def test_the_last_query_is_the_same_without_the_others(
    make_network: Callable[..., HM4SR], random_items: Tensor
) -> None:
    network, lengths = make_network(relative_attention=True), torch.tensor([5, 3])
    whole = network(random_items, TIMES_MS)[torch.arange(2), lengths - 1]
    torch.testing.assert_close(network.last(random_items, TIMES_MS, lengths), whole, atol=1e-5, rtol=1e-5)


def test_time_between_events_changes_the_query(make_network: Callable[..., HM4SR], random_items: Tensor) -> None:
    network = make_network(relative_attention=True, temporal_moe=False)
    slower_ms = (TIMES_MS - START_MS) * 100 + START_MS
    assert not torch.allclose(
        network(random_items, TIMES_MS)[:, 1:], network(random_items, slower_ms)[:, 1:], atol=1e-3
    )


@pytest.mark.parametrize("per_call", [1, 3, 5])
def test_incremental_vectors_equal_a_full_encode(
    relative_bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History], per_call: int
) -> None:
    lengths = range(per_call, 11, per_call)
    num_extended = num_extended_as_full(relative_bundle, shop, make_history, lengths=lengths)
    assert num_extended > 0 or per_call == 5


def test_a_checkpoint_keeps_it(relative_bundle: HM4SRBundle, shop: Catalogue, tmp_path: Path) -> None:
    save(relative_bundle, tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.config.relative_attention
    history = [History(np.arange(100, 108), START_MS + np.arange(8) ** 3 * 1000)]
    np.testing.assert_array_equal(again.bind(shop).encode(history), relative_bundle.bind(shop).encode(history))


@pytest.fixture
def random_items() -> Tensor:
    return torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(3))
