"""In which precision a training multiplies. Independent of models.

Weights, sums and losses are float32 always. "bfloat16" means: the softmax over the items multiplies bfloat16, and on a
GPU the whole network does (autocast). On a CPU the towers stay float32: their products are too small to gain.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch

from core.errors import InvalidSettings
from model.training.products import has_fast_bfloat16

Precision = Literal["auto", "float32", "bfloat16"]


def multiplies_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether products are of bfloat16; "auto" where they are fast. Raises where they are wanted and cannot be."""
    fast = precision != "float32" and has_fast_bfloat16(device)
    if precision == "bfloat16" and not fast:
        msg = (
            f"precision: wanted bfloat16 on {device.type}, which needs a GPU with it, or an x86 CPU with AMX and a "
            "torch that carries MKL, got neither; use auto or float32"
        )
        raise InvalidSettings(msg)
    return fast


def autocast(device: torch.device, *, enabled: bool) -> AbstractContextManager[None]:
    """The context in which the network runs forward."""
    context: AbstractContextManager[None] = torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=enabled and device.type == "cuda"
    )
    return context
