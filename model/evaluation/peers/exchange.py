"""The Parquet files between Tidewise and a peer process. The format is described in `benchmarks/peers/exchange.py`.

pyarrow is an extra, so each function imports it.
Shapes: Q queries, R rows, D width of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.arrays import FloatArray, IntArray
from core.evaluation.scorers import Past
from core.records.stored import EventColumns


def write_events(path: Path, events: EventColumns) -> None:
    """Events, in the order of each user's history."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"users": events.users, "items": events.items, "times_ms": events.times_ms}
    pq.write_table(pa.table({name: pa.array(column) for name, column in columns.items()}), path)


def write_queries(path: Path, pasts: Sequence[Past], targets: IntArray | None = None) -> None:
    """(Q,) users with their histories; `targets`: the items that came next, of validation queries alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    items = np.concatenate([np.empty(0, np.int64), *(past.history.items for past in pasts)])
    offsets = np.cumsum([0, *(len(past.history) for past in pasts)])
    columns = {
        "users": pa.array([past.user for past in pasts], pa.int64()),
        "histories": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(items)),
        "targets": pa.array(np.full(len(pasts), -1) if targets is None else targets),
    }
    pq.write_table(pa.table(columns), path)


def read_vectors(path: Path) -> tuple[IntArray, FloatArray]:
    """(R,) rows, and their (R, D) vectors."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    vectors = table["vectors"].combine_chunks()
    width: int = vectors.type.list_size
    return table["rows"].to_numpy(), vectors.flatten().to_numpy().reshape(-1, width)
