"""When events happened, as the Temporal MoE reads it: [gap embedding ; absolute embedding]. Independent of items.

Shapes: B batch, L events, D width. The gap embedding is a row of a table, chosen by the logarithm of the time since the
previous event of the window; the absolute embedding is a bank of cosines over the normalised time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from core.clock import DAY_MS
from model.network.config import ModelConfig
from model.network.layers import Linear
from model.network.rounding import log2, multiply_add, power

NO_GAP = 0  # the row of "no event before this one in the window"
POOL_SIZE = 1024


def gap_rows(gaps_ms: Tensor, *, scale: float, num_rows: int) -> Tensor:
    """The rows of gaps in integer ms: 1 + floor(scale * log2(seconds + 1)), inside the table for every gap.

    A late event (negative gap) counts as 0, a gap longer than the table as the longest.
    """
    seconds = gaps_ms.clamp(min=0).double() / 1000
    return (1 + torch.floor(scale * torch.log2(seconds + 1)).long()).clamp(max=num_rows - 1)


def gaps_before(times_ms_BL: Tensor) -> Tensor:
    """(B, L) gaps in integer ms before each event; 0 before the first. Subtracted as integers, never as floats."""
    gaps_BL = torch.zeros_like(times_ms_BL)
    gaps_BL[:, 1:] = times_ms_BL[:, 1:] - times_ms_BL[:, :-1]
    return gaps_BL


def mixed_bits(values: Tensor) -> Tensor:
    """A fixed pseudo-random non-negative int64 for each int64 (the finaliser of splitmix64, in wrapping arithmetic)."""
    values = (values ^ ((values >> 30) & 0x3FFFFFFFF)) * -0x40A7B892E31B1A47
    values = (values ^ ((values >> 27) & 0x1FFFFFFFFF)) * -0x6B2FB644ECCEEE15
    return (values ^ ((values >> 31) & 0x1FFFFFFFF)) & 0x7FFFFFFFFFFFFFFF


class TimeEncoding(nn.Module):
    """Time embeddings of events.

    `origin_ms`, the zero of normalised time, is frozen at training: times are days since it, subtracted as integers, so
    that float32 keeps them to a minute. `shuffle_pool` holds rows of training gaps for the "shuffled" ablation, which
    replaces each gap by one drawn from the pool by a hash of the event's time: the same distribution, no information.
    """

    origin_ms: Tensor
    shuffle_pool: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.mode, self.scale = config.gaps, config.gap_scale
        self.reads_absolute = config.absolute_time
        self.gap_embedding = nn.Parameter(torch.empty(config.num_gap_rows, config.width))
        self.frequency = Linear(1, config.width)
        damping_D = 1 / power(10_000, torch.arange(config.width) / config.width)
        self.register_buffer("damping", damping_D, persistent=False)
        self.register_buffer("origin_ms", torch.zeros((), dtype=torch.int64))
        self.register_buffer("shuffle_pool", torch.full((POOL_SIZE,), NO_GAP, dtype=torch.int64))

    damping: Tensor

    def initialise(self) -> None:
        """Wavelengths from one day to about 27 years: daily rhythm and slow trend are visible from the start."""
        nn.init.normal_(self.gap_embedding, std=0.02)
        nn.init.constant_(self.frequency.weight, 2 * math.pi)
        nn.init.uniform_(self.frequency.bias, -math.pi, math.pi)

    def rows(self, times_ms_BL: Tensor) -> Tensor:
        """(B, L) rows of the gap table; the first event of a window has none before it."""
        if self.mode == "off":
            return torch.full_like(times_ms_BL, NO_GAP)
        if self.mode == "shuffled":
            rows_BL = self.shuffle_pool[mixed_bits(times_ms_BL) % len(self.shuffle_pool)]
        else:
            num_rows = len(self.gap_embedding)
            rows_BL = gap_rows(gaps_before(times_ms_BL), scale=self.scale, num_rows=num_rows)
        rows_BL[:, 0] = NO_GAP
        return rows_BL

    def absolute(self, times_ms_BL: Tensor) -> Tensor:
        """(B, L, D) cosines of the frequency-scaled linear map of days since the origin.

        The map is spelt out, not a matrix product: a product may or may not fuse its addition, by the shape of the
        batch, and at an angle of 10,000 that moves the cosine by 0.001.
        """
        days_BL1 = ((times_ms_BL - self.origin_ms).double() / DAY_MS).float().unsqueeze(-1)
        angles_BLD = days_BL1 * self.frequency.weight[:, 0] + self.frequency.bias
        return torch.cos(angles_BLD * self.damping)

    def forward(self, times_ms_BL: Tensor) -> Tensor:
        """(B, L, 2D) time embeddings."""
        gaps_BLD = nn.functional.embedding(self.rows(times_ms_BL), self.gap_embedding)
        absolute_BLD = self.absolute(times_ms_BL) if self.reads_absolute else torch.zeros_like(gaps_BLD)
        return torch.cat([gaps_BLD, absolute_BLD], dim=-1)


class ReleasedTimeEncoding(TimeEncoding):
    """The released code's arithmetic: float32 seconds before subtracting, raw seconds into the cosine, row 0 first."""

    def initialise(self) -> None:
        """Small random weights, no bias: as the released code starts, whatever the cosines then make of raw seconds."""
        nn.init.normal_(self.gap_embedding, std=0.02)
        nn.init.normal_(self.frequency.weight, std=0.02)
        nn.init.zeros_(self.frequency.bias)

    def rows(self, times_ms_BL: Tensor) -> Tensor:
        """Rows from float32 seconds, whose neighbours are 128 s apart in our times."""
        seconds_BL = (times_ms_BL.double() / 1000).float()
        gaps_BL = (seconds_BL[:, 1:] - seconds_BL[:, :-1]).clamp(min=0)
        rows_BL = torch.zeros_like(times_ms_BL)
        rows_BL[:, 1:] = torch.floor(self.scale * log2(gaps_BL + 1)).long()
        return rows_BL.clamp(max=len(self.gap_embedding) - 1)

    def absolute(self, times_ms_BL: Tensor) -> Tensor:
        """(B, L, D) cosines of raw float32 seconds: angles of up to 10^8, as a fused multiply-add gives them."""
        seconds_BL1 = (times_ms_BL.double() / 1000).float().unsqueeze(-1)
        angles_BLD = multiply_add(seconds_BL1, self.frequency.weight[:, 0], self.frequency.bias)
        return torch.cos(angles_BLD * self.damping)
