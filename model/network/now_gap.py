"""The gap from the last event to now, shaping the query after the towers: our own addition, not in the paper.

Independent of histories. Shapes: Q queries, C width of a vector. Each range of gaps has a scale and a shift of its
own; all start as "change nothing". Gaps are floored to minutes, so that requests a moment before and a moment
after the click have the same gap. In training half of the queries get no gap, so that the vector alone stays a good
query. The others get the gap to a moment drawn between the last event and the next, as in a live system: the gap to
the next event itself is unknown to any request.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.clock import MINUTE_MS
from model.network.config import ModelConfig
from model.network.time_encoding import gap_rows

UNKNOWN = 0  # the row of "gap not known": always zeros
STEPS_PER_DOUBLING = 2.0
NUM_ROWS = 48  # up to 2 ** 23 minutes, 16 years


class NowGap(nn.Module):
    """Query * (1 + scale) + shift, both looked up by the gap."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(NUM_ROWS, config.vector_width))
        self.shift = nn.Parameter(torch.zeros(NUM_ROWS, config.vector_width))

    def rows(self, gaps_ms_Q: Tensor) -> Tensor:
        """(Q,) the rows of gaps in ms; a negative gap counts as 0, a huge one as the longest."""
        minutes_Q = gaps_ms_Q // MINUTE_MS
        return gap_rows(minutes_Q * 1000, scale=STEPS_PER_DOUBLING, num_rows=NUM_ROWS)

    def forward(self, queries_QC: Tensor, rows_Q: Tensor) -> Tensor:
        """(Q, C) queries that know how long ago the last event was."""
        scale_QC = F.embedding(rows_Q, self.scale, padding_idx=UNKNOWN)
        return torch.addcmul(queries_QC + F.embedding(rows_Q, self.shift, padding_idx=UNKNOWN), queries_QC, scale_QC)
