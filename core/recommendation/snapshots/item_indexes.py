"""The indexes of the serving model's item vectors: by inner product for users, by cosine for similar items.

Shapes: N indexed items, D width, M queries.
"""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray, IntArray
from core.ports.encoder import Encoder
from core.ports.index import IndexBuilder, ItemIndex
from core.ports.store import Store
from core.recommendation.snapshots.index_keeper import IndexChange, IndexKeeper, RunInBackground, in_thread

NUM_QUERIES = 512  # users whose vectors tune and measure an approximate index


class ItemIndexes:
    """Follows the item vectors of one model version after the other. Used by one thread."""

    def __init__(self, store: Store, build: IndexBuilder, *, run: RunInBackground = in_thread) -> None:
        self._store = store
        self._build = build
        self._run = run
        self._keepers: tuple[IndexKeeper, IndexKeeper] | None = None

    def build(self, encoder: Encoder, rows: IntArray, vectors: FloatArray) -> None:
        """Index the (N, D) vectors of ascending rows of another model version."""
        self.adopt(encoder, self._build(rows, vectors), self._build(rows, unit(vectors)))

    def adopt(self, encoder: Encoder, products: ItemIndex, cosines: ItemIndex) -> None:
        """Use two indexes that hold the vectors of another model version."""
        self._keepers = (
            IndexKeeper(products, queries=lambda: queries_of_users(self._store, encoder), run=self._run),
            IndexKeeper(cosines, queries=lambda: None, run=self._run),
        )

    def apply(self, change: IndexChange) -> None:
        """Change both indexes."""
        if self._keepers is None or not (len(change.rows) or len(change.removed)):
            return
        products, cosines = self._keepers
        products.apply(change)
        cosines.apply(IndexChange(change.rows, unit(change.vectors), change.removed))

    def current(self) -> tuple[ItemIndex, ItemIndex]:
        """The indexes now, by inner product and by cosine."""
        assert self._keepers is not None, "wanted `build` or `adopt` first"
        products, cosines = self._keepers
        return products.index, cosines.index


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
