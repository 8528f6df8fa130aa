"""Dropout that is cheap on a CPU: one 64-bit draw decides eight elements. Independent of models.

torch's own dropout draws one number per element, 9 ns each here: a third of a training step. The share dropped is
rounded to 1/256, and the scale corrects for the rounded share.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 256


def drop(x: Tensor, share: float, *, training: bool) -> Tensor:
    """`x` with about `share` of its elements set to 0 and the others scaled up; unchanged outside training."""
    dropped = round(share * LEVELS)
    if not training or dropped == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, dropped / LEVELS)
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    keep = words.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
    return x * (keep * (LEVELS / (LEVELS - dropped)))
