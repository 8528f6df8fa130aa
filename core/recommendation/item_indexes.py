"""The indexes of the serving model's item vectors: by inner product for users, by cosine for similar items.

Shapes: N indexed items, D width, M queries.
"""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray, IntArray
from core.ports.encoder import Encoder
from core.ports.index import IndexBuilder, ItemIndex
from core.ports.store import Store
from core.recommendation.index_keeper import IndexChange, IndexKeeper, RunAside, in_thread

NUM_QUERIES = 512  # users whose vectors tune and measure an approximate index


class ItemIndexes:
    """Follows the item vectors of one model version after the other. Used by one thread."""

    def __init__(self, store: Store, build: IndexBuilder, *, run_aside: RunAside = in_thread) -> None:
        self._store = store
        self._build = build
        self._run_aside = run_aside
        self._version: str | None = None
        self._rows: IntArray
        self._vectors: FloatArray
        self._keepers: tuple[IndexKeeper, IndexKeeper] | None = None

    def current(self) -> tuple[ItemIndex, ItemIndex]:
        """By inner product and by cosine, as compacted as they are now."""
        assert self._keepers is not None, "wanted vectors first"
        products, cosines = self._keepers
        return products.index, cosines.index

    def follow(
        self, version: str, encoder: Encoder, rows: IntArray, vectors: FloatArray
    ) -> tuple[ItemIndex, ItemIndex]:
        """The indexes of (N, D) vectors of ascending rows; within a version only what differs is indexed anew."""
        if self._keepers is None or version != self._version or vectors.shape[1] != self._vectors.shape[1]:
            self._keepers = (
                IndexKeeper(
                    self._build(rows, vectors),
                    queries=lambda: queries_of_users(self._store, encoder),
                    run_aside=self._run_aside,
                ),
                IndexKeeper(self._build(rows, unit(vectors)), queries=lambda: None, run_aside=self._run_aside),
            )
        else:
            change = change_between(self._rows, self._vectors, rows, vectors)
            products, cosines = self._keepers
            products.apply(change)
            cosines.apply(IndexChange(change.rows, unit(change.vectors), change.removed))
        self._version, self._rows, self._vectors = version, rows, vectors
        return self.current()


def change_between(old_rows: IntArray, old_vectors: FloatArray, rows: IntArray, vectors: FloatArray) -> IndexChange:
    """What turns one set of vectors of ascending rows into another."""
    known = np.isin(rows, old_rows, assume_unique=True)
    same = known.copy()
    same[known] = (old_vectors[np.searchsorted(old_rows, rows[known])] == vectors[known]).all(axis=1)
    return IndexChange(rows[~same], vectors[~same], np.setdiff1d(old_rows, rows, assume_unique=True))


def queries_of_users(store: Store, encoder: Encoder) -> FloatArray | None:
    """(M, D) queries of up to `NUM_QUERIES` users as of their last event; None without users."""
    with store.read() as read:
        states = [state for _, state in read.users.page(limit=NUM_QUERIES)]
    histories = [state.window.history for state in states if len(state.window.history)]
    if not histories:
        return None
    vectors = np.concatenate([encoder.encode([history]) for history in histories])
    return encoder.query(vectors, np.zeros(len(vectors), np.int64))


def unit(vectors: FloatArray) -> FloatArray:
    """Vectors scaled to length 1; zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: FloatArray = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled
