"""The network: causal, indifferent to padding and device, one inner product, and every expert trained and saved."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.errors import InvalidSettings
from model.network.config import LossWeights, Modality, ModelConfig
from model.network.hm4sr import HM4SR, UNSEEN, Features

START_MS = 1_300_000_000_000


def batch_of(network: HM4SR, *, rows: int = 3, length: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    items_BLC = torch.randn(rows, length, network.config.vector_width, generator=generator)
    gaps_ms = torch.randint(0, 10**7, (rows, length), generator=generator)
    return items_BLC, START_MS + gaps_ms.cumsum(1)


@torch.no_grad()
def test_the_fast_path_for_the_last_event_equals_the_plain_forward(make_network: Callable[..., HM4SR]) -> None:
    network = make_network()
    items_BLC, times_ms_BL = batch_of(network)
    lengths_B = torch.tensor([1, 5, 8])
    reference_BC = network(items_BLC, times_ms_BL)[torch.arange(3), lengths_B - 1]
    torch.testing.assert_close(network.last(items_BLC, times_ms_BL, lengths_B), reference_BC, atol=1e-5, rtol=0)


@torch.no_grad()
def test_what_happens_later_never_changes_an_earlier_position(make_network: Callable[..., HM4SR]) -> None:
    network = make_network()
    items_BLC, times_ms_BL = batch_of(network)
    before = network(items_BLC, times_ms_BL)
    items_BLC[:, 5:] += 3.0
    times_ms_BL[:, 5:] += 10**9
    after = network(items_BLC, times_ms_BL)
    torch.testing.assert_close(after[:, :5], before[:, :5], atol=1e-6, rtol=0)
    assert (after[:, 5:] - before[:, 5:]).abs().max() > 1e-3


@torch.no_grad()
def test_padding_to_the_right_changes_nothing(make_network: Callable[..., HM4SR]) -> None:
    network = make_network()
    items_BLC, times_ms_BL = batch_of(network, length=4)
    padding_BLC, padding_times_BL = torch.full((3, 5, network.config.vector_width), 7.0), torch.zeros(3, 5).long()
    lengths_B = torch.tensor([4, 4, 4])
    padded = network.last(
        torch.cat([items_BLC, padding_BLC], 1), torch.cat([times_ms_BL, padding_times_BL], 1), lengths_B
    )
    torch.testing.assert_close(padded, network.last(items_BLC, times_ms_BL, lengths_B), atol=1e-5, rtol=0)


def test_temporal_experts_are_saved_and_receive_gradients(
    make_network: Callable[..., HM4SR],
) -> None:
    network = make_network()
    network(*batch_of(network)).square().sum().backward()
    assert network.temporal is not None
    assert "temporal.expert" in network.state_dict()
    assert network.temporal.expert.grad is not None
    assert network.temporal.expert.grad.abs().min() > 0


def test_nothing_is_tied_to_a_device(make_network: Callable[..., HM4SR]) -> None:
    network = make_network().train().to("meta")
    items_BLC, times_ms_BL = batch_of(network)
    assert network(items_BLC.to("meta"), times_ms_BL.to("meta")).device.type == "meta"


@torch.no_grad()
def test_the_score_of_the_concatenation_is_the_sum_over_the_towers(make_network: Callable[..., HM4SR]) -> None:
    network = make_network()
    features = Features(torch.randn(6, 4), torch.ones(6, dtype=torch.bool))
    table_NC = network.item_vectors(torch.arange(1, 7), {"text": features})
    queries_BC = network(*batch_of(network))[:, -1]
    by_id = queries_BC[:, :8] @ network.id_embedding[1:7].T
    by_text = queries_BC[:, 8:] @ network.contents["text"](features).T
    torch.testing.assert_close(queries_BC @ table_NC.T, by_id + by_text)


@torch.no_grad()
def test_an_item_without_content_has_the_learned_absent_vector(make_network: Callable[..., HM4SR]) -> None:
    network = make_network()
    features = Features(torch.zeros(2, 4), torch.tensor([True, False]))
    table_NC = network.item_vectors(torch.tensor([3, UNSEEN]), {"text": features})
    assert table_NC[0, 8:].equal(network.contents["text"].linear.bias)
    assert table_NC[1, 8:].equal(network.contents["text"].absent)
    assert table_NC[1, :8].equal(network.id_embedding[UNSEEN])


@torch.no_grad()
def test_a_fused_id_is_the_id_row_with_every_content_projected_for_it(make_network: Callable[..., HM4SR]) -> None:
    contents = (Modality("text", 4), Modality("image", 6))
    network = make_network(contents=contents, fused_id=True)
    present = torch.tensor([True, False])
    features = {modality.name: Features(torch.randn(2, modality.size), present) for modality in contents}
    table_NC = network.item_vectors(torch.tensor([3, UNSEEN]), features)
    fused = network.id_embedding[[3, UNSEEN]] + sum(
        network.fused[name](modality) for name, modality in features.items()
    )
    torch.testing.assert_close(table_NC[:, :8], fused)
    torch.testing.assert_close(table_NC[:, 8:16], network.contents["text"](features["text"]))
    assert not network.fused["text"].linear.weight.equal(network.contents["text"].linear.weight)


@pytest.mark.parametrize(
    "switch",
    [
        {"interactive_moe": False},
        {"fused_id": True},
        {"fused_id": True, "use_id": False},
        {"fused_id": True, "contents": ()},
        {"temporal_moe": False},
        {"interactive_moe": False, "temporal_moe": False},
        {"gaps": "off"},
        {"use_id": False},
        {"contents": ()},
        {"contents": (Modality("text", 4), Modality("image", 6))},
    ],
    ids=str,
)
@torch.no_grad()
def test_every_ablation_gives_finite_queries_of_the_promised_width(
    make_network: Callable[..., HM4SR], switch: dict[str, object]
) -> None:
    network = make_network(**switch)
    queries = network(*batch_of(network))
    assert queries.shape == (3, 8, network.config.width * len(network.config.towers))
    assert queries.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize(
    ("gaps", "temporal_moe", "reads_gaps"), [("on", True, True), ("off", True, False), ("on", False, False)]
)
def test_gaps_matter_exactly_where_they_are_switched_on(
    make_network: Callable[..., HM4SR], gaps: str, temporal_moe: bool, reads_gaps: bool
) -> None:
    network = make_network(gaps=gaps, temporal_moe=temporal_moe)
    torch.nn.init.zeros_(network.time_encoding.frequency.weight)  # leaves the gaps alone to speak
    items_BLC, times_ms_BL = batch_of(network)
    stretched_BL = times_ms_BL[:, :1] + (times_ms_BL - times_ms_BL[:, :1]) * 50
    change = (network(items_BLC, times_ms_BL) - network(items_BLC, stretched_BL)).abs().max()
    assert bool(change > 1e-3) == reads_gaps


def test_a_configuration_survives_json_and_refuses_what_it_does_not_know() -> None:
    config = ModelConfig(width=16, contents=(Modality("text", 3),), losses=LossWeights(idcl=0.5), gaps="shuffled")
    assert ModelConfig.from_json(config.to_json()) == config
    older = {name: value for name, value in config.to_json().items() if name != "now_gap"}
    assert ModelConfig.from_json(older) == config
    with pytest.raises(ValueError, match=r"unknown fields \['depth'\]"):
        ModelConfig.from_json({**config.to_json(), "depth": 3})


def test_a_configuration_that_cannot_work_says_what_was_wanted() -> None:
    with pytest.raises(InvalidSettings, match="a width that num_heads divides"):
        ModelConfig(width=7, num_heads=2)
    with pytest.raises(InvalidSettings, match="at least one modality"):
        ModelConfig(use_id=False, contents=())
