"""River's biased matrix factorisation as a recommender that learns from each event: the online baseline.

Implements `core.evaluation.scorers.LiveScorer` with river. It trains on each event with the target 1, and on a few
items drawn at random with 0. Shapes: B requests, N items, D factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.evaluation.scorers import Past, TrainingPart


class OnlineFactorisation:
    """One pass over the events in the order in which they happened, then one step per event."""

    def __init__(self, *, num_factors: int, learning_rate: float, num_negatives: int, seed: int) -> None:
        self._num_factors, self._learning_rate = num_factors, learning_rate
        self._num_negatives, self._seed = num_negatives, seed

    def fit(self, part: TrainingPart) -> None:
        """Start anew and learn all events in order."""
        from river import optim, reco  # an extra: only those who compare with it need it

        self._random = np.random.default_rng(self._seed)
        self._model: Any = reco.BiasedMF(  # river's methods carry no types
            n_factors=self._num_factors,
            bias_optimizer=optim.SGD(self._learning_rate),
            latent_optimizer=optim.SGD(self._learning_rate),
            loss=optim.losses.Squared(),
            l2_latent=0.01,
            seed=self._seed,
        )
        self._factors_ND = np.zeros((part.num_items, self._num_factors))
        self._biases_N = np.zeros(part.num_items)
        events = part.training_events
        for row in np.argsort(events.times_ms, kind="stable"):
            self.apply(int(events.users[row]), int(events.items[row]), int(events.times_ms[row]))

    def apply(self, user: int, item: int, time_ms: int) -> None:
        """Learn one event and a few that did not happen."""
        self._learn(user, item, 1.0)
        for other in self._random.integers(0, len(self._biases_N), self._num_negatives).tolist():
            if other != item:
                self._learn(user, other, 0.0)

    def _learn(self, user: int, item: int, happened: float) -> None:
        self._model.learn_one(user=user, item=item, y=happened)
        self._factors_ND[item] = self._model.i_latents[item]
        self._biases_N[item] = self._model.i_biases[item]

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        """(B, N) predictions without the parts that are the same for all items; strangers get the items' biases."""
        known = self._model.u_latents
        nothing_D = np.zeros(self._num_factors)
        users_BD = np.stack([known.get(past.user, nothing_D) for past in pasts])
        return np.asarray(users_BD @ self._factors_ND.T + self._biases_N, np.float32)
