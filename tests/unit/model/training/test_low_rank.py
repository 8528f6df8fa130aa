"""Low-rank fine-tunes: matrices move by a product of small rank, from the parent, and serve as before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core.catalogue.items import Catalogue
from core.events.history import History
from core.records.stored import EventColumns
from model.bundle import HM4SRBundle
from model.checkpoint import load, save
from model.inference.incremental import IncrementalEncoder
from model.network.hm4sr import HM4SR
from model.training.fine_tuning import FineTuningPlan, fine_tune
from model.training.low_rank import LowRankTuning, LowRankUpdate

RANK = 2
PLAN = FineTuningPlan(epochs=3, batch_events=128, learning_rate=1e-2, rank=RANK)


@pytest.fixture
def tuned(bundle: HM4SRBundle, shop: Catalogue, shop_events: EventColumns) -> HM4SRBundle:
    return fine_tune(bundle, shop_events, shop, since_ms=int(shop_events.times_ms.min()), plan=PLAN)


def changes(parent: HM4SRBundle, child: HM4SRBundle) -> dict[str, torch.Tensor]:
    """What a fine-tune added to the parent's parameters, of items that the parent knew."""
    before, after = dict(parent.model.named_parameters()), dict(child.model.named_parameters())
    assert set(before) == set(after)
    return {
        name: after[name][: len(weight)] - weight if weight.dim() else after[name] for name, weight in before.items()
    }


def test_each_matrix_moves_by_a_product_of_the_rank_and_all_else_stays(bundle: HM4SRBundle, tuned: HM4SRBundle) -> None:
    moved = {name: change for name, change in changes(bundle, tuned).items() if change.abs().max() > 0}
    assert {"id_embedding", "towers.layers.0.inner.weight", "contents.text.linear.weight"} <= set(moved)
    for name, change in moved.items():
        assert change.dim() >= 2, name
        singular = torch.linalg.svdvals(change.double())
        assert (singular[..., RANK] < 1e-5 * singular[..., 0].clamp(min=1e-3)).all(), name


def test_the_sum_of_two_fine_tunes_has_the_sum_of_their_ranks(
    bundle: HM4SRBundle, tuned: HM4SRBundle, shop: Catalogue, shop_events: EventColumns
) -> None:
    again = fine_tune(tuned, shop_events, shop, since_ms=int(shop_events.times_ms.min()), plan=PLAN, seed=1)
    singular = torch.linalg.svdvals(changes(bundle, again)["id_embedding"].double())
    assert singular[2 * RANK] < 1e-4 * singular[0]
    assert singular[RANK] > 1e-3 * singular[0]


def test_it_starts_from_the_parent_and_the_penalty_from_0(make_network: Callable[..., HM4SR]) -> None:
    network = make_network()
    items_BLC = torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(0))
    times_ms_BL = torch.arange(4).unsqueeze(0) * 1000
    before = network(items_BLC, times_ms_BL)
    low_rank = LowRankTuning.begin(network, rank=RANK, anchor=3.0, seed=0)
    torch.testing.assert_close(network(items_BLC, times_ms_BL), before)
    assert float(low_rank.penalty().detach()) == 0
    learnt = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert all(name.rpartition(".")[2] in ("down", "up", "scale") for name in learnt)


def test_the_penalty_is_the_anchor_times_the_mean_square_of_what_is_added(make_network: Callable[..., HM4SR]) -> None:
    network = make_network()
    low_rank = LowRankTuning.begin(network, rank=RANK, anchor=3.0, seed=0)
    updates = [module for module in network.modules() if isinstance(module, LowRankUpdate)]
    with torch.no_grad():
        for update in updates:
            update.up.add_(0.1)
            update.scale.add_(1)
    squares = np.concatenate([(2 * update.up @ update.down).detach().square().flatten().numpy() for update in updates])
    assert float(low_rank.penalty().detach()) == pytest.approx(3 * squares.mean(), rel=1e-4)


def test_a_stronger_anchor_moves_less(bundle: HM4SRBundle, shop: Catalogue, shop_events: EventColumns) -> None:
    since_ms, sizes = int(shop_events.times_ms.min()), []
    for anchor in (0.0, 1e4):
        plan = FineTuningPlan(epochs=3, batch_events=128, learning_rate=1e-2, rank=RANK, anchor=anchor)
        child = fine_tune(bundle, shop_events, shop, since_ms=since_ms, plan=plan)
        sizes.append(float(changes(bundle, child)["id_embedding"].norm()))
    assert sizes[1] < sizes[0] / 2


def test_incremental_vectors_and_a_checkpoint_equal_a_full_encode(
    tuned: HM4SRBundle, shop: Catalogue, tmp_path: Path, make_history: Callable[..., History]
) -> None:
    save(tuned, tmp_path / "model")
    plain, again = tuned.bind(shop), load(tmp_path / "model").bind(shop)
    incremental = IncrementalEncoder(plain, memory_mib=1)
    histories = [make_history(8, seed=seed) for seed in range(4)]
    for length in (3, 4, 6, 8):
        parts = [History(history.items[:length], history.times_ms[:length]) for history in histories]
        np.testing.assert_allclose(incremental.encode(range(4), parts), plain.encode(parts), atol=1e-5)
    np.testing.assert_array_equal(again.encode(histories), plain.encode(histories))
