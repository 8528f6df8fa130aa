"""Small models, shops and histories for the tests of `model/`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.catalogue.items import Catalogue
from core.events.history import History, WindowShape
from core.records.stored import EventColumns
from model.bundle import HM4SRBundle
from model.features import TextFeatures
from model.network.config import Modality, ModelConfig
from model.network.hm4sr import HM4SR
from model.training.data import Split, TrainingData, training_data
from model.training.objective import Objective
from model.training.sequences import Sequences

START_MS = 1_300_000_000_000
THEMES = ("garden hose water", "kitchen knife steel", "running shoe light", "winter coat warm")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tensors this small are slower on two threads, and much slower where tests run side by side."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture
def make_config() -> Callable[..., ModelConfig]:
    """A factory of small configurations."""

    def make(**changes: Any) -> ModelConfig:
        small: dict[str, Any] = {
            "width": 8,
            "inner_width": 16,
            "window": WindowShape(10, 3),
            "contents": (Modality("text", 4),),
        }
        return ModelConfig(**{**small, **changes})

    return make


@pytest.fixture
def make_network(make_config: Callable[..., ModelConfig]) -> Callable[..., HM4SR]:
    """A factory of networks with weights large enough that every part shows in the output."""

    def make(num_items: int = 20, **changes: object) -> HM4SR:
        network = HM4SR(make_config(**changes), num_items=num_items).initialise(seed=1)
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
        return network.eval()

    return make


@pytest.fixture
def shop() -> Catalogue:
    """Forty items in four themes; keys are 100, 101, ..."""
    texts = tuple(f"{THEMES[item % 4]} number{item // 4}" for item in range(40))
    categories = tuple((f"theme{item % 4}",) for item in range(40))
    ids = tuple(f"item-{item}" for item in range(40))
    return Catalogue(np.arange(100, 140), ids, texts, categories, np.ones(40, np.bool_))


@pytest.fixture
def shop_events() -> EventColumns:
    """Sixty users who each walk through one theme in a fixed order, a minute between events."""
    users, items, times_ms = [], [], []
    rng = np.random.default_rng(0)
    for user in range(60):
        theme, first = user % 4, int(rng.integers(10))
        for step in range(12):
            users.append(user)
            items.append(100 + theme + 4 * ((first + step) % 10))
            times_ms.append(START_MS + user * 1_000_000 + step * 60_000)
    return EventColumns(np.array(users), np.array(items), np.array(times_ms))


@pytest.fixture
def hold_out(shop: Catalogue) -> Callable[[EventColumns], TrainingData]:
    """A factory of training data in which the last event of each user is held out."""

    def make(columns: EventColumns) -> TrainingData:
        text = TextFeatures.fit(shop, size=4, seed=0)
        assert text is not None
        last = np.append(np.diff(columns.users) > 0, True)
        split = Split(np.flatnonzero(~last), np.flatnonzero(last))
        return training_data(columns, shop, split, sources=(text,), category_names=(), device=torch.device("cpu"))

    return make


@dataclass(frozen=True)
class Step:
    """One training step: its loss, and what it was computed from, windows of B users and L events.

    `scores_BLN`: of the candidates `items_N`, by the vectors and the sampling alone; `targets_BL`: places among them.
    """

    loss: Tensor
    items_N: Tensor
    inputs_BL: Tensor
    times_ms_BL: Tensor
    targets_BL: Tensor
    scores_BLN: Tensor


@pytest.fixture
def take_step() -> Callable[[TrainingData, HM4SR, int], Step]:
    """A factory of steps over the first events of each user, by the number of items above which they are sampled."""

    def take(data: TrainingData, model: HM4SR, sampled_above: int) -> Step:
        objective = Objective(model, data, sampled_above=sampled_above, num_samples=25)
        sequences = Sequences(data.ranges.first, np.full(len(data.ranges.first), 9))
        torch.manual_seed(1)
        batch = objective.prepare(sequences)
        torch.manual_seed(1)
        loss = objective(sequences)
        table_NC = model.item_vectors(data.id_rows, dict(data.features))
        items_N = batch.rows_R if batch.scored_N is None else batch.rows_R[batch.scored_N]
        inputs_BL = batch.rows_R[batch.inputs_BL]
        queries_BLC = model(table_NC[inputs_BL], batch.times_ms_BL)
        scores_BLN = queries_BLC @ table_NC[items_N].T + (0 if batch.bias_N is None else batch.bias_N)
        targets_BL = (batch.rows_R[batch.targets_BL].unsqueeze(-1) == items_N).int().argmax(-1)
        return Step(loss, items_N, inputs_BL, batch.times_ms_BL, targets_BL, scores_BLN)

    return take


@pytest.fixture
def bundle(shop: Catalogue, make_config: Callable[..., ModelConfig], make_network: Callable[..., HM4SR]) -> HM4SRBundle:
    """An untrained bundle: the first thirty items of the shop have trained rows, ten do not."""
    text = TextFeatures.fit(shop, size=4, seed=0)
    assert text is not None
    network = make_network(30, contents=(Modality("text", text.size),))
    return HM4SRBundle(network, shop.item_ids[:30], (text,), "hm4sr-test")


@pytest.fixture
def make_history() -> Callable[..., History]:
    """A factory of histories of random items of the shop and random gaps."""

    def make(length: int, *, seed: int = 0) -> History:
        rng = np.random.default_rng(seed)
        gaps_ms = rng.integers(0, 100_000, length)
        return History(rng.integers(100, 140, length), START_MS + np.cumsum(gaps_ms))

    return make
