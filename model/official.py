"""Reads the weights of the authors' released HM4SR code into our network, under the compatibility preset.

Independent of our own checkpoints. In the released state dict `start_moe` is the Interactive MoE, `time_moe` the
Temporal MoE, `cat_linear` the head of CP, `placeholder_*` those of PCL; `item`, `txt` and `img` are the towers. The
released code leaves the Temporal-MoE experts out of its state dict; a file needs them as `time_moe.expert.{i}`. Row 0
of its item tables is padding; here it is the row of unseen items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.errors import CheckpointError, plain_reason
from core.events.history import WindowShape
from model.bundle import HM4SRBundle
from model.features import VectorFeatures
from model.network.config import LossWeights, Modality, ModelConfig
from model.network.hm4sr import HM4SR, Features

PREFIX = "state."
TOWERS = ("item", "txt", "img")
GATES = ("id", "txt", "img")
CONTENTS = {"text": "txt", "image": "img"}
ATTENTION = "multi_head_attention"
LINEAR_PARTS = {"out": f"{ATTENTION}.dense", "inner": "feed_forward.dense_1", "outer": "feed_forward.dense_2"}
NORM_PARTS = {"attention_norm": f"{ATTENTION}.LayerNorm", "inner_norm": "feed_forward.LayerNorm"}


@dataclass(frozen=True, slots=True)
class OfficialModel:
    """Released weights: the network, each item's content features and its (N, K) categories; row 0 is padding."""

    network: HM4SR
    features: Mapping[str, Features]
    categories: Tensor


class _State(dict[str, Tensor]):
    """A state dict whose missing names are said in words."""

    def __missing__(self, name: str) -> Tensor:
        msg = f"released weights: {name} is missing; save the whole state dict, with time_moe.expert.* beside it"
        raise CheckpointError(msg)

    def stack(self, pattern: str, names: Sequence[object]) -> Tensor:
        """The tensors of several names, stacked."""
        return torch.stack([self[pattern.format(name)] for name in names])


def load_official_checkpoint(path: Path) -> OfficialModel:
    """The released weights in a safetensors file, names with or without `state.`, configuration in its metadata."""
    try:
        with safe_open(path, "pt") as file:
            settings = dict(file.metadata() or {})
            names = list(file.keys())
            prefix = PREFIX if any(name.startswith(PREFIX) for name in names) else ""
            state = _State({n.removeprefix(prefix): file.get_tensor(n) for n in names if n.startswith(prefix)})
    except (OSError, SafetensorError) as error:
        msg = f"{path}: wanted a safetensors file of released weights, got {plain_reason(error)}"
        raise CheckpointError(msg) from error
    config = _config(state, settings)
    network = HM4SR(config, num_items=len(state["item_embedding.weight"]) - 1)
    try:
        network.load_state_dict(_mapped(state, config, network))
    except RuntimeError as error:
        msg = f"{path}: the weights do not fit together: {error}"
        raise CheckpointError(msg) from error
    tables = {name: state[f"{theirs}_embedding.weight"].float() for name, theirs in CONTENTS.items()}
    features = {name: Features(table, torch.ones(len(table), dtype=torch.bool)) for name, table in tables.items()}
    return OfficialModel(network.eval().requires_grad_(False), features, state["cat_embedding.weight"].float())


def _config(state: _State, settings: Mapping[str, str]) -> ModelConfig:
    """The preset of the released code; sizes from the weights, the rest from its settings."""
    num_layers = len({name.split(".")[2] for name in state if name.startswith("item_seq.layer.")})
    return ModelConfig(
        width=state["item_embedding.weight"].shape[1],
        num_layers=num_layers,
        num_heads=int(settings.get("n_heads", 2)),
        inner_width=len(state["item_seq.layer.0.feed_forward.dense_1.bias"]),
        dropout=float(settings.get("hidden_dropout_prob", 0.5)),
        layer_norm_eps=float(settings.get("layer_norm_eps", 1e-12)),
        window=WindowShape(len(state["position_embedding.weight"]), 1),
        contents=tuple(Modality(n, state[f"{t}_projection.weight"].shape[1]) for n, t in CONTENTS.items()),
        num_interactive_experts=len(state["start_moe.gate_id.bias"]),
        num_temporal_experts=len(state["time_moe.gate.bias"]),
        gap_scale=float(settings.get("interval_scale", 20)),
        id_dropout=0.0,
        num_categories=len(state["cat_linear.bias"]),
        losses=LossWeights(
            idcl=1.0,
            cp=1.0,
            pcl=float(settings.get("phcl_weight", 1.0)),
            temperature=float(settings.get("temperature", 0.2)),
            pcl_temperature=float(settings.get("phcl_temperature", 1.0)),
            pcl_share=float(settings.get("beta", 0.3)),
        ),
        gap_table_rows=len(state["time_moe.time_embedding.weight"]),
        released=True,
    )


