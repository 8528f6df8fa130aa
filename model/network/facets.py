"""Facets of the last layer of a tower: FAME (arXiv 2411.01457, section 3). Independent of items, times or scores.

Each head of the last attention layer says by itself which item comes next, in a subspace of the item vectors (a facet):

    f_h = sum over n of b_hn Attention(Q_hn, K_h, V_h)     E queries of each head; b_h a softmax over their outputs
    score(x) = sum over h of g_h <N(f_h + FFN(f_h)), W_h x>     g a softmax over all heads; FFN shared by the heads

W_h is applied on the history's side: the score is the inner product of sum_h g_h W_h' N(...) with the item vector
itself, so that index and item vectors stay as they are. FAME's items have a vector for each facet, W_h x; the scores
are the same.
Shapes: M towers, B batch, L events, D width, H heads, K = D / H, E experts (queries of a head), P positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.attention import mask_of_last, split_heads
from model.network.config import ModelConfig
from model.network.dropout import drop
from model.network.layers import StackedLinear, StackedNorm


class FacetLayer(nn.Module):
    """The last layer of all towers, in place of a `TowerLayer`; no feed-forward part or residual mixes its heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        num_towers, width, num_experts = len(config.towers), config.width, config.facet_experts
        head_width, inner_width = width // config.num_heads, max(1, config.inner_width // config.num_heads)
        self.num_heads, self.num_experts, self.dropout = config.num_heads, num_experts, config.dropout_rate
        self.query = StackedLinear(num_towers, width, num_experts * width)
        self.key_value = StackedLinear(num_towers, width, 2 * width)
        self.router = StackedLinear(num_towers * config.num_heads, num_experts * head_width, num_experts)
        self.inner = StackedLinear(num_towers, head_width, inner_width)
        self.outer = StackedLinear(num_towers, inner_width, head_width)
        self.norm = StackedNorm(num_towers, head_width, config.layer_norm_eps)
        self.gate = StackedLinear(num_towers, width, config.num_heads)
        self.facets = nn.Parameter(torch.empty(num_towers, width, width))  # (M, H * K, D): each head's W_h'

    def initialise(self) -> None:
        """Head h's facet begins as the h-th part of the item vector, its gate at 1 / H: the plain concatenation."""
        with torch.no_grad():
            self.facets.copy_(self.num_heads * torch.eye(self.facets.shape[-1]))

    def finish(self, told: Tensor) -> Tensor:
        """(M, ..., D) the query of items, from (M, ..., E, H, K) what each query of each head attended to."""
        num_towers = len(told)
        of_head = told.flatten(1, -4).permute(0, 3, 1, 2, 4).flatten(0, 1)  # (M * H, P, E, K)
        route = torch.softmax(self.router(of_head.flatten(2)), dim=-1)
        mixed = (of_head * route.unsqueeze(-1)).sum(2)
        mixed = mixed.view(num_towers, self.num_heads, *mixed.shape[1:])
        inner = self.outer(F.gelu(self.inner(mixed)))
        facets_MPHK = self.norm(mixed + drop(inner, self.dropout, training=self.training)).transpose(1, 2)
        gate_MPH = torch.softmax(self.gate(facets_MPHK.flatten(2)), dim=-1)
        query_MPD: Tensor = (facets_MPHK * gate_MPH.unsqueeze(-1)).flatten(2) @ self.facets[-num_towers:]
        return query_MPD.view(*told.shape[:-3], -1)

    def forward(self, x_MBLD: Tensor, bias_MBHLL: Tensor | None = None) -> Tensor:
        """(M, B, L, D) all positions: the plain reference. `bias_MBHLL`: see `TowerLayer.forward`."""
        mask = None if bias_MBHLL is None else bias_MBHLL[-len(x_MBLD) :].flatten(0, 1)
        return self._attend(x_MBLD, x_MBLD, mask, is_causal=mask is None)

    def last(self, x_MBLD: Tensor, lengths_B: Tensor, bias_MBHLL: Tensor | None = None) -> Tensor:
        """(M, B, D) only the last position of each row."""
        rows_B = torch.arange(len(lengths_B), device=x_MBLD.device)
        last_MB1D = x_MBLD[:, rows_B, lengths_B - 1].unsqueeze(2)
        return self._attend(last_MB1D, x_MBLD, mask_of_last(x_MBLD, lengths_B, bias_MBHLL)).squeeze(2)

    def _attend(self, x_MBQD: Tensor, keys_MBLD: Tensor, mask: Tensor | None, *, is_causal: bool = False) -> Tensor:
        q = split_heads(self.query(x_MBQD), self.num_experts * self.num_heads)
        k, v = (
            split_heads(part, self.num_heads).repeat(1, self.num_experts, 1, 1)
            for part in self.key_value(keys_MBLD).chunk(2, dim=-1)
        )
        if mask is not None and mask.shape[1] > 1:
            mask = mask.repeat(1, self.num_experts, 1, 1)
        told = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal)
        return self.finish(told.transpose(1, 2).reshape(*x_MBQD.shape[:3], self.num_experts, self.num_heads, -1))
