"""Exact inner-product search with FAISS over one immutable set of item vectors.

Exact is the right choice below some 20,000 items, where one search takes well under a millisecond; it is also the
oracle of whatever approximates it.
"""

from __future__ import annotations

import faiss
import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray

SMALL_SHARE = 0.05  # below this share of allowed rows their products alone are cheaper than a filtered scan


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
        """The best rows and scores for a (D,) query, best first, equal scores by row; exact."""
        if not np.isfinite(query).all():
            msg = "query: wanted finite numbers; the model that made it must not serve"
            raise ValueError(msg)
        places = np.arange(len(self._rows)) if allowed is None else np.flatnonzero(allowed[self._rows])
        n = min(n, len(places))
        if n <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        found = None if len(places) <= max(n, SMALL_SHARE * len(self._rows)) else self._scan(query, n, places)
        scores, places = (self._vectors[places] @ query, places) if found is None else found
        order = np.lexsort((places, -scores))[:n]
        return self._rows[places[order]], scores[order]

    def _scan(self, query: FloatArray, n: int, places: IntArray) -> tuple[FloatArray, IntArray] | None:
        """The best n < len(places); None where the cut goes through equal scores, among which FAISS takes any."""
        assert self._index is not None
        parameters = None
        if len(places) < len(self._rows):
            mask = np.zeros(len(self._rows), np.bool_)
            mask[places] = True
            bits = np.packbits(mask, bitorder="little")  # named, because FAISS reads it without keeping it alive
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
            parameters = faiss.SearchParameters()
            parameters.sel = selector
        vector = np.ascontiguousarray(query[None], np.float32)
        scores, found = self._index.search(vector, n + 1, params=parameters)
        if scores[0, n - 1] == scores[0, n]:
            return None
        return scores[0, :n], found[0, :n]