def _mapped(state: _State, config: ModelConfig, network: HM4SR) -> dict[str, Tensor]:
    """Our names for their tensors; what they do not have keeps a neutral value."""
    mapped = {
        "id_embedding": state["item_embedding.weight"],
        "position_embedding": state["position_embedding.weight"],
        "time_encoding.gap_embedding": state["time_moe.time_embedding.weight"],
        "time_encoding.shuffle_pool": network.time_encoding.shuffle_pool,
        "time_encoding.origin_ms": network.time_encoding.origin_ms,
        "interactive.scale": state["start_moe.weight"],
        "temporal.expert": torch.cat([state[f"time_moe.expert.{e}"] for e in range(config.num_temporal_experts)]),
    }
    for part in ("weight", "bias"):
        experts = range(config.num_interactive_experts)
        mapped |= {
            f"time_encoding.frequency.{part}": state[f"time_moe.absolute_w.{part}"],
            f"interactive.expert_{part}": state.stack(f"start_moe.expert.{{}}.{part}", experts),
            f"interactive.gate_{part}": state.stack(f"start_moe.gate_{{}}.{part}", GATES),
            f"temporal.gate.{part}": state[f"time_moe.gate.{part}"],
            f"category_head.{part}": state[f"cat_linear.{part}"],
            f"norm.{part}": state.stack(f"{{}}_ln.{part}", TOWERS),
        }
        for number, (name, theirs) in enumerate(CONTENTS.items()):
            mapped[f"contents.{name}.linear.{part}"] = state[f"{theirs}_projection.{part}"]
            mapped[f"placeholders.{number}.{part}"] = state[f"placeholder_{theirs}.{part}"]
    mapped |= {f"contents.{name}.absent": torch.zeros(config.width) for name in CONTENTS}
    for layer in range(config.num_layers):
        mapped |= _mapped_layer(state, layer)
    return {name: tensor.clone() for name, tensor in mapped.items()}


def _mapped_layer(state: _State, layer: int) -> dict[str, Tensor]:
    """One transformer layer of all towers: their maps are (out, in), ours (in, out); query, key and value are one."""
    ours, theirs = f"towers.layers.{layer}", f"{{}}_seq.layer.{layer}"
    mapped = {}
    for name, part in LINEAR_PARTS.items():
        mapped[f"{ours}.{name}.weight"] = state.stack(f"{theirs}.{part}.weight", TOWERS).transpose(1, 2)
        mapped[f"{ours}.{name}.bias"] = state.stack(f"{theirs}.{part}.bias", TOWERS).unsqueeze(1)
    for name, part in NORM_PARTS.items():
        mapped[f"{ours}.{name}.weight"] = state.stack(f"{theirs}.{part}.weight", TOWERS)
        mapped[f"{ours}.{name}.bias"] = state.stack(f"{theirs}.{part}.bias", TOWERS)
    parts = [f"{theirs}.{ATTENTION}.{name}" for name in ("query", "key", "value")]
    weights = [state.stack(f"{part}.weight", TOWERS).transpose(1, 2) for part in parts]
    biases = [state.stack(f"{part}.bias", TOWERS).unsqueeze(1) for part in parts]
    mapped[f"{ours}.query_key_value.weight"] = torch.cat(weights, dim=-1)
    mapped[f"{ours}.query_key_value.bias"] = torch.cat(biases, dim=-1)
    return mapped


def official_bundle(official: OfficialModel, item_ids: Sequence[str], *, version: str) -> HM4SRBundle:
    """Released weights as a bundle that serves: `item_ids` name their rows from 1 on."""
    if len(item_ids) != official.network.num_items:
        msg = f"item ids: wanted {official.network.num_items}, one for each row but padding, got {len(item_ids)}"
        raise CheckpointError(msg)
    sources = tuple(
        VectorFeatures(name, tuple(item_ids), np.ascontiguousarray(features.values[1:].numpy()))
        for name, features in official.features.items()
    )
    return HM4SRBundle(official.network, tuple(item_ids), sources, version)
