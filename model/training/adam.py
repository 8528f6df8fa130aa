"""Adam (arXiv 1412.6980) by torch's own fused step, without `torch.optim.Adam` around it. Independent of losses.

The class there imports torch's compiler as it is made: 1.1 CPU seconds and 160 MiB of memory that a trainer, which is a
process of its own each time, would pay for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam

BETAS = (0.9, 0.999)
EPS = 1e-8


class Adam:
    """Moments of some parameters, and the step that uses them."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.parameters = list(parameters)
        self.means = [torch.zeros_like(one) for one in self.parameters]
        self.squares = [torch.zeros_like(one) for one in self.parameters]
        self.counts = [torch.zeros((), device=one.device) for one in self.parameters]

    def state(self) -> dict[str, Tensor]:
        """Everything that the next steps depend on, by name."""
        columns = {"mean": self.means, "square": self.squares, "count": self.counts}
        return {f"{number}.{name}": value for name, column in columns.items() for number, value in enumerate(column)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state."""
        for name, own in self.state().items():
            own.copy_(state[name])

    def forget_gradients(self) -> None:
        """Before a backward pass: gradients would add up."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move every parameter that has a gradient."""
        trained = [number for number, parameter in enumerate(self.parameters) if parameter.grad is not None]
        adam(
            [self.parameters[number] for number in trained],
            [grad for parameter in self.parameters if (grad := parameter.grad) is not None],
            [self.means[number] for number in trained],
            [self.squares[number] for number in trained],
            [],  # the largest squares, which AMSGrad alone keeps
            [self.counts[number] for number in trained],
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=learning_rate,
            weight_decay=0.0,
            eps=EPS,
            maximize=False,
        )
