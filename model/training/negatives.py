"""Which items a step's next-item loss runs over, where it does not run over all. Independent of networks and losses.

Mixed negatives (Yang et al., "Mixed Negative Sampling for Learning Two-tower Neural Networks in Recommendations", WWW
2020): the targets of the batch and items drawn uniformly, each corrected by the logarithm of its probability to be
there. Shapes: N items or candidates, P positions.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mixed(
    targets_P: Tensor, target_share_N: Tensor, num_samples: int, draws: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """The candidates of one step, ascending, and -log of the probability that each is among them (log-Q).

    `target_share_N`: the share of each item among the targets of training. `draws`: on the CPU; None: torch's own.
    """
    num_items = len(target_share_N)
    drawn = torch.randint(0, num_items, (num_samples,), generator=draws).to(targets_P.device)
    candidates_N = torch.unique(torch.cat([targets_P, drawn]))
    expected_N = len(targets_P) * target_share_N[candidates_N] + num_samples / num_items
    return candidates_N, -torch.log(-torch.expm1(-expected_N))


def uniform(num_items: int, num_samples: int, draws: torch.Generator | None) -> Tensor:
    """Distinct items, ascending, each with the same probability; all where there are not more than `num_samples`."""
    if num_items <= num_samples:
        return torch.arange(num_items)
    return torch.randperm(num_items, generator=draws)[:num_samples].sort().values
