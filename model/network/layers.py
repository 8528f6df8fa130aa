"""Linear maps and norms, alone or of several towers side by side. Independent of models. Shapes: M towers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Linear(nn.Linear):
    """torch's, but made without drawing random numbers: all of a model's random starts are in `HM4SR.initialise`."""

    def reset_parameters(self) -> None:
        """Left to whoever initialises or loads the model."""


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
