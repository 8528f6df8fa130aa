"""The live index: an immutable main part, a delta of rows that changed since its build, and a list of removed rows.

A change makes a new index that shares the main part, so it costs what changed; readers keep the index that they pinned.
As changes add up, `compacted` builds a new main part of all rows: call it in a background thread, and apply to its
result what changed meanwhile. Shapes: N items, D width, M queries, K changed rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import faiss
import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.ports.array_folders import Arrays
from index.exact import ExactIndex
from index.probes import DEPTHS
from index.quantised import QuantisedIndex
from index.recall import RECALL_BOUND

EXACT_SIZE = 20_000  # items: up to here a scan of all vectors takes less than half a millisecond
GONE_SHARE = 0.5  # of the main part: with more rows gone, over half of each scan is wasted
MIN_QUERIES = 32  # fewer measure recall too inexactly: item vectors then serve as queries
NUM_SAMPLED = 256

NO_ROWS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class LiveIndex:
    """Implements `core.ports.index.ItemIndex`.

    `exact`: the rows and vectors of the main part. `quantised`: searches them; None where an exact scan is fast enough,
    or where recall missed its bound. `delta`: rows added or changed since. `gone`: (G,) rows of the main part that are
    in `delta` or were removed, ascending. `recall`: measured recall@10 of `quantised`, None where none was built.
    """

    exact: ExactIndex
    quantised: QuantisedIndex | None
    delta: ExactIndex
    gone: IntArray = field(default_factory=lambda: NO_ROWS)
    recall: float | None = None

    @classmethod
    def flat(cls, rows: IntArray, vectors: FloatArray) -> LiveIndex:
        """An index of (N, D) vectors, ready at once: exact until it is compacted."""
        exact = ExactIndex(rows, vectors)
        return cls(exact, None, ExactIndex(NO_ROWS, exact.vectors[:0]))

    @classmethod
    def of(cls, arrays: Arrays) -> LiveIndex:
        """The index whose `arrays` these are, which it shares."""
        exact = ExactIndex.of(arrays["rows"], arrays["vectors"])
        delta = ExactIndex.of(arrays["delta_rows"], arrays["delta_vectors"])
        recall = float(arrays["measured"][0]) if len(arrays["measured"]) else None
        quantised = QuantisedIndex.of(exact, arrays) if "codes" in arrays else None
        return cls(exact, quantised, delta, arrays["gone"], recall)

    def arrays(self) -> Arrays:
        """All arrays that `of` reads; shared, not copied."""
        return {
            "rows": self.exact.rows,
            "vectors": self.exact.vectors,
            "delta_rows": self.delta.rows,
            "delta_vectors": self.delta.vectors,
            "gone": self.gone,
            "measured": np.array([] if self.recall is None else [self.recall]),
            **(self.quantised.arrays() if self.quantised else {}),
        }

    def __len__(self) -> int:
        return len(self.exact) - len(self.gone) + len(self.delta)

    @property
    def is_approximate(self) -> bool:
        """Whether searches may miss items."""
        return self.quantised is not None

    @property
    def needs_compaction(self) -> bool:
        """Whether `compacted` would make searches faster."""
        is_unbuilt = self.recall is None and len(self.exact) > EXACT_SIZE
        return is_unbuilt or len(self.delta) > EXACT_SIZE or len(self.gone) > GONE_SHARE * len(self.exact)

    def changed(self, rows: IntArray, vectors: FloatArray, *, removed: IntArray = NO_ROWS) -> LiveIndex:
        """With new vectors (K, D) of ascending rows, and without the removed rows."""
        stale = np.union1d(rows, removed)
        kept = ~np.isin(self.delta.rows, stale)
        merged = np.concatenate([self.delta.rows[kept], rows])
        order = np.argsort(merged)
        delta = ExactIndex(merged[order], np.concatenate([self.delta.vectors[kept], vectors])[order])
        gone = np.union1d(self.gone, stale[self.exact.holds(stale)])
        return LiveIndex(self.exact, self.quantised, delta, gone, self.recall)

    def compacted(self, queries: FloatArray | None = None) -> LiveIndex:
        """The same items in a new main part; approximate above `EXACT_SIZE` where recall on the queries suffices."""
        merged = LiveIndex.flat(*self._merged())
        if len(merged) <= EXACT_SIZE:
            return merged
        quantised = QuantisedIndex.built(merged.exact, _queries(merged.exact.vectors, queries))
        serves = quantised.recall >= RECALL_BOUND
        return replace(merged, quantised=quantised if serves else None, recall=quantised.recall)

    def search(self, query: FloatArray, n: int, *, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """The n best rows and their inner products, descending, ties by row; never fewer than n while n are allowed."""
        left = self._in_main(allowed)
        if self.quantised is None:
            rows, scores = self.exact.search(query, n, allowed=left)
        else:
            rows, scores = self.quantised.search(query, n, allowed=left, num_gone=len(self.gone))
        if not len(self.delta):
            return rows, scores
        new_rows, new_scores = self.delta.search(query, n, allowed=allowed)
        rows, scores = np.concatenate([rows, new_rows]), np.concatenate([scores, new_scores])
        order = np.lexsort((rows, -scores))[:n]
        return rows[order], scores[order]

    def _in_main(self, allowed: BoolArray | None) -> BoolArray | None:
        """The allowed rows without those that are gone from the main part, which a smaller catalogue may lack."""
        if not len(self.gone):
            return allowed
        left = np.zeros(int(self.exact.rows[-1]) + 1, np.bool_)
        left[: None if allowed is None else len(allowed)] = True if allowed is None else allowed[: len(left)]
        left[self.gone] = False
        return left

    def _merged(self) -> tuple[IntArray, FloatArray]:
        """All rows, ascending, and their vectors."""
        if not len(self.gone) and not len(self.delta):
            return self.exact.rows, self.exact.vectors
        kept = ~np.isin(self.exact.rows, self.gone, assume_unique=True)
        rows = np.concatenate([self.exact.rows[kept], self.delta.rows])
        order = np.argsort(rows)
        return rows[order], np.concatenate([self.exact.vectors[kept], self.delta.vectors])[order]


def library() -> str:
    """What reads and writes the arrays: the library with its version, and the depths for which lists are counted."""
    return f"faiss {faiss.__version__}, depths {DEPTHS}"


def _queries(vectors: FloatArray, queries: FloatArray | None) -> FloatArray:
    """The queries, or where there are too few, evenly spaced vectors."""
    if queries is not None and len(queries) >= MIN_QUERIES:
        return queries
    return vectors[:: max(1, len(vectors) // NUM_SAMPLED)]
