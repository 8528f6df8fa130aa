"""Causal transformers, one per modality, computed side by side. Independent of items, times or scores.

Shapes: M towers, B batch, L events, D width, H heads, N layers, K = D / H. Layers are post-norm, as in the released
code: attention, add, norm, feed-forward, add, norm. The towers share no weight but every product: their weights are
stacked, so that M towers cost one batched call per product; a layer given fewer parts than it has towers applies its
last ones.
Padding stands to the right, where causal attention can't look.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.attention import mask_of_last, split_heads
from model.network.config import ModelConfig
from model.network.dropout import drop
from model.network.facets import FacetLayer
from model.network.layers import StackedLinear, StackedNorm
from model.network.sparse_experts import SparseExperts


class TowerLayer(nn.Module):
    """One transformer layer of all towers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        num_towers, width = len(config.towers), config.width
        self.num_heads, self.dropout = config.num_heads, config.dropout_rate
        self.query_key_value = StackedLinear(num_towers, width, 3 * width)
        self.out = StackedLinear(num_towers, width, width)
        self.attention_norm = StackedNorm(num_towers, width, config.layer_norm_eps)
        self.inner = StackedLinear(num_towers, width, config.inner_width)
        self.outer = StackedLinear(num_towers, config.inner_width, width)
        self.experts = SparseExperts(config) if config.sparse_experts else None
        self.inner_norm = StackedNorm(num_towers, width, config.layer_norm_eps)

    def finish(self, x_MBLD: Tensor, told_MBLD: Tensor) -> Tensor:
        """Everything after the attention and its output map: both residuals and the feed-forward."""
        x_MBLD = self.attention_norm(x_MBLD + drop(told_MBLD, self.dropout, training=self.training))
        inner_MBLD = self.outer(F.gelu(self.inner(x_MBLD)))
        if self.experts is not None:
            inner_MBLD = inner_MBLD + self.experts(x_MBLD)
        x_MBLD = x_MBLD + drop(inner_MBLD, self.dropout, training=self.training)
        return cast(Tensor, self.inner_norm(x_MBLD))

    def forward(self, x_MBLD: Tensor, bias_MBHLL: Tensor | None = None) -> Tensor:
        """All positions: the plain reference. `bias_MBHLL`: what is added to the scores, with the causal mask in it."""
        q, k, v = (split_heads(part, self.num_heads) for part in self.query_key_value(x_MBLD).chunk(3, dim=-1))
        mask = None if bias_MBHLL is None else bias_MBHLL[-len(x_MBLD) :].flatten(0, 1)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.finish(x_MBLD, self.out(mixed.transpose(1, 2).reshape(x_MBLD.shape)))

    def last(self, x_MBLD: Tensor, lengths_B: Tensor, bias_MBHLL: Tensor | None = None) -> Tensor:
        """(M, B, D): only the last position of each row, which is all that the top layer of a query needs."""
        num_towers, batch, length, width = x_MBLD.shape
        rows_B = torch.arange(batch, device=x_MBLD.device)
        last_MB1D = x_MBLD[:, rows_B, lengths_B - 1].unsqueeze(2)
        weight, bias = self.query_key_value.weight, self.query_key_value.bias
        q = torch.baddbmm(bias[..., :width], last_MB1D.flatten(1, 2), weight[..., :width])
        pairs = torch.baddbmm(bias[..., width:], x_MBLD.flatten(1, 2), weight[..., width:])
        parts = pairs.view(num_towers, batch, length, -1).chunk(2, dim=-1)
        q, k, v = (split_heads(part, self.num_heads) for part in (q.view_as(last_MB1D), *parts))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask_of_last(x_MBLD, lengths_B, bias_MBHLL))
        return self.finish(last_MB1D, self.out(mixed.transpose(1, 2).reshape(last_MB1D.shape))).squeeze(2)


class Towers(nn.Module):
    """The stack of layers; the last may be one of facets."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TowerLayer(config) for _ in range(config.num_layers))
        if config.facet_experts:
            self.layers[-1] = FacetLayer(config)

    def initialise(self) -> None:
        """Norms start as they are made: weight 1, bias 0."""
        for module in self.modules():
            if isinstance(module, (StackedLinear, FacetLayer)):
                module.initialise()

    def forward(self, x_MBLD: Tensor, bias_NMBHLL: Tensor | None = None) -> Tensor:
        """(M, B, L, D) outputs at every position. `bias_NMBHLL`: added to the attention scores of each layer."""
        for number, layer in enumerate(self.layers):
            x_MBLD = layer(x_MBLD, None if bias_NMBHLL is None else bias_NMBHLL[number])
        return x_MBLD

    def last(self, x_MBLD: Tensor, lengths_B: Tensor, bias_NMBHLL: Tensor | None = None) -> Tensor:
        """(M, B, D) outputs at the last position of each row: the fast path of `forward`."""
        *lower, top = (cast(TowerLayer | FacetLayer, layer) for layer in self.layers)
        for number, layer in enumerate(lower):
            x_MBLD = layer(x_MBLD, None if bias_NMBHLL is None else bias_NMBHLL[number])
        return top.last(x_MBLD, lengths_B, None if bias_NMBHLL is None else bias_NMBHLL[-1])
