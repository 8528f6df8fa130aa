"""Causal transformers, one per modality, computed side by side. Independent of items, times or scores.

Shapes: M towers, B batch, L events, D width, H heads, K = D / H. Layers are post-norm, as in the released code:
attention, add, norm, feed-forward, add, norm. The towers share no weight but every product: their weights are stacked,
so that M towers cost one batched call per product; a layer given fewer parts than it has towers applies its last ones.
Padding stands to the right, where causal attention can't look.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.config import ModelConfig
from model.network.dropout import drop


class StackedLinear(nn.Module):
    """M linear maps side by side: (M, ..., I) -> (M, ..., O)."""

    def __init__(self, num_towers: int, in_width: int, out_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_towers, in_width, out_width))
        self.bias = nn.Parameter(torch.empty(num_towers, 1, out_width))

    def initialise(self) -> None:
        """Small random weights, no bias."""
        nn.init.normal_(self.weight, std=0.02)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Each tower's own map of its own part; given fewer parts than towers, those of the last towers."""
        weight, bias = self.weight[-x.shape[0] :], self.bias[-x.shape[0] :]
        flat = torch.baddbmm(bias, x.flatten(1, -2), weight)
        return flat.view(*x.shape[:-1], flat.shape[-1])


class StackedNorm(nn.Module):
    """M layer norms side by side."""

    def __init__(self, num_towers: int, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_towers, width))
        self.bias = nn.Parameter(torch.zeros(num_towers, width))

    def forward(self, x: Tensor) -> Tensor:
        """Each tower's part normalised, then scaled and moved by the tower's own weights."""
        num_towers = x.shape[0]
        shape = (num_towers, *[1] * (x.dim() - 2), -1)
        normal = F.layer_norm(x, x.shape[-1:], eps=self.eps)
        return torch.addcmul(self.bias[-num_towers:].view(shape), normal, self.weight[-num_towers:].view(shape))


class TowerLayer(nn.Module):
    """One transformer layer of all towers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        num_towers, width = len(config.towers), config.width
        self.num_heads, self.dropout = config.num_heads, config.dropout
        self.query_key_value = StackedLinear(num_towers, width, 3 * width)
        self.out = StackedLinear(num_towers, width, width)
        self.attention_norm = StackedNorm(num_towers, width, config.layer_norm_eps)
        self.inner = StackedLinear(num_towers, width, config.inner_width)
        self.outer = StackedLinear(num_towers, config.inner_width, width)
        self.inner_norm = StackedNorm(num_towers, width, config.layer_norm_eps)

    def heads(self, x_MBLD: Tensor) -> Tensor:
        """(M * B, H, L, K): the layout that attention wants."""
        num_towers, batch, length, width = x_MBLD.shape
        shape = (num_towers * batch, length, self.num_heads, width // self.num_heads)
        return x_MBLD.reshape(shape).transpose(1, 2)

    def finish(self, x_MBLD: Tensor, told_MBLD: Tensor) -> Tensor:
        """Everything after the attention and its output map: both residuals and the feed-forward."""
        x_MBLD = self.attention_norm(x_MBLD + drop(told_MBLD, self.dropout, training=self.training))
        inner_MBLD = self.outer(F.gelu(self.inner(x_MBLD)))
        x_MBLD = x_MBLD + drop(inner_MBLD, self.dropout, training=self.training)
        return cast(Tensor, self.inner_norm(x_MBLD))

    def forward(self, x_MBLD: Tensor) -> Tensor:
        """All positions: the plain reference."""
        q, k, v = (self.heads(part) for part in self.query_key_value(x_MBLD).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.finish(x_MBLD, self.out(mixed.transpose(1, 2).reshape(x_MBLD.shape)))

    def last(self, x_MBLD: Tensor, lengths_B: Tensor) -> Tensor:
        """(M, B, D): only the last position of each row, which is all that the top layer of a query needs."""
        num_towers, batch, length, width = x_MBLD.shape
        rows_B = torch.arange(batch, device=x_MBLD.device)
        last_MB1D = x_MBLD[:, rows_B, lengths_B - 1].unsqueeze(2)
        weight, bias = self.query_key_value.weight, self.query_key_value.bias
        q = torch.baddbmm(bias[..., :width], last_MB1D.flatten(1, 2), weight[..., :width])
        pairs = torch.baddbmm(bias[..., width:], x_MBLD.flatten(1, 2), weight[..., width:])
        k, v = (self.heads(part) for part in pairs.view(num_towers, batch, length, -1).chunk(2, dim=-1))
        visible_BL = torch.arange(length, device=x_MBLD.device) < lengths_B.unsqueeze(1)
        mask = visible_BL.repeat(num_towers, 1)[:, None, None, :]
        mixed = F.scaled_dot_product_attention(self.heads(q.view_as(last_MB1D)), k, v, attn_mask=mask)
        return self.finish(last_MB1D, self.out(mixed.transpose(1, 2).reshape(last_MB1D.shape))).squeeze(2)


class Towers(nn.Module):
    """The stack of layers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TowerLayer(config) for _ in range(config.num_layers))

    def initialise(self) -> None:
        """Norms start as they are made: weight 1, bias 0."""
        for module in self.modules():
            if isinstance(module, StackedLinear):
                module.initialise()

    def forward(self, x_MBLD: Tensor) -> Tensor:
        """(M, B, L, D) outputs at every position."""
        for layer in self.layers:
            x_MBLD = layer(x_MBLD)
        return x_MBLD

    def last(self, x_MBLD: Tensor, lengths_B: Tensor) -> Tensor:
        """(M, B, D) outputs at the last position of each row: the fast path of `forward`."""
        *lower, top = (cast(TowerLayer, layer) for layer in self.layers)
        for layer in lower:
            x_MBLD = layer(x_MBLD)
        return top.last(x_MBLD, lengths_B)
