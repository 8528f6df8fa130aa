"""HM4SR: hierarchical time-aware mixtures of experts for multi-modal sequential recommendation (arXiv 2501.14269).

Independent of catalogues, files or training. Shapes: N items, B batch, L events, M towers, D width of a tower,
C = M * D, F features of a modality, T = 2 * D width of a time embedding, E experts.

The score of an item is one inner product: of the history's concatenated tower outputs with the item's concatenated id
embedding and projected contents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.config import Modality, ModelConfig
from model.network.content_experts import ExpertProjection, ModalityWeights
from model.network.dropout import drop
from model.network.layers import Linear, StackedNorm
from model.network.mixtures import InteractiveMoE, TemporalMoE
from model.network.now_gap import NowGap
from model.network.relative_bias import RelativeBias
from model.network.repeat_model import RepeatModel
from model.network.time_encoding import ReleasedTimeEncoding, TimeEncoding
from model.network.towers import Towers

UNSEEN = 0  # the id row that stands in for every item without a trained row


@dataclass(frozen=True, slots=True)
class Features:
    """One modality of N items: (N, F) `values`, and (N,) `present`, false for items without this content."""

    values: Tensor
    present: Tensor

    def take(self, rows: Tensor) -> Features:
        """The features of some rows."""
        return Features(self.values[rows], self.present[rows])

    def to(self, device: torch.device) -> Features:
        """The same on another device."""
        return Features(self.values.to(device), self.present.to(device))


def queries_of(towers_MBLD: Tensor) -> Tensor:
    """(B, L, C): the towers' outputs side by side."""
    return towers_MBLD.permute(1, 2, 0, 3).flatten(2)


@dataclass(frozen=True, slots=True)
class TowerInputs:
    """A batch before the towers: (B, L, M, D) `vectors`, (B, L, T) embedded `time`, (B, L, E) weights of experts.

    `bias`: (layers, M, B, H, L, L) what is added to attention scores, or None.
    """

    vectors: Tensor
    time: Tensor
    route: Tensor | None
    bias: Tensor | None = None


class ContentProjection(nn.Module):
    """Projects one modality to the width of its tower; an item without this content has a learned vector instead."""

    def __init__(self, modality: Modality, width: int, *, num_experts: int = 0) -> None:
        """`num_experts`: of which each item uses two; 0: one linear map."""
        super().__init__()
        self.linear: Linear | ExpertProjection = Linear(modality.size, width)
        if num_experts:
            self.linear = ExpertProjection(modality.size, width, num_experts)
        self.absent = nn.Parameter(torch.zeros(width))

    def forward(self, features: Features) -> Tensor:
        """(N, D) projected contents."""
        return torch.where(features.present.unsqueeze(-1), self.linear(features.values), self.absent)


def _initialise(linear: Linear) -> None:
    """Small random weights, no bias."""
    nn.init.normal_(linear.weight, std=0.02)
    nn.init.zeros_(linear.bias)


