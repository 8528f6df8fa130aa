"""What attention layers share: the layout of heads, and the mask of a row's last position.

Shapes: M towers, B batch, L events, D width, H heads, K = D / H.
"""

from __future__ import annotations

import torch
from torch import Tensor


def split_heads(x_MBLD: Tensor, num_heads: int) -> Tensor:
    """(M * B, H, L, K): the layout that attention wants."""
    num_towers, batch, length, width = x_MBLD.shape
    shape = (num_towers * batch, length, num_heads, width // num_heads)
    return x_MBLD.reshape(shape).transpose(1, 2)


def mask_of_last(x_MBLD: Tensor, lengths_B: Tensor, bias_MBHLL: Tensor | None) -> Tensor:
    """(M * B, H, 1, L) the mask of each row's last event: its bias, or (M * B, 1, 1, L) booleans without one."""
    num_towers, batch, length, _ = x_MBLD.shape
    if bias_MBHLL is None:
        visible_BL = torch.arange(length, device=x_MBLD.device) < lengths_B.unsqueeze(1)
        return visible_BL.repeat(num_towers, 1)[:, None, None, :]
    rows_B = torch.arange(batch, device=x_MBLD.device)
    return bias_MBHLL[:, rows_B, :, lengths_B - 1].transpose(0, 1).flatten(0, 1).unsqueeze(2)
