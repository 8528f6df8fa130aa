"""A peer process without any library, on the real exchange: the item `step` places after the last one comes next."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "peers"))

from exchange import PeerTask, Progress, Queries, serve


class FakePeer:
    """Knows the items with a training event; reports what it was given."""

    def __init__(self, task: PeerTask) -> None:
        self._task = task

    def fit(self, progress: Progress) -> dict[str, Any]:
        task = self._task
        print("a library prints this")
        if task.config["step"] == 0:
            print("no step, no walk", file=sys.stderr)
            sys.exit(3)
        progress({"epoch": 1, "loss": 0.5, "metric": 0.25, "elapsed_s": 1.0})
        return {
            "events": [task.users.tolist(), task.items.tolist(), task.times_ms.tolist()],
            "validation": [history.tolist() for history in task.validation.histories],
            "targets": task.validation.targets.tolist(),
            "task": [task.model, task.seed, task.num_items, task.epochs, task.max_seconds, task.window],
            "threads": [task.threads, os.environ["OMP_NUM_THREADS"]],
            "hides_seen": task.hides_seen,
            "pid": os.getpid(),
        }

    def item_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        self._known = np.unique(self._task.items)
        return self._known, np.eye(self._task.num_items)[self._known]

    def query_vectors(self, queries: Queries) -> tuple[np.ndarray, np.ndarray]:
        last = np.array([history[-1] if len(history) else -1 for history in queries.histories])
        rows = np.flatnonzero(np.isin(last, self._known))
        return rows, np.eye(self._task.num_items)[(last[rows] + self._task.config["step"]) % self._task.num_items]


if __name__ == "__main__":
    serve(FakePeer)
