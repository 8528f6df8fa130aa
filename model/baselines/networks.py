"""Sequence networks to compare HM4SR with, trained by the same loop and loss: SASRec and GRU4Rec with cross-entropy.

Both have one tower over item vectors = id row + projected contents (none for the plain ones), and score an item by the
inner product with the same vector. Independent of data. Shapes: B batch, L events, D width, N items; M is 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.config import LossWeights, ModelConfig
from model.network.dropout import drop
from model.network.hm4sr import HM4SR, ContentProjection, Features, TowerInputs
from model.network.layers import Linear


class SASRec(HM4SR):
    """Self-attentive sequential recommendation (Kang & McAuley 2018), with full cross-entropy at every position.

    The tower is HM4SR's own: post-norm, GELU, learned positions. It never reads a time.
    """

    def __init__(self, config: ModelConfig, *, num_items: int) -> None:
        plain = replace(
            config,
            use_id=True,
            contents=(),
            interactive_moe=False,
            temporal_moe=False,
            relative_attention=False,
            sparse_experts=0,
            facet_experts=0,
            content_experts=0,
            losses=LossWeights(),
        )
        super().__init__(plain, num_items=num_items)
        self.contents = nn.ModuleDict({c.name: ContentProjection(c, config.width) for c in config.contents})

    def item_vectors(self, id_rows_N: Tensor, features: Mapping[str, Features]) -> Tensor:
        """(N, D) id rows plus projected contents."""
        parts = [projection(features[name]) for name, projection in self.contents.items()]
        return torch.stack([F.embedding(id_rows_N, self.id_embedding), *parts]).sum(0)

    def events(self, items_BLC: Tensor, times_ms_BL: Tensor) -> TowerInputs:
        """Item vectors with positions."""
        position_LD = self.position_embedding[: items_BLC.shape[1]]
        return TowerInputs((items_BLC + position_LD).unsqueeze(2), times_ms_BL, None)


class Recurrence(nn.Module):
    """A gated recurrent unit and a linear map back to the item vectors' width, in the place of the towers."""

    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # torch draws weights here, `initialise` draws those that count
            self.gru = nn.GRU(width, hidden_width, batch_first=True)
        self.out = Linear(hidden_width, width)

    def initialise(self) -> None:
        """Small random inputs, orthogonal recurrences, no bias."""
        for name, parameter in self.named_parameters():
            if "bias" in name:
                nn.init.zeros_(parameter)
            elif "weight_hh" in name:
                nn.init.orthogonal_(parameter)
            else:
                nn.init.xavier_normal_(parameter)

    def forward(self, x_MBLD: Tensor, bias: None = None) -> Tensor:
        """(1, B, L, D) outputs at every position; a recurrence has no attention whose scores a bias could change."""
        hidden_BLH, _ = self.gru(x_MBLD[0])
        out_BLD: Tensor = self.out(hidden_BLH)
        return out_BLD.unsqueeze(0)

    def last(self, x_MBLD: Tensor, lengths_B: Tensor, bias: None = None) -> Tensor:
        """(1, B, D) outputs at the last position of each row."""
        rows_B = torch.arange(len(lengths_B), device=lengths_B.device)
        out_MBLD: Tensor = self(x_MBLD)
        return out_MBLD[:, rows_B, lengths_B - 1]


class GRU4Rec(SASRec):
    """Recurrent session-based recommendation (Hidasi et al. 2016), item vectors shared between input and output."""

    def __init__(self, config: ModelConfig, *, num_items: int) -> None:
        super().__init__(config, num_items=num_items)
        self.towers = Recurrence(config.width, 2 * config.width)  # type: ignore[assignment]

    def events(self, items_BLC: Tensor, times_ms_BL: Tensor) -> TowerInputs:
        """Item vectors; the order is in the recurrence."""
        return TowerInputs(items_BLC.unsqueeze(2), times_ms_BL, None)

    def tokens(self, vectors_BLMD: Tensor) -> Tensor:
        """(1, B, L, D): item vectors as they are."""
        return drop(vectors_BLMD.permute(2, 0, 1, 3), self.config.dropout_rate, training=self.training)
