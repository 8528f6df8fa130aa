"""A model of another library as a scorer: it is trained in a process of its own, which turns queries into vectors.

Scores are inner products, computed here, so that ranks, ties and metrics are those of all models. Shapes: B queries,
R of them answered, N items, K of them known to the model, D width of a vector.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.evaluation.scorers import Past, TrainingPart
from model.evaluation.models import Budget
from model.evaluation.peers.exchange import read_vectors, write_events, write_queries
from model.evaluation.peers.process import PeerEnvironment, PeerProcess
from model.training.data import MIN_VALIDATION_EVENTS
from model.training.train import TrainingProgress


class PeerScorer:
    """One model of a peer library. `num_threads`: of its process.

    Each query is answered from its whole history, without training again. Items that the model does not know are below
    all others; a query that it cannot answer is answered by popularity among the training events.
    """

    def __init__(
        self,
        model: str,
        config: Mapping[str, Any],
        budget: Budget,
        seed: int,
        *,
        environment: PeerEnvironment,
        num_threads: int,
        progress: Callable[[TrainingProgress], None],
    ) -> None:
        self._model, self._config, self._budget, self._seed = model, config, budget, seed
        self._environment, self._num_threads, self._progress = environment, num_threads, progress

    def fit(self, part: TrainingPart) -> None:
        """Start the process and train; `report` then says how it went. Raises `PeerFailed`."""
        self._environment.require(self._model)
        folder = TemporaryDirectory(prefix="tidewise-peer-")
        self._folder = Path(folder.name)
        self._process = PeerProcess(self._environment, self._folder / "log", num_threads=self._num_threads)
        weakref.finalize(self, _end, self._process, folder)
        write_events(self._folder / "events.parquet", part.training_events)
        limit = self._budget.plan(learning_rate=0.0).max_validation_events  # as many as our networks get
        validation = part.validation_sample(limit=limit, least=MIN_VALIDATION_EVENTS, seed=self._seed)
        write_queries(self._folder / "validation.parquet", part.pasts(validation), part.columns.items[validation])
        self.report: dict[str, Any] = dict(self._process.ask(self._request(part), self._show))
        self._items_K, self._vectors_KD = read_vectors(self._folder / "items.parquet")
        self._counts_N = np.bincount(part.training_events.items, minlength=part.num_items).astype(np.float32)

    def _request(self, part: TrainingPart) -> dict[str, Any]:
        budget = self._budget
        return {
            "do": "fit",
            "model": self._model,
            "config": dict(self._config),
            "seed": self._seed,
            "num_items": part.num_items,
            "epochs": budget.epochs,
            "max_seconds": budget.max_seconds,
            "window": budget.window.size,
            "threads": self._num_threads,
            "device": budget.device,
            "hides_seen": budget.hides_seen,
            **{name: str(self._folder / f"{name}.parquet") for name in ("events", "validation", "items")},
        }

    def _show(self, at: Mapping[str, Any]) -> None:
        epoch, epochs, elapsed_s = at["epoch"], self._budget.epochs, at["elapsed_s"]
        left_s = elapsed_s / epoch * (epochs - epoch)
        self._progress(TrainingProgress(epoch, epoch, epochs, at["loss"], at["metric"], elapsed_s, left_s))

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        """(B, N) inner products of the vectors of queries and items."""
        queries, vectors = self._folder / "queries.parquet", self._folder / "vectors.parquet"
        write_queries(queries, pasts)
        self._process.ask({"do": "answer", "queries": str(queries), "vectors": str(vectors)}, self._show)
        rows_R, queries_RD = read_vectors(vectors)
        scores_BN = np.tile(self._counts_N, (len(pasts), 1))
        scores_RK = queries_RD @ self._vectors_KD.T
        scores_BN[rows_R] = scores_RK.min(axis=1, keepdims=True) - 1
        scores_BN[rows_R[:, None], self._items_K] = scores_RK
        return scores_BN


def _end(process: PeerProcess, folder: TemporaryDirectory[str]) -> None:
    process.close()
    folder.cleanup()
