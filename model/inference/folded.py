"""A tower layer for one new position at a time, which attends to the layer's inputs instead of keys and values.

Attention uses query and key matrices only as a product, and value and output matrices too. With each product
precomputed, the cache holds the layer's inputs: half the memory of keys and values, and half the memory traffic, which
dominates the cost of an event. The products are computed in float64. The reference implementation is
`TowerLayer.forward`. Independent of users and caches.

Shapes: M towers, B batch, W window, D width of a tower, H heads, K = D / H.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.network.towers import TowerLayer


class FoldedLayer:
    """The attention of one layer: softmax(x @ query_key @ inputs.T) @ inputs @ value_out, per head."""

    def __init__(self, layer: TowerLayer) -> None:
        self.layer, self.num_heads = layer, layer.num_heads
        maps, out = layer.query_key_value, layer.out
        num_towers, width, _ = maps.weight.shape
        heads = (num_towers, -1, self.num_heads, width // self.num_heads)
        query, key, value = (part.double().view(heads) for part in maps.weight.chunk(3, dim=-1))
        query_bias, _, value_bias = (part.double().view(heads) for part in maps.bias.chunk(3, dim=-1))
        out_MHKO = out.weight.double().view(num_towers, self.num_heads, -1, width)
        key = key / heads[-1] ** 0.5  # the key's bias adds the same to every score, so softmax cancels it
        self.query_key = torch.einsum("mihk,mjhk->mihj", query, key).flatten(2).float()
        self.query_key_bias = torch.einsum("mihk,mjhk->mihj", query_bias, key).flatten(2).float()
        self.value_out = torch.einsum("mjhk,mhko->mhjo", value, out_MHKO).flatten(1, 2).float()
        self.value_out_bias = (torch.einsum("mihk,mhko->mio", value_bias, out_MHKO) + out.bias.double()).float()

    def queries(self, x_MBD: Tensor) -> Tensor:
        """(B, M, H, D) the query of each head at each new position, to be multiplied with inputs."""
        num_towers, batch, width = x_MBD.shape
        queries_MBHD = torch.baddbmm(self.query_key_bias, x_MBD, self.query_key).view(
            num_towers, batch, self.num_heads, width
        )
        return queries_MBHD.transpose(0, 1)

    def attend(self, queries_BMHD: Tensor, inputs_BMWD: Tensor, bias_BMHW: Tensor) -> Tensor:
        """(B, M, H, D) the attention-weighted sums of the inputs.

        `bias_BMHW`: added to the scores, -inf where hidden; M and H may be 1, for all towers and heads.
        """
        scores_BMHW = queries_BMHD @ inputs_BMWD.transpose(-1, -2)
        scores_BMHW += bias_BMHW
        return torch.softmax(scores_BMHW, dim=-1) @ inputs_BMWD

    def finish(self, x_MBD: Tensor, mixed_BMHD: Tensor) -> Tensor:
        """(M, B, D) the layer's output at the new positions."""
        mixed_MBC = mixed_BMHD.transpose(0, 1).reshape(*x_MBD.shape[:2], -1)
        return self.layer.finish(x_MBD, torch.baddbmm(self.value_out_bias, mixed_MBC, self.value_out))
