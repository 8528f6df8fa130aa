"""A tower layer for one new position at a time, without keys or values. Independent of users or memories.

Query and key maps meet only in their product, and so do value and output maps. Folded into one matrix each, they let a
position look at what the layer was *given* at earlier positions: half as much to keep and to fetch as keys and values,
and fetching is what an event costs. The folding is done in float64. The plain reference is `TowerLayer.forward`.

Shapes: M towers, B batch, W window, D width of a tower, H heads, K = D / H.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.network.towers import TowerLayer


class FoldedLayer:
    """The attention of one layer: softmax(x look . inputs) @ inputs, then `say`."""

    def __init__(self, layer: TowerLayer) -> None:
        self.layer, self.num_heads = layer, layer.num_heads
        maps, out = layer.query_key_value, layer.out
        num_towers, width, _ = maps.weight.shape
        heads = (num_towers, -1, self.num_heads, width // self.num_heads)
        query, key, value = (part.double().view(heads) for part in maps.weight.chunk(3, dim=-1))
        query_bias, _, value_bias = (part.double().view(heads) for part in maps.bias.chunk(3, dim=-1))
        out_MHKO = out.weight.double().view(num_towers, self.num_heads, -1, width)
        key = key / heads[-1] ** 0.5  # the key's bias adds the same to every score: softmax does not see it
        self.look = torch.einsum("mihk,mjhk->mihj", query, key).flatten(2).float()
        self.look_bias = torch.einsum("mihk,mjhk->mihj", query_bias, key).flatten(2).float()
        self.say = torch.einsum("mjhk,mhko->mhjo", value, out_MHKO).flatten(1, 2).float()
        self.say_bias = (torch.einsum("mihk,mhko->mio", value_bias, out_MHKO) + out.bias.double()).float()

    def looks(self, x_MBD: Tensor) -> Tensor:
        """(B, M, H, D) what each head of each position looks for among the inputs."""
        num_towers, batch, width = x_MBD.shape
        looks_MBHD = torch.baddbmm(self.look_bias, x_MBD, self.look).view(num_towers, batch, self.num_heads, width)
        return looks_MBHD.transpose(0, 1)

    def seen(self, looks_BMHD: Tensor, inputs_BMWD: Tensor, hidden_BW: Tensor) -> Tensor:
        """(B, M, H, D) the mixtures of inputs that are found; `hidden_BW` is 0 where visible and -inf elsewhere."""
        scores_BMHW = looks_BMHD @ inputs_BMWD.transpose(-1, -2)
        scores_BMHW += hidden_BW[:, None, None, :]
        return torch.softmax(scores_BMHW, dim=-1) @ inputs_BMWD

    def finish(self, x_MBD: Tensor, seen_BMHD: Tensor) -> Tensor:
        """(M, B, D) the layer's output at the new positions."""
        seen_MBC = seen_BMHD.transpose(0, 1).reshape(*x_MBD.shape[:2], -1)
        return self.layer.finish(x_MBD, torch.baddbmm(self.say_bias, seen_MBC, self.say))
