"""implicit's ALS and BPR: factors of users and items. https://benfred.github.io/implicit/

ALS computes the factors of each query's user from the history of the query (`recalculate_user`). BPR has no such
method: its factors of users are those of training, and users without a training event get no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from exchange import PeerTask, Progress, Queries
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix

MODELS: Mapping[str, Any] = {"als": AlternatingLeastSquares, "bpr": BayesianPersonalizedRanking}


class ImplicitModel:
    """One model; the number of a user's events with an item is the confidence in the pair."""

    def __init__(self, name: str, task: PeerTask) -> None:
        self._folds_in, self._task = name == "als", task
        self._model = MODELS[name](**task.config, random_state=task.seed, num_threads=task.threads)

    def fit(self, progress: Progress) -> dict[str, Any]:
        """All iterations; there is no early stopping."""
        self._users, rows = np.unique(self._task.users, return_inverse=True)
        self._model.fit(self._matrix(rows, self._task.items, len(self._users)), show_progress=False)
        return {"implicit": version("pm-implicit")}

    def _matrix(self, rows: np.ndarray, items: np.ndarray, num_rows: int) -> csr_matrix:
        ones = np.ones(len(rows), np.float32)
        matrix = csr_matrix((ones, (rows, items)), shape=(num_rows, self._task.num_items))
        matrix.sum_duplicates()
        return matrix

    def item_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """The items with a training event."""
        items = np.unique(self._task.items)
        return items, self._model.item_factors[items]

    def query_vectors(self, queries: Queries) -> tuple[np.ndarray, np.ndarray]:
        """From histories (ALS) or from training (BPR)."""
        if not self._folds_in:
            places = np.minimum(np.searchsorted(self._users, queries.users), len(self._users) - 1)
            rows = np.flatnonzero(self._users[places] == queries.users)
            return rows, self._model.user_factors[places[rows]]
        lengths = np.array([len(history) for history in queries.histories])
        rows = np.flatnonzero(lengths)
        taken = self._matrix(
            np.repeat(np.arange(len(rows)), lengths[rows]),
            np.concatenate([queries.histories[row] for row in rows]),
            len(rows),
        )
        return rows, self._model.recalculate_user(np.arange(len(rows)), taken)
