"""What goes between Tidewise and a peer process: requests and replies as JSON lines, arrays as Parquet files.

Knows no model. Shapes: E events, Q queries, R rows that are answered, D width of a vector.

A request is one of
    {"do": "fit", "model": NAME, "config": {...}, "events": FILE, "validation": FILE, "items": FILE, ...}
    {"do": "answer", "queries": FILE, "vectors": FILE}
and is answered by any number of {"progress": {...}}, then by {"done": {...}}. The score of an item after a query is the
inner product of their vectors. An item without a vector is below all others; a query without one has no answer.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Progress = Callable[[Mapping[str, Any]], None]
PR_SET_PDEATHSIG = 1  # of prctl(2)


@dataclass(frozen=True)
class Queries:
    """(Q,) users and their histories, oldest item first; `targets`: (Q,) what came next, -1 where it is not told."""

    users: np.ndarray
    histories: Sequence[np.ndarray]
    targets: np.ndarray


@dataclass(frozen=True)
class PeerTask:
    """What to train, and on what. `users`, `items`, `times_ms`: (E,) events, in the order of each user's history.

    `validation`: queries by which the best epoch is chosen; none: the last one is. `hides_seen`: the items of a history
    are no answers to it. `window`: items that a network reads.
    """

    model: str
    config: Mapping[str, Any]
    seed: int
    num_items: int
    epochs: int
    max_seconds: float | None
    window: int
    threads: int
    device: str
    hides_seen: bool
    users: np.ndarray
    items: np.ndarray
    times_ms: np.ndarray
    validation: Queries


class PeerModel(Protocol):
    """A model of another library."""

    def fit(self, progress: Progress) -> dict[str, Any]:
        """Train; facts about the training as JSON values."""
        ...

    def item_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """(K,) the items that can be recommended, and their (K, D) vectors."""
        ...

    def query_vectors(self, queries: Queries) -> tuple[np.ndarray, np.ndarray]:
        """(R,) the queries that can be answered, as rows, and their (R, D) vectors."""
        ...


def end_with_parent() -> None:
    """Ask the kernel to end this process with the evaluation, even in the middle of a training. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(make: Callable[[PeerTask], PeerModel]) -> None:
    """Carry out the requests of standard input until it ends."""
    end_with_parent()
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print goes to the log

    def reply(kind: str, content: Mapping[str, Any]) -> None:
        replies.write(json.dumps({kind: content}) + "\n")

    model: PeerModel | None = None
    for line in sys.stdin:
        request = json.loads(line)
        facts: Mapping[str, Any] = {}
        if request["do"] == "fit":
            model = make(_task(request))
            facts = model.fit(lambda content: reply("progress", content))
            _write_vectors(request["items"], *model.item_vectors())
        else:
            assert model is not None, "a model is fitted before it answers"
            _write_vectors(request["vectors"], *model.query_vectors(_read_queries(request["queries"])))
        reply("done", facts)


def _task(request: Mapping[str, Any]) -> PeerTask:
    events = pq.read_table(request["events"])
    columns = {name: events[name].to_numpy() for name in ("users", "items", "times_ms")}
    plain = {name: request[name] for name in PeerTask.__dataclass_fields__ if name in request and name != "items"}
    return PeerTask(**{**plain, **columns, "validation": _read_queries(request["validation"])})


def _read_queries(path: str) -> Queries:
    table = pq.read_table(path)
    histories = table["histories"].combine_chunks()
    items, offsets = histories.flatten().to_numpy(), histories.offsets.to_numpy()
    return Queries(
        table["users"].to_numpy(),
        [items[begin:end] for begin, end in pairwise(offsets)],
        table["targets"].to_numpy(),
    )


def _write_vectors(path: str, rows: np.ndarray, vectors: np.ndarray) -> None:
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
    columns = {
        "rows": pa.array(np.asarray(rows, np.int64)),
        "vectors": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
    }
    pq.write_table(pa.table(columns), path, compression="none")
