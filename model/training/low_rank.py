"""Low-rank updates: a fine-tune that moves each weight matrix within a few directions, and not far.

Incremental low-rank experts (arXiv 2506.04595): after t fine-tunes a matrix is W + sum over t of r_t B_t A_t, with
B_t A_t of a small rank and a learned scalar r_t. B_t starts at 0, so that a fine-tune starts from its parent. The
anchor is a penalty on the mean square of r_t B_t A_t. Afterwards the sum is stored as one matrix: the network's shape,
its serving and the next fine-tune are as before. Id rows of items are one such matrix; vectors and small tables stay
as they are. Independent of data. Shapes: R rows and C columns of a matrix, K rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class LowRankUpdate(nn.Module):
    """The update of one matrix, or of several that are stacked."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        *stack, num_rows, num_columns = weight.shape
        self.down = nn.Parameter(torch.randn(*stack, rank, num_columns) / rank**0.5)  # A
        self.up = nn.Parameter(torch.zeros(*stack, num_rows, rank))  # B
        self.scale = nn.Parameter(torch.ones(()))  # r

    def update(self) -> Tensor:
        """(..., R, C) what is added."""
        return self.scale * (self.up @ self.down)

    def forward(self, weight: Tensor) -> Tensor:
        """The updated matrix."""
        return weight + self.update()


@dataclass(frozen=True)
class LowRankTuning:
    """A network of which only low-rank updates learn. `anchor`: the weight of the penalty."""

    model: nn.Module
    anchor: float

    @classmethod
    def begin(cls, model: nn.Module, *, rank: int, anchor: float, seed: int) -> LowRankTuning:
        """Freeze the network and add updates to each matrix whose sides are both larger than the rank."""
        model.requires_grad_(False)
        matrices = [
            (module, name, weight)
            for module in list(model.modules())
            for name, weight in list(module.named_parameters(recurse=False))
            if weight.dim() >= 2 and min(weight.shape[-2:]) > rank
        ]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module, name, weight in matrices:
                parametrize.register_parametrization(module, name, LowRankUpdate(weight, rank))
        return cls(model, anchor)

    def penalty(self) -> Tensor:
        """The anchor times the mean square of all that is added to matrices."""
        updates = [module.update() for module in self.model.modules() if isinstance(module, LowRankUpdate)]
        num = sum(update.numel() for update in updates)
        return self.anchor / max(1, num) * torch.stack([update.square().sum() for update in updates]).sum()

    def end(self) -> None:
        """Store the updated matrices as the network's own."""
        for module in list(self.model.modules()):
            if parametrize.is_parametrized(module):
                for name in list(module.parametrizations):  # type: ignore[arg-type]
                    parametrize.remove_parametrizations(module, name, leave_parametrized=True)
