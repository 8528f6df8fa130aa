"""Specialised experts beside the feed-forward part of a layer: HyMoERec (arXiv 2511.06388). Independent of items.

The layer's own feed-forward part is the shared expert. Small ones are added to it, of which a gate picks two for each
event: y = FFN(x) + sigmoid(alpha) * w(step) * sum of g_i f_i(x) over the two, g a softmax over their gate values. w
grows from 0 to 1 over the first steps of training, so that the shared expert learns first; afterwards it is 1. All
experts are computed and those not picked are multiplied by 0: at this width that is one product, cheaper than
gathering. Shapes: M towers, D width, E experts, I inner width of an expert.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.config import ModelConfig
from model.network.layers import StackedLinear

NUM_PICKED = 2
WARMUP_STEPS = 500


class SparseExperts(nn.Module):
    """E experts of each tower; together they have the weights of one more feed-forward part."""

    num_steps: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        num_towers, width, num_experts = len(config.towers), config.width, config.sparse_experts
        inner_width = max(1, config.inner_width // num_experts)
        self.gate = StackedLinear(num_towers, width, num_experts)
        self.inner = StackedLinear(num_towers, width, num_experts * inner_width)
        self.outer = StackedLinear(num_towers, num_experts * inner_width, width)
        self.alpha = nn.Parameter(torch.zeros(num_towers))
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))

    def route(self, x: Tensor) -> Tensor:
        """(M, ..., E) the weights of the experts: a softmax over the two picked, 0 for the others."""
        values, picked = self.gate(x).topk(NUM_PICKED, dim=-1)
        weights = torch.zeros(*x.shape[:-1], self.gate.bias.shape[-1], dtype=values.dtype, device=x.device)
        return weights.scatter(-1, picked, torch.softmax(values, dim=-1))

    def forward(self, x: Tensor) -> Tensor:
        """(M, ..., D) what is added to the output of the feed-forward part; x is its input."""
        route = self.route(x).unsqueeze(-1)
        inner = F.gelu(self.inner(x)).view(*route.shape[:-1], -1)
        scale = torch.sigmoid(self.alpha[-len(x) :]).view(-1, *[1] * (x.dim() - 1))
        if self.training:
            scale = scale * (self.num_steps / WARMUP_STEPS).clamp(max=1.0)
            self.num_steps += 1
        out: Tensor = self.outer((inner * route).flatten(-2))
        return scale * out
