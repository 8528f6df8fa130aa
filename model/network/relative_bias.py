"""Attention scores that depend on how far apart two events are: HSTU's relative bias (arXiv 2402.17152, section 3.2).

The score of an event that attends to an earlier one gets two learned numbers added, of each layer, tower and head: one
by the number of events between them, one by the doublings of the seconds between them. Both start at 0, the plain
attention. HSTU measures the time up to the event that is to be predicted; here it ends at the event that attends, so
that nothing of the answer is read and cached inputs of earlier positions stay valid.

Independent of items. Shapes: B windows, L events (as queries, then as keys), N layers, M towers, H heads, G gaps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.config import ModelConfig
from model.network.rounding import doublings

NUM_GAPS = 30  # up to 2 ** 29 seconds, 17 years
RATE = 10.0  # an optimiser's step moves a weight by about the learning rate: far too little for a score


class RelativeBias(nn.Module):
    """Two tables of numbers, by steps and by doublings of seconds."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.shape = (config.num_layers, len(config.towers), config.num_heads)
        columns = config.num_layers * len(config.towers) * config.num_heads
        self.step = nn.Parameter(torch.zeros(config.window.size, columns))
        self.gap = nn.Parameter(torch.zeros(NUM_GAPS, columns))
        self.register_buffer("powers", 2.0 ** torch.arange(1, NUM_GAPS), persistent=False)

    powers: Tensor

    def forward(self, times_ms_BL: Tensor) -> Tensor:
        """(N, M, B, H, L, L) what is added to the score of each query and key; minus infinity for later keys."""
        steps_LL = _steps(torch.arange(times_ms_BL.shape[1], device=times_ms_BL.device))
        gaps_ms_BLL = times_ms_BL.unsqueeze(2) - times_ms_BL.unsqueeze(1)
        bias_BLLX = self._bias(steps_LL.expand(gaps_ms_BLL.shape), gaps_ms_BLL)
        return bias_BLLX.view(*gaps_ms_BLL.shape, *self.shape).permute(3, 4, 0, 5, 1, 2)

    def at(self, times_ms_BL: Tensor, positions_B: Tensor) -> Tensor:
        """(N, B, M, H, L) the same for one query of each window, at its position."""
        steps_BL = positions_B.unsqueeze(1) - torch.arange(times_ms_BL.shape[1], device=times_ms_BL.device)
        gaps_ms_BL = times_ms_BL.gather(1, positions_B.unsqueeze(1)) - times_ms_BL
        return self._bias(steps_BL, gaps_ms_BL).view(*steps_BL.shape, *self.shape).permute(2, 0, 3, 4, 1)

    def _bias(self, steps: Tensor, gaps_ms: Tensor) -> Tensor:
        """(..., N * M * H) both numbers of each pair; a late event (negative gap) counts as a gap of 0."""
        added = F.embedding(steps.clamp(min=0), self.step) + F.embedding(
            doublings(gaps_ms // 1000, self.powers), self.gap
        )
        return (RATE * added).masked_fill(steps.unsqueeze(-1) < 0, -torch.inf)


def _steps(positions_L: Tensor) -> Tensor:
    """(L, L) how many events each query comes after each key."""
    return positions_L.unsqueeze(1) - positions_L
