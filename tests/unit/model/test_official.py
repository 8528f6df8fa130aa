"""Released weights: any sizes load, what is missing is named, and they serve through the ordinary port."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from core.catalogue.items import Catalogue
from core.errors import CheckpointError
from core.events.history import History
from model.checkpoint import load, save
from model.features import VectorFeatures, restore_source
from model.official import load_official_checkpoint, official_bundle

D, F, ITEMS, LAYERS, EXPERTS, CATEGORIES = 6, 5, 41, 1, 3, 4


def released_shapes() -> dict[str, tuple[int, ...]]:
    """The names and shapes of the released state dict, for small sizes."""
    linear = {"start_moe.gate_id": (EXPERTS, D), "start_moe.gate_txt": (EXPERTS, D), "start_moe.gate_img": (EXPERTS, D)}
    linear |= {f"start_moe.expert.{e}": (3 * D, 3 * D) for e in range(EXPERTS)}
    linear |= {"time_moe.absolute_w": (D, 1), "time_moe.absolute_m": (D, D), "time_moe.gate": (2, 2 * D)}
    linear |= {"cat_linear": (CATEGORIES, 3 * D), "placeholder_txt": (D, 2 * D), "placeholder_img": (D, 2 * D)}
    linear |= {"txt_projection": (D, F), "img_projection": (D, F)}
    norms = ["item_ln", "txt_ln", "img_ln"]
    for tower in ("item", "txt", "img"):
        for layer in range(LAYERS):
            at = f"{tower}_seq.layer.{layer}"
            linear |= {f"{at}.multi_head_attention.{n}": (D, D) for n in ("query", "key", "value", "dense")}
            linear |= {f"{at}.feed_forward.dense_1": (2 * D, D), f"{at}.feed_forward.dense_2": (D, 2 * D)}
            norms += [f"{at}.multi_head_attention.LayerNorm", f"{at}.feed_forward.LayerNorm"]
    shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in linear.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in linear.items()}
    shapes |= {f"{name}.{part}": (D,) for name in norms for part in ("weight", "bias")}
    shapes |= {f"time_moe.expert.{e}": (1, 3 * D) for e in range(2)}
    return shapes | {
        "item_embedding.weight": (ITEMS, D),
        "txt_embedding.weight": (ITEMS, F),
        "img_embedding.weight": (ITEMS, F),
        "cat_embedding.weight": (ITEMS, CATEGORIES),
        "position_embedding.weight": (10, D),
        "time_moe.time_embedding.weight": (30, D),
        "start_moe.weight": (3,),
    }


@pytest.fixture
def released() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in released_shapes().items()}


def test_released_weights_of_any_size_serve_and_survive_our_checkpoint(
    released: dict[str, Tensor], shop: Catalogue, tmp_path: Path
) -> None:
    save_file(released, tmp_path / "released.safetensors", metadata={"n_heads": "3"})
    official = load_official_checkpoint(tmp_path / "released.safetensors")
    bundle = official_bundle(official, shop.item_ids, version="released")
    save(bundle, tmp_path / "ours")
    histories = [History(np.array([100, 139, 107]), np.array([10**12, 10**12 + 5000, 10**12 + 10**9]))]
    table_NC = official.network.item_vectors(torch.arange(ITEMS), official.features)
    items_BLC, times_ms_BL = table_NC[torch.tensor([[1, 40, 8]])], torch.from_numpy(histories[0].times_ms).unsqueeze(0)
    expected = official.network(items_BLC, times_ms_BL)[:, -1]
    assert expected.isfinite().all()
    for model in (bundle, load(tmp_path / "ours")):
        np.testing.assert_allclose(model.bind(shop).encode(histories), expected, atol=1e-4)


def test_missing_temporal_experts_are_named_in_the_error(released: dict[str, Tensor], tmp_path: Path) -> None:
    del released["time_moe.expert.1"]
    save_file(released, tmp_path / "released.safetensors")
    with pytest.raises(CheckpointError, match=r"time_moe\.expert\.1 is missing; save the whole state dict"):
        load_official_checkpoint(tmp_path / "released.safetensors")


def test_a_file_that_is_no_safetensors_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"\x80\x04pickle")
    with pytest.raises(CheckpointError, match="wanted a safetensors file of released weights"):
        load_official_checkpoint(tmp_path / "weights.pth")


def test_item_ids_must_name_every_row(released: dict[str, Tensor], shop: Catalogue, tmp_path: Path) -> None:
    save_file(released, tmp_path / "released.safetensors")
    official = load_official_checkpoint(tmp_path / "released.safetensors")
    with pytest.raises(CheckpointError, match="wanted 40, one for each row but padding, got 2"):
        official_bundle(official, shop.item_ids[:2], version="released")


def test_released_gaps_start_at_row_0_and_lose_seconds_to_float32(released: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(released, tmp_path / "released.safetensors")
    encoding = load_official_checkpoint(tmp_path / "released.safetensors").network.time_encoding
    times_ms = torch.tensor([[1_300_000_000_000, 1_300_000_030_000, 1_300_000_128_000, 2_000_000_000_000]])
    assert encoding.rows(times_ms).tolist() == [[0, 0, min(29, 20 * 7), 29]]


def test_vectors_of_items_that_were_not_imported_are_absent(shop: Catalogue) -> None:
    source = VectorFeatures("image", ("item-3", "item-1"), np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
    for features in (source, restore_source(source.to_json(), source.to_arrays())):
        values, present = features.transform(features.keys(replace(shop)))
        assert np.flatnonzero(present).tolist() == [1, 3]
        np.testing.assert_array_equal(values[[1, 3, 0]], [[3.0, 4.0], [1.0, 2.0], [0.0, 0.0]])
