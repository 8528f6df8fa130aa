"""Exact inner-product search with FAISS over one immutable set of item vectors.

Serves small catalogues, the changes of large ones, and filters that leave few items. It is also the reference that
approximate indexes are measured against.
"""

from __future__ import annotations

from typing import Self

import faiss
import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray, best_places, look_up

SMALL_SHARE = 0.05  # up to this share of allowed rows, computing only their products is cheaper than a filtered scan


class ExactIndex:
    """A scan of all vectors."""

    def __init__(self, rows: IntArray, vectors: FloatArray) -> None:
        """`rows`: (N,) unique rows, ascending. `vectors`: (N, D) float32, finite. Raises `ValueError` otherwise.

        The arrays are shared, not copied; they must not change.
        """
        if len(rows) != len(vectors) or np.any(np.diff(rows) <= 0):
            msg = f"rows: wanted one ascending row per vector, got {len(rows)} rows for {len(vectors)} vectors"
            raise ValueError(msg)
        if not np.isfinite(vectors).all():
            msg = "vectors: wanted finite numbers; the model that made them must not serve"
            raise ValueError(msg)
        self.rows = np.ascontiguousarray(rows, np.int64)
        self.vectors = np.ascontiguousarray(vectors, np.float32)

    @classmethod
    def of(cls, rows: IntArray, vectors: FloatArray) -> Self:
        """The index with the arrays of another one, which it shares: what that one checked is not read again."""
        index = object.__new__(cls)
        index.rows, index.vectors = rows, vectors
        return index

    def __len__(self) -> int:
        return len(self.rows)

    def holds(self, rows: IntArray) -> BoolArray:
        """Whether each of (K,) rows is indexed; costs K searches in the sorted rows, not their number."""
        return look_up(self.rows, rows)[1]

    def search(self, query: FloatArray, n: int, *, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """The n rows with the highest inner products with a (D,) query, and the products, descending; ties by row."""
        check_query(query)
        mask = None if allowed is None else allowed[self.rows]
        num_allowed = len(self.rows) if mask is None else int(np.count_nonzero(mask))
        n = min(n, num_allowed)
        if n <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if n < num_allowed and num_allowed > SMALL_SHARE * len(self.rows):
            best = self._scan(query, n, mask)
            if best is not None:
                return best
        return self.best_of(np.arange(len(self.rows)) if mask is None else np.flatnonzero(mask), query, n)

    def best_of(self, positions: IntArray, query: FloatArray, n: int) -> tuple[IntArray, FloatArray]:
        """The n best rows, and their scores, among those at ascending positions."""
        scores: FloatArray = self.vectors[positions] @ query
        order = best_places(scores, n)
        return self.rows[positions[order]], scores[order]

    def _scan(self, query: FloatArray, n: int, mask: BoolArray | None) -> tuple[IntArray, FloatArray] | None:
        """The best n by FAISS; None if the scores n and n + 1 are equal: FAISS takes any of them."""
        vector = np.ascontiguousarray(query, np.float32)
        scores, positions = np.empty(n + 1, np.float32), np.empty(n + 1, np.int64)
        bits = None if mask is None else np.packbits(mask, bitorder="little")  # must outlive the search
        faiss.knn_inner_product(
            faiss.swig_ptr(vector),
            faiss.swig_ptr(self.vectors),
            self.vectors.shape[1],
            1,
            len(self.rows),
            n + 1,
            faiss.swig_ptr(scores),
            faiss.swig_ptr(positions),
            None if bits is None else faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits)),
        )
        if scores[n - 1] == scores[n]:
            return None
        order = np.lexsort((positions[:n], -scores[:n]))
        return self.rows[positions[order]], scores[order]


def check_query(query: FloatArray) -> None:
    """Raise `ValueError` for a query that is not finite."""
    if not np.isfinite(query).all():
        msg = "query: wanted finite numbers; the model that made it must not serve"
        raise ValueError(msg)
