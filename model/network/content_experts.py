"""Experts of items' contents: MAMEX (arXiv 2508.08042). Independent of sequences; computed once for each item.

Each modality's projection is a sparse mixture of linear experts, and modalities are weighted for each item:

    y_m = sum over the best two experts k of softmax(gates)_k E_k(x_m)
    a = softmax over the item's modalities of <w_m, y_m> + b_m;  its part of the vector is M a_m y_m

MAMEX adds the weighted parts up; here they stay side by side, one for each tower. The balance term keeps one modality
from taking all the weight: the divergence of the mean weights from equal ones, KL(1 / M || mean of a) in the loss. An
item without a content has that modality's learned vector and no weight for it, one without any equal weights.
Shapes: N items, F features, M modalities, D width, E experts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.network.layers import Linear

NUM_PICKED = 2


class ExpertProjection(nn.Module):
    """(N, F) features of one modality to (N, D), by two of E linear experts."""

    def __init__(self, size: int, width: int, num_experts: int) -> None:
        super().__init__()
        self.num_experts = num_experts
        self.gate = Linear(size, num_experts)
        self.experts = Linear(size, num_experts * width)

    def forward(self, values_NF: Tensor) -> Tensor:
        """(N, D): all experts are one product; those not picked are multiplied by 0."""
        best, picked = self.gate(values_NF).topk(min(NUM_PICKED, self.num_experts), dim=-1)
        outputs_NED: Tensor = self.experts(values_NF).view(len(values_NF), self.num_experts, -1)
        weights_NE = torch.zeros_like(outputs_NED[..., 0])
        weights_NE = weights_NE.scatter(-1, picked, torch.softmax(best, dim=-1).to(outputs_NED.dtype))
        return (outputs_NED * weights_NE.unsqueeze(-1)).sum(1)


class ModalityWeights(nn.Module):
    """How much each modality says of an item; at first all the same."""

    def __init__(self, num_modalities: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_modalities, width))
        self.bias = nn.Parameter(torch.zeros(num_modalities))

    def forward(self, contents: Sequence[Tensor], present_NM: Tensor) -> Tensor:
        """(N, M) weights with a sum of 1; `contents`: M of (N, D)."""
        scores_NM = (torch.stack(list(contents), dim=1) * self.weight).sum(-1) + self.bias
        absent_NM = ~present_NM & present_NM.any(1, keepdim=True)
        return torch.softmax(scores_NM.masked_fill(absent_NM, -torch.inf), dim=-1)


def imbalance(weights_NM: Tensor) -> Tensor:
    """KL(1 / M || mean weights): 0 where all modalities have the same weight on the whole."""
    mean_M = weights_NM.mean(0).clamp(min=1e-9)
    return -(mean_M * len(mean_M)).log().mean()
