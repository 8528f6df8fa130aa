"""A tower layer for one new position at a time, which attends to the layer's inputs instead of keys and values.

Attention uses query and key matrices only as a product, and value and output matrices too. With each product
precomputed, the cache holds the layer's inputs: half the memory of keys and values, and half the memory traffic, which
dominates the cost of an event. The products are computed in float64. The reference implementation is
`TowerLayer.forward`. Independent of users and caches.

Shapes: M towers, B batch, W window, D width of a tower, H heads, K = D / H, E queries of each head of a facet layer,
Q queries of a position: H, or E * H.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.network.facets import FacetLayer
from model.network.towers import TowerLayer


class FoldedQueries:
    """The queries of a layer, multiplied with its keys beforehand."""

    def __init__(self, query: Tensor, query_bias: Tensor, key: Tensor) -> None:
        """(M, D, Q, K), (M, 1, Q, K) and (M, D, Q, K), of float64.

        The key's bias adds the same to every score, so softmax cancels it.
        """
        key = key / key.shape[-1] ** 0.5
        self.num_queries = key.shape[2]
        self.query_key = torch.einsum("miqk,mjqk->miqj", query, key).flatten(2).float()
        self.query_key_bias = torch.einsum("miqk,mjqk->miqj", query_bias, key).flatten(2).float()

    def queries(self, x_MBD: Tensor) -> Tensor:
        """(B, M, Q, D) the queries at each new position, to be multiplied with inputs."""
        num_towers, batch, width = x_MBD.shape
        shape = (num_towers, batch, self.num_queries, width)
        return torch.baddbmm(self.query_key_bias, x_MBD, self.query_key).view(shape).transpose(0, 1)

    def attend(self, queries_BMQD: Tensor, inputs_BMWD: Tensor, bias_BMHW: Tensor) -> Tensor:
        """(B, M, Q, D) the attention-weighted sums of the inputs.

        `bias_BMHW`: added to the scores, -inf where hidden; M and H may be 1, for all towers and heads.
        """
        scores_BMQW = queries_BMQD @ inputs_BMWD.transpose(-1, -2)
        num_heads = bias_BMHW.shape[2]
        batch, num_towers, _, window = scores_BMQW.shape
        scores_BMQW.view(batch, num_towers, -1, num_heads, window).add_(bias_BMHW.unsqueeze(2))
        return torch.softmax(scores_BMQW, dim=-1) @ inputs_BMWD


class FoldedLayer(FoldedQueries):
    """The attention of one layer: softmax(x @ query_key @ inputs.T) @ inputs @ value_out, per head."""

    def __init__(self, layer: TowerLayer) -> None:
        maps, out = layer.query_key_value, layer.out
        self.layer = layer
        query, key, value = (_by_head(part, layer.num_heads) for part in maps.weight.chunk(3, dim=-1))
        query_bias, _, value_bias = (_by_head(part, layer.num_heads) for part in maps.bias.chunk(3, dim=-1))
        super().__init__(query, query_bias, key)
        num_towers, width, _ = out.weight.shape
        out_MHKO = out.weight.double().view(num_towers, layer.num_heads, -1, width)
        self.value_out = torch.einsum("mjhk,mhko->mhjo", value, out_MHKO).flatten(1, 2).float()
        self.value_out_bias = (torch.einsum("mihk,mhko->mio", value_bias, out_MHKO) + out.bias.double()).float()

    def finish(self, x_MBD: Tensor, mixed_BMHD: Tensor) -> Tensor:
        """(M, B, D) the layer's output at the new positions."""
        mixed_MBC = mixed_BMHD.transpose(0, 1).reshape(*x_MBD.shape[:2], -1)
        return self.layer.finish(x_MBD, torch.baddbmm(self.value_out_bias, mixed_MBC, self.value_out))


class FoldedFacets(FoldedQueries):
    """The same for a facet layer, whose routers need what each query attended to: values are not folded further."""

    def __init__(self, layer: FacetLayer) -> None:
        self.layer = layer
        weights, biases = (part.chunk(2, dim=-1) for part in (layer.key_value.weight, layer.key_value.bias))
        key, value = (_by_head(part, layer.num_heads) for part in weights)
        num_queries = layer.num_experts * layer.num_heads
        query, query_bias = (_by_head(part, num_queries) for part in (layer.query.weight, layer.query.bias))
        super().__init__(query, query_bias, key.repeat(1, 1, layer.num_experts, 1))
        self.value = value.float()
        self.value_bias = _by_head(biases[1], layer.num_heads).float()  # attention weights have a sum of 1

    def finish(self, x_MBD: Tensor, mixed_BMQD: Tensor) -> Tensor:
        """(M, B, D) the layer's output at the new positions; it does not read the input again."""
        heads = (self.layer.num_experts, self.layer.num_heads)
        mixed_BMEHD = mixed_BMQD.reshape(*mixed_BMQD.shape[:2], *heads, -1)
        told_MBEHK = torch.einsum("bmehj,mjhk->mbehk", mixed_BMEHD, self.value) + self.value_bias.unsqueeze(2)
        return self.layer.finish(told_MBEHK)


def fold(layer: nn.Module) -> FoldedLayer | FoldedFacets:
    """The layer for one new position at a time."""
    if isinstance(layer, FacetLayer):
        return FoldedFacets(layer)
    assert isinstance(layer, TowerLayer)
    return FoldedLayer(layer)


def _by_head(part: Tensor, num_heads: int) -> Tensor:
    """(M, ..., H, K) of float64."""
    return part.double().reshape(*part.shape[:-1], num_heads, -1)
