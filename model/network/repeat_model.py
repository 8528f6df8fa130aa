"""What earlier events add to the scores of their own items: our own addition, not in the paper.

Whether a user comes back to an item depends on the time since: never, where things are bought once; soon, in a
feed; after weeks, where they are used up. Each event adds a learned number to the score of its item, by the time and by
the number of events since. Towers learn this badly: of the ten items that a plain network answers, several are what the
user has just had. All numbers start at 0, "adds nothing".

Independent of items. Shapes: B windows, L events.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.rounding import doublings

NUM_GAPS = 30  # up to 2 ** 29 seconds, 17 years
NUM_STEPS = 10  # up to 2 ** 9 events
RATE = 10.0  # an optimiser's step moves a weight by about the learning rate: far too little for a score


class RepeatModel(nn.Module):
    """Two tables, whose rows are summed: by the time since an event, and by the number of events since."""

    def __init__(self) -> None:
        super().__init__()
        self.gap = nn.Parameter(torch.zeros(NUM_GAPS, 1))
        self.step = nn.Parameter(torch.zeros(NUM_STEPS, 1))
        self.register_buffer("powers", 2.0 ** torch.arange(1, NUM_GAPS), persistent=False)

    powers: Tensor

    def forward(self, times_ms_BL: Tensor, positions_B: Tensor) -> Tensor:
        """(B, L) what the events of windows add, after the one at a position of each: nothing behind it."""
        steps_BL = positions_B.unsqueeze(1) - torch.arange(times_ms_BL.shape[1], device=times_ms_BL.device)
        gaps_ms_BL = times_ms_BL.gather(1, positions_B.unsqueeze(1)) - times_ms_BL
        added_BL1 = F.embedding(doublings(gaps_ms_BL / 1000, self.powers), self.gap)
        added_BL1 = added_BL1 + F.embedding(doublings(steps_BL, self.powers[: NUM_STEPS - 1]), self.step)
        return torch.where(steps_BL >= 0, RATE * added_BL1.squeeze(-1), 0.0)
