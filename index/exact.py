"""Exact inner-product search with FAISS over one immutable set of item vectors.

Exact is the right choice below some 20,000 items, where one search takes well under a millisecond; it is also the
oracle of whatever approximates it.
"""

from __future__ import annotations

import faiss
import numpy as np

from core.history import IntArray
from core.ports import BoolArray, FloatArray

SMALL_SHARE = 0.05  # below this share of allowed rows their products alone are cheaper than a filtered scan


class ExactIndex:
    """A flat FAISS index whose answers are rows of the catalogue. Implements `core.ports.ItemIndex`."""

    def __init__(self, rows: IntArray, vectors: FloatArray) -> None:
        """`rows`: (N,) unique rows, ascending. `vectors`: (N, D) float32, finite. Raises `ValueError` otherwise."""
        if len(rows) != len(vectors) or np.any(np.diff(rows) <= 0):
            msg = f"rows: wanted one ascending row per vector, got {len(rows)} rows for {len(vectors)} vectors"
            raise ValueError(msg)
        if not np.isfinite(vectors).all():
            msg = "vectors: wanted finite numbers; the model that made them must not serve"
            raise ValueError(msg)
        self._rows = np.ascontiguousarray(rows, np.int64)
        self._vectors = np.ascontiguousarray(vectors, np.float32)
        self._index = faiss.IndexFlatIP(self._vectors.shape[1]) if len(rows) else None
        if self._index is not None:
            self._index.add(self._vectors)

    def __len__(self) -> int:
        return len(self._rows)

    def search(self, query: FloatArray, n: int, *, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """The best rows and scores for a (D,) query, best first, equal scores by row; exact."""
        places = None if allowed is None else np.flatnonzero(allowed[self._rows])
        num_allowed = len(self._rows) if places is None else len(places)
        n = min(n, num_allowed)
        if n <= 0 or self._index is None:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if places is not None and num_allowed <= max(n, SMALL_SHARE * len(self._rows)):
            scores = self._vectors[places] @ query
        else:
            scores, places = self._scan(query, n, places)
        order = np.lexsort((places, -scores))[:n]
        return self._rows[places[order]], scores[order]

    def _scan(self, query: FloatArray, n: int, places: IntArray | None) -> tuple[FloatArray, IntArray]:
        parameters = None
        if places is not None and len(places) < len(self._rows):
            mask = np.zeros(len(self._rows), np.bool_)
            mask[places] = True
            bits = np.packbits(mask, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(self._rows), faiss.swig_ptr(bits))
            parameters = faiss.SearchParameters(sel=selector)
        assert self._index is not None
        scores, found = self._index.search(np.ascontiguousarray(query[None], np.float32), n, params=parameters)
        return scores[0], found[0]
