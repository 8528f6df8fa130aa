"""Without a GPU: no forward pass names a device, and training under autocast to bfloat16 is near that in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from core.catalogue.items import Catalogue
from core.records.stored import EventColumns
from model.baselines.networks import GRU4Rec, SASRec
from model.features import TextFeatures
from model.network.config import LossWeights, ModelConfig
from model.network.hm4sr import HM4SR, Features
from model.training.data import Split, TrainingData, training_data
from model.training.objective import Objective
from model.training.sequences import Sequences

LOSSES = LossWeights(idcl=0.1, cp=0.1, pcl=0.1)


@pytest.fixture
def no_onednn() -> Iterator[None]:
    """Its bfloat16 kernels end the process on machines that show AMX but hide its tile palette."""
    with torch.backends.mkldnn.flags(enabled=False):
        yield


@pytest.fixture
def data(shop: Catalogue, shop_events: EventColumns) -> TrainingData:
    """Everything is trained on."""
    text = TextFeatures.fit(shop, size=4, seed=0)
    assert text is not None
    split, cpu = Split(np.arange(len(shop_events)), np.zeros(0, np.int64)), torch.device("cpu")
    return training_data(shop_events, shop, split, sources=(text,), category_names=("tools",), device=cpu)


@pytest.mark.parametrize("network", [HM4SR, SASRec, GRU4Rec])
def test_a_network_computes_on_whatever_device_it_is_put(
    network: type[HM4SR], make_config: Callable[..., ModelConfig]
) -> None:
    model = network(make_config(now_gap=True), num_items=9).to("meta").eval()
    ids, values = torch.zeros(9, dtype=torch.int64, device="meta"), torch.zeros(9, 4, device="meta")
    table_NC = model.item_vectors(ids, {"text": Features(values, ids == 0)})
    times_ms_BL = torch.zeros(3, 5, dtype=torch.int64, device="meta")
    items_BLC = torch.nn.functional.embedding(times_ms_BL, table_NC)
    lengths_B = torch.ones(3, dtype=torch.int64, device="meta")
    assert model(items_BLC, times_ms_BL).shape == (3, 5, table_NC.shape[1])
    last_BC = model.last(items_BLC, times_ms_BL, lengths_B)
    assert last_BC.device.type == "meta"
    if model.now_gap is not None:
        assert model.now_gap(last_BC, model.now_gap.rows(lengths_B)).device.type == "meta"


@pytest.mark.usefixtures("no_onednn")
@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")  # said by the switch of oneDNN itself
@pytest.mark.parametrize("network", [HM4SR, SASRec, GRU4Rec])
def test_under_autocast_loss_and_gradients_are_near_those_in_float32(
    network: type[HM4SR], data: TrainingData, make_config: Callable[..., ModelConfig]
) -> None:
    config = make_config(dropout=0.0, id_dropout=0.0, num_categories=1, losses=LOSSES, now_gap=True)
    model = network(config, num_items=len(data.trained_rows)).initialise(seed=0).train()
    sequences = Sequences(data.ranges.first, np.full(len(data.ranges.first), 9))
    results: list[tuple[float, Tensor]] = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = Objective(model, data, sampled_above=50_000, num_samples=1)(sequences)
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        grads = [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
        results.append((float(loss.detach()), torch.cat(grads)))
    (exact, exact_grad), (rounded, rounded_grad) = results
    assert rounded == pytest.approx(exact, rel=0.01)
    assert float(torch.cosine_similarity(exact_grad, rounded_grad, dim=0)) > 0.99


def test_the_loss_behind_a_context_is_that_of_the_rest_of_the_window(
    data: TrainingData, make_config: Callable[..., ModelConfig]
) -> None:
    model = HM4SR(make_config(dropout=0.0, id_dropout=0.0), num_items=len(data.trained_rows)).initialise(seed=0)
    objective, first = Objective(model, data, sampled_above=50_000, num_samples=1), data.ranges.first

    def summed(num_inputs: int, context: int = 0) -> Tensor:
        inputs, skipped = np.full(len(first), num_inputs), np.full(len(first), context)
        return objective(Sequences(first, inputs, skipped)) * (num_inputs - context)

    torch.testing.assert_close(summed(9, context=6), summed(9) - summed(6))
