"""The linear map of this package. Independent of models."""

from __future__ import annotations

from torch import nn


class Linear(nn.Linear):
    """torch's, but made without drawing random numbers: all of a model's random starts are in `HM4SR.initialise`."""

    def reset_parameters(self) -> None:
        """Left to whoever initialises or loads the model."""
