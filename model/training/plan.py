"""How to train, and how training says where it stands. Records only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from model.training.precision import Precision

NextItemLoss = Literal["softmax", "mixed", "gbce"]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to train. `max_seconds` bounds the whole, features included; the learning rate then falls with the time left.

    It stops after `patience` epochs in a row without a gain of `least_gain` over the best metric so far: smaller gains
    are kept, but lie within the noise of a few thousand held-out events. `loss`: "softmax" is over all items; above
    `sampled_above` of them, and with "mixed" always, over the batch's targets and `num_samples` uniform ones, corrected
    by the logarithm of each candidate's probability to be there; "gbce" is gSASRec's with `num_samples` uniform
    negatives and `calibration` (its t). `half_life`: each such share of newer events halves an event's probability to
    be a target in an epoch (0: each event is one). `precision`: what products multiply; "auto" is bfloat16 where that
    is fast.
    """

    epochs: int = 20
    max_seconds: float | None = None
    batch_events: int = 2048
    learning_rate: float = 2e-3
    warmup_steps: int = 50
    clip_norm: float = 5.0
    validation_share: float = 0.03
    max_validation_events: int = 2000
    patience: int = 2
    least_gain: float = 0.005
    loss: NextItemLoss = "softmax"
    calibration: float = 0.75
    sampled_above: int = 50_000
    num_samples: int = 8192
    half_life: float = 0.0
    device: str = "cpu"
    precision: Precision = "auto"


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where training stands. `metric`: the newest validation NDCG@10, or None before the first."""

    epoch: int
    step: int
    steps: int
    loss: float
    metric: float | None
    elapsed_s: float
    left_s: float


ProgressCallback = Callable[[TrainingProgress], None]
Timer = Callable[[], float]  # seconds of a monotonic clock


def silent(progress: TrainingProgress) -> None:
    """The null object of progress callbacks."""
