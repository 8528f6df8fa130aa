"""The two Mixtures of Experts of HM4SR, each as router, experts and combination. Independent of sequences.

Shapes: B batch, L events, M towers, D width of a tower, C = M * D, E experts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.config import ModelConfig
from model.network.layers import Linear


class InteractiveMoE(nn.Module):
    """Lets each tower draw on all of them (paper, section 3.2).

    Experts are linear over the concatenation; each tower's softmax gate reads only the tower's own part and mixes the
    experts' outputs in the tower's place; the result is added with a learned scalar per tower.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        num_towers, num_experts = len(config.towers), config.num_interactive_experts
        self.expert_weight = nn.Parameter(torch.empty(num_experts, config.vector_width, config.vector_width))
        self.expert_bias = nn.Parameter(torch.empty(num_experts, config.vector_width))
        self.gate_weight = nn.Parameter(torch.empty(num_towers, num_experts, config.width))
        self.gate_bias = nn.Parameter(torch.empty(num_towers, num_experts))
        self.scale = nn.Parameter(torch.empty(num_towers))

    def initialise(self, *, first_is_id: bool) -> None:
        """As published: the id tower starts without its share of the mixture, the contents with all of it."""
        for weight in (self.expert_weight, self.gate_weight):
            nn.init.normal_(weight, std=0.02)
        for bias in (self.expert_bias, self.gate_bias):
            nn.init.zeros_(bias)
        nn.init.ones_(self.scale)
        if first_is_id:
            with torch.no_grad():
                self.scale[0] = 0.0

    def route(self, x_BLMD: Tensor) -> Tensor:
        """(B, L, M, E) softmax gates, each from its tower's own part."""
        return torch.softmax(torch.einsum("blmd,med->blme", x_BLMD, self.gate_weight) + self.gate_bias, dim=-1)

    def experts(self, x_BLC: Tensor) -> Tensor:
        """(B, L, E, C) outputs of all experts in one product."""
        out = F.linear(x_BLC, self.expert_weight.flatten(0, 1), self.expert_bias.flatten())
        return out.view(*x_BLC.shape[:-1], *self.expert_bias.shape)

    def forward(self, x_BLMD: Tensor) -> Tensor:
        """(B, L, M, D): what each tower's part gains."""
        route_BLEM = self.route(x_BLMD).transpose(-1, -2) * self.scale
        batch, length, num_towers, width = x_BLMD.shape
        out_BLEMD = self.experts(x_BLMD.flatten(-2)).view(batch, length, -1, num_towers, width)
        return (out_BLEMD * route_BLEM.unsqueeze(-1)).sum(dim=2)


class TemporalMoE(nn.Module):
    """Rescales the concatenated representation by when the event happened (paper, section 3.3).

    Each expert is one vector; sum_e route_e * (x * expert_e) is computed as x * (route @ experts).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.start = 1.0 if config.hides_seen or config.repeats else 0.0
        self.gate = Linear(2 * config.width, config.num_temporal_experts)
        self.expert = nn.Parameter(torch.empty(config.num_temporal_experts, config.vector_width))

    def initialise(self) -> None:
        """Experts around 0, as published, from where the model learns not to repeat; around 1 where it need not."""
        nn.init.normal_(self.gate.weight, std=0.02)
        nn.init.zeros_(self.gate.bias)
        nn.init.normal_(self.expert, mean=self.start, std=0.1)

    def route(self, time_BLT: Tensor) -> Tensor:
        """(B, L, E) softmax gate over the time embeddings."""
        return torch.softmax(self.gate(time_BLT), dim=-1)

    def combine(self, x_BLMD: Tensor, route_BLE: Tensor) -> Tensor:
        """(B, L, M, D) rescaled representations."""
        return x_BLMD * (route_BLE @ self.expert).view(x_BLMD.shape)
