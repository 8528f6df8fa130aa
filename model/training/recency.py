"""Recency sampling: in each epoch, newer events are more often targets than older ones. Independent of networks.

Tastes and assortments change, and the model is used after its newest event: it should fit the end of the log best. The
probability of an event to be a target halves with every `half_life` of the training events that are newer. It is
measured in events, not in days, so that one value fits a shop of weeks and a log of ten years. Events that are not
drawn are still read as history. Shapes: n events, N candidates.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from model.training.data import TrainingData

LEAST_PROBABILITY = 0.05  # the oldest events stay in: they are the only ones of some items


def target_probabilities(data: TrainingData, half_life: float) -> Tensor:
    """(n,) the probability of each event to be a target in one epoch. Events of one time have the same."""
    trained_ms = data.times_ms[torch.from_numpy(data.split.train).to(data.times_ms.device)].sort().values
    older_n = torch.searchsorted(trained_ms, data.times_ms, right=True) / len(trained_ms)
    return torch.exp2((older_n - 1) / half_life).clamp(min=LEAST_PROBABILITY)


def with_target_share(data: TrainingData, probabilities_n: Tensor) -> TrainingData:
    """The data with the share of each candidate among the targets that are drawn, which log-Q reads."""
    train = torch.from_numpy(data.split.train).to(data.items.device)
    drawn_N = torch.zeros(len(data.target_share), device=train.device)
    drawn_N.index_add_(0, data.items[train], probabilities_n[train].to(drawn_N.dtype))
    return replace(data, target_share=drawn_N / drawn_N.sum())
