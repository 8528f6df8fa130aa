"""Exact inner-product search with FAISS over one immutable set of item vectors.

Exact search suits catalogues below some 20,000 items, where it takes well under a millisecond. It is also the reference
for tests of approximate indexes.
"""

from __future__ import annotations

import faiss
import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray

SMALL_SHARE = 0.05  # up to this share of allowed rows, computing only their products is cheaper than a filtered scan


class ExactIndex:
    """A flat FAISS index whose answers are rows of the catalogue. Implements `core.ports.index.ItemIndex`."""

    def __init__(self, rows: IntArray, vectors: FloatArray) -> None:
        """`rows`: (N,) unique rows, ascending. `vectors`: (N, D) float32, finite. Raises `ValueError` otherwise."""
        if len(rows) != len(vectors) or np.any(np.diff(rows) <= 0):
            msg = f"rows: wanted one ascending row per vector, got {len(rows)} rows for {len(vectors)} vectors"
            raise ValueError(msg)
        if not np.isfinite(vectors).all():
            msg = "vectors: wanted finite numbers; the model that made them must not serve"
            raise ValueError(msg)
        self._rows = np.array(rows, np.int64)
        self._vectors = np.array(vectors, np.float32, order="C")
        self._index = faiss.IndexFlatIP(self._vectors.shape[1]) if len(rows) else None
        if self._index is not None:
            self._index.add(self._vectors)

    def __len__(self) -> int:
        return len(self._rows)

    def search(self, query: FloatArray, n: int, *, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """The n rows with the highest inner products with a (D,) query, and these, descending; equal scores by row."""
        if not np.isfinite(query).all():
            msg = "query: wanted finite numbers; the model that made it must not serve"
            raise ValueError(msg)
        candidates = np.arange(len(self._rows)) if allowed is None else np.flatnonzero(allowed[self._rows])
        n = min(n, len(candidates))
        if n <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        few = len(candidates) <= max(n, SMALL_SHARE * len(self._rows))
        best = None if few else self._scan(query, n, candidates)
        scores, positions = (self._vectors[candidates] @ query, candidates) if best is None else best
        order = np.lexsort((positions, -scores))[:n]
        return self._rows[positions[order]], scores[order]

    def _scan(self, query: FloatArray, n: int, candidates: IntArray) -> tuple[FloatArray, IntArray] | None:
        """The best n < len(candidates) by FAISS; None if the scores n and n + 1 are equal: FAISS takes any of them."""
        assert self._index is not None
        parameters = None
        if len(candidates) < len(self._rows):
            mask = np.zeros(len(self._rows), np.bool_)
            mask[candidates] = True
            bits = np.packbits(mask, bitorder="little")  # named, because FAISS reads it without keeping it alive
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
            parameters = faiss.SearchParameters()
            parameters.sel = selector
        vector = np.ascontiguousarray(query[None], np.float32)
        scores, positions = self._index.search(vector, n + 1, params=parameters)
        if scores[0, n - 1] == scores[0, n]:
            return None
        return scores[0, :n], positions[0, :n]
