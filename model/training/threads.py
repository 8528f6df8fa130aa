"""How many cores torch may use in this process. For entry points; importing it changes nothing."""

from __future__ import annotations

import torch


def limit_threads(num_threads: int) -> None:
    """Serving wants 1 (requests run side by side), training wants every core it may have."""
    torch.set_num_threads(max(1, num_threads))
