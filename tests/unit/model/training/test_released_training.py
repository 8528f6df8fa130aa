"""The benchmark's plain procedure of the released code: its samples, and that one pass of ours has the same loss."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core.catalogue.items import Catalogue
from core.records.stored import EventColumns
from model.features import TextFeatures
from model.network.config import ModelConfig
from model.network.hm4sr import HM4SR
from model.training.data import Split, TrainingData, training_data
from model.training.objective import Objective
from model.training.sequences import Sequences, UserRanges


@pytest.fixture(autouse=True)
def benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong to the repository, not to the installed package."""
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[4]), *sys.path])


@pytest.fixture
def data(shop: Catalogue, shop_events: EventColumns) -> TrainingData:
    """Everything is trained on."""
    text = TextFeatures.fit(shop, size=4, seed=0)
    assert text is not None
    split = Split(np.arange(len(shop_events)), np.zeros(0, np.int64))
    cpu = torch.device("cpu")
    return training_data(shop_events, shop, split, sources=(text,), category_names=(), device=cpu)


def test_every_prefix_is_a_sample_and_reads_at_most_a_window() -> None:
    from benchmarks.released_training import prefixes

    begins, ends = prefixes(UserRanges(np.array([0, 4]), np.array([4, 1])), window=2)
    assert list(zip(begins.tolist(), ends.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 3)]


def test_all_positions_in_one_pass_have_the_loss_of_all_prefixes(
    data: TrainingData, make_config: Callable[..., ModelConfig]
) -> None:
    from benchmarks.released_training import PrefixProcedure

    config = make_config(dropout=0.0, id_dropout=0.0, now_gap=False)
    model = HM4SR(config, num_items=len(data.trained_rows)).initialise(seed=0)
    procedure = PrefixProcedure(model, data)
    short = procedure.ends - procedure.begins < config.window.size  # a longer history is cut otherwise
    loss = procedure.loss(procedure.begins[short], procedure.ends[short])
    inputs = np.minimum(data.ranges.count, config.window.size) - 1
    one_pass_loss = Objective(model, data, sampled_above=50_000, num_samples=1)(Sequences(data.ranges.first, inputs))
    torch.testing.assert_close(loss, one_pass_loss)
