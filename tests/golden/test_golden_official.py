"""Parity with the authors' released code: their weights and batch in, their outputs out, to 1e-4.

The file holds `state.*`, `in.*` and `out.*`; sizes, layers and experts are read from it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from model.network.hm4sr import TowerInputs
from model.official import OfficialModel, load_official_checkpoint
from model.training.losses import category_prediction, id_contrast, placeholder_contrast

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def path(request: pytest.FixtureRequest) -> Path:
    name = request.config.getoption("--golden", default=None)
    if name is None:
        pytest.skip("no golden file given; run: pytest tests/golden --golden FILE")
    return Path(str(name))


@pytest.fixture(scope="module")
def golden(path: Path) -> dict[str, Tensor]:
    return load_file(path)


@pytest.fixture(scope="module")
def official(path: Path) -> OfficialModel:
    return load_official_checkpoint(path)


@pytest.fixture(scope="module")
def table_NC(official: OfficialModel) -> Tensor:
    return official.network.item_vectors(torch.arange(len(official.categories)), official.features)


@pytest.fixture(scope="module")
def times_ms_BL(golden: dict[str, Tensor]) -> Tensor:
    return (golden["in.timestamp_list"].double() * 1000).round().long()


@pytest.fixture(scope="module")
def events(official: OfficialModel, golden: dict[str, Tensor], table_NC: Tensor, times_ms_BL: Tensor) -> TowerInputs:
    return official.network.events(table_NC[golden["in.item_id_list"]], times_ms_BL)


@pytest.fixture(scope="module")
def queries_BC(official: OfficialModel, golden: dict[str, Tensor], table_NC: Tensor, times_ms_BL: Tensor) -> Tensor:
    return official.network.last(table_NC[golden["in.item_id_list"]], times_ms_BL, golden["in.item_length"])


@pytest.fixture(scope="module")
def towers_MBD(official: OfficialModel, golden: dict[str, Tensor], events: TowerInputs) -> Tensor:
    return at_last(official.network.run(events.vectors), golden["in.item_length"])


def at_last(towers_MBLD: Tensor, lengths_B: Tensor) -> Tensor:
    return towers_MBLD[:, torch.arange(len(lengths_B)), lengths_B - 1]


def test_the_temporal_route_equals_theirs(golden: dict[str, Tensor], events: TowerInputs) -> None:
    real_BL = golden["in.item_id_list"] > 0
    assert events.route is not None
    torch.testing.assert_close(events.route[real_BL], golden["out.route"][real_BL], **TOLERANCE)


def test_the_vector_of_each_modality_equals_theirs(golden: dict[str, Tensor], towers_MBD: Tensor) -> None:
    for name, tower_BD in zip(("id", "text", "image"), towers_MBD, strict=True):
        torch.testing.assert_close(tower_BD, golden[f"out.{name}_vector"], **TOLERANCE, msg=f"{name} vector")


def test_the_scores_are_one_inner_product(golden: dict[str, Tensor], queries_BC: Tensor, table_NC: Tensor) -> None:
    torch.testing.assert_close(queries_BC @ table_NC.T, golden["out.score"], **TOLERANCE)


def test_the_cross_entropy_equals_theirs(golden: dict[str, Tensor], queries_BC: Tensor, table_NC: Tensor) -> None:
    loss = torch.nn.functional.cross_entropy(queries_BC @ table_NC.T, golden["in.item_id"])
    torch.testing.assert_close(loss, golden["out.loss_ce"][0], **TOLERANCE)


def test_idcl_equals_theirs(official: OfficialModel, golden: dict[str, Tensor], towers_MBD: Tensor) -> None:
    targets_B, losses = golden["in.item_id"], official.network.config.losses
    rows_BD = official.network.id_embedding[targets_B]
    loss = id_contrast(towers_MBD[0], rows_BD, targets_B, temperature=losses.temperature, released=True)
    torch.testing.assert_close(loss, golden["out.loss_idcl"][0], **TOLERANCE)


def test_cp_equals_theirs_over_the_real_positions(
    official: OfficialModel, golden: dict[str, Tensor], table_NC: Tensor
) -> None:
    items_P = golden["in.item_id_list"][golden["in.item_id_list"] > 0]
    assert official.network.category_head is not None
    loss = category_prediction(official.network.category_head(table_NC[items_P]), official.categories[items_P])
    torch.testing.assert_close(loss, golden["out.loss_cp"][0], **TOLERANCE)


def test_pcl_equals_theirs(
    official: OfficialModel, golden: dict[str, Tensor], events: TowerInputs, towers_MBD: Tensor
) -> None:
    network, losses = official.network, official.network.config.losses
    replaced_BLMD = network.with_placeholders(events, golden["in.pcl_mask"])
    replaced_MBD = at_last(network.run(replaced_BLMD), golden["in.item_length"])
    loss = placeholder_contrast(
        towers_MBD[1:], replaced_MBD, golden["in.item_id"], temperature=losses.pcl_temperature, released=True
    )
    torch.testing.assert_close(losses.pcl * loss, golden["out.loss_pcl"][0], **TOLERANCE)