class HM4SR(nn.Module):
    """The network. `num_items` counts the items with an id row of their own: rows 1..num_items; row 0 is "unseen"."""

    def __init__(self, config: ModelConfig, *, num_items: int) -> None:
        super().__init__()
        self.config, self.num_items = config, num_items
        if config.use_id:
            self.id_embedding = nn.Parameter(torch.empty(num_items + 1, config.width))
        self.contents = nn.ModuleDict(
            {c.name: ContentProjection(c, config.width, num_experts=config.content_experts) for c in config.contents}
        )
        self.modality_weights = (
            ModalityWeights(len(config.contents), config.width) if config.weighs_modalities else None
        )
        fused = config.contents if config.fuses_id else ()
        self.fused = nn.ModuleDict({c.name: ContentProjection(c, config.width) for c in fused})
        self.position_embedding = nn.Parameter(torch.empty(config.window.size, config.width))
        self.time_encoding = (ReleasedTimeEncoding if config.released else TimeEncoding)(config)
        self.interactive = InteractiveMoE(config) if config.interactive_moe else None
        self.temporal = TemporalMoE(config) if config.temporal_moe else None
        self.norm = StackedNorm(len(config.towers), config.width, config.layer_norm_eps)
        self.towers = Towers(config)
        self.relative = RelativeBias(config) if config.relative_attention else None
        self.now_gap = NowGap(config) if config.now_gap else None
        self.repeats = RepeatModel() if config.repeats else None
        self.category_head = Linear(config.vector_width, config.num_categories) if config.predicts_categories else None
        self.placeholders = nn.ModuleList(
            Linear(2 * config.width, config.width) for _ in config.contents if config.uses_placeholders
        )

    def initialise(self, *, seed: int) -> HM4SR:
        """Initialise all parameters under one seed; returns the model."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if self.config.use_id:
                nn.init.normal_(self.id_embedding, std=0.02)
            for module in self.contents.modules():
                if isinstance(module, Linear):
                    _initialise(module)
            for weight in self.fused.parameters():
                nn.init.zeros_(weight)  # at first the id tower reads ids alone; training adds contents
            nn.init.normal_(self.position_embedding, std=0.02)
            self.time_encoding.initialise()
            if self.interactive is not None:
                self.interactive.initialise(first_is_id=self.config.use_id)
            if self.temporal is not None:
                self.temporal.initialise()
            self.towers.initialise()
            for head in (self.category_head, *self.placeholders):
                if isinstance(head, Linear):
                    _initialise(head)
        return self

    @property
    def num_parameters(self) -> int:
        """The number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def item_vectors(self, id_rows_N: Tensor, features: Mapping[str, Features]) -> Tensor:
        """(N, C) item vectors: the inputs of histories, and the vectors that queries are multiplied with."""
        contents = self.weighted(
            [projection(features[name]) for name, projection in self.contents.items()],
            [features[name].present for name in self.contents],
        )
        if not self.config.use_id:
            return torch.cat(contents, dim=-1)
        ids_ND = F.embedding(id_rows_N, self.id_embedding)
        for name, projection in self.fused.items():
            ids_ND = ids_ND + projection(features[name])
        return torch.cat([ids_ND, *contents], dim=-1)

    def weighted(self, contents: Sequence[Tensor], present: Sequence[Tensor]) -> list[Tensor]:
        """M of (N, D) projected contents and (N,) whether an item has it, as parts of item vectors."""
        if self.modality_weights is None:
            return list(contents)
        weights_NM = self.modality_weights(contents, torch.stack(list(present), dim=1))
        return [part * (len(contents) * weights_NM[:, [place]]) for place, part in enumerate(contents)]

    def events(self, items_BLC: Tensor, times_ms_BL: Tensor) -> TowerInputs:
        """Item vectors with position, Interactive MoE and Temporal MoE applied."""
        positions_L = torch.arange(items_BLC.shape[1], device=items_BLC.device)
        enriched = self.enrich(items_BLC, positions_L, self.time_encoding(times_ms_BL))
        return enriched if self.relative is None else replace(enriched, bias=self.relative(times_ms_BL))

    def enrich(self, items_BLC: Tensor, positions: Tensor, time_BLT: Tensor) -> TowerInputs:
        """As `events`, at these positions of the window: (L,) for all rows or (B, L) for each."""
        position_LD = F.embedding(positions, self.position_embedding).unsqueeze(-2)
        x_BLMD = items_BLC.view(*items_BLC.shape[:2], -1, self.config.width) + position_LD
        if self.interactive is not None:
            x_BLMD = x_BLMD + self.interactive(x_BLMD)
        if self.temporal is None:
            return TowerInputs(x_BLMD, time_BLT, None)
        route_BLE = self.temporal.route(time_BLT)
        return TowerInputs(self.temporal.combine(x_BLMD, route_BLE), time_BLT, route_BLE)

    def tokens(self, vectors_BLMD: Tensor) -> Tensor:
        """(M, B, L, D): the inputs of the towers."""
        tokens_MBLD = self.norm(vectors_BLMD.permute(2, 0, 1, 3).contiguous())
        return drop(tokens_MBLD, self.config.dropout_rate, training=self.training)

    def run(self, vectors_BLMD: Tensor, bias: Tensor | None = None) -> Tensor:
        """(M, B, L, D): the output of each tower after each event."""
        towers_MBLD: Tensor = self.towers(self.tokens(vectors_BLMD), bias)
        return towers_MBLD

    def score_offsets(self, times_ms_BL: Tensor, positions_B: Tensor) -> Tensor | None:
        """(B, L) what the query after the event at a position adds to the scores of its window's items; None: nothing.

        Minus infinity where the model is trained for answers without seen items.
        """
        if self.config.hides_seen:
            window_L = torch.arange(times_ms_BL.shape[1], device=times_ms_BL.device)
            return torch.where(window_L <= positions_B.unsqueeze(1), -torch.inf, 0.0)
        if self.repeats is None:
            return None
        offsets_BL: Tensor = self.repeats(times_ms_BL, positions_B)
        return offsets_BL

    def forward(self, items_BLC: Tensor, times_ms_BL: Tensor) -> Tensor:
        """(B, L, C): the query after each event. The reference implementation of `last`."""
        events = self.events(items_BLC, times_ms_BL)
        return queries_of(self.run(events.vectors, events.bias))

    def with_placeholders(self, events: TowerInputs, replaced_BL: Tensor) -> Tensor:
        """(B, L, M - id, D): the content parts; where `replaced_BL`, a placeholder computed from the time alone."""
        contents_BLMD = events.vectors[:, :, -len(self.placeholders) :]
        placeholders_BLMD = torch.stack([make(events.time) for make in self.placeholders], dim=2)
        return torch.where(replaced_BL[..., None, None], placeholders_BLMD, contents_BLMD)

    def last(self, items_BLC: Tensor, times_ms_BL: Tensor, lengths_B: Tensor) -> Tensor:
        """(B, C): the query after the last event of each row of `lengths_B` events."""
        events = self.events(items_BLC, times_ms_BL)
        last_MBD: Tensor = self.towers.last(self.tokens(events.vectors), lengths_B, events.bias)
        return last_MBD.transpose(0, 1).flatten(1)
