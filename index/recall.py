"""Recall: the share of the exact best items that an index finds. Shapes: M queries, D width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from core.arrays import BoolArray, FloatArray, IntArray

RECALL_AT = 10
RECALL_BOUND = 0.99  # an approximate index below it does not serve
ROUNDING = 1e-5  # by which exact scores of two kernels differ, relative to the score


class Searchable(Protocol):
    """A part of an index."""

    def search(self, query: FloatArray, n: int, *, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """As `core.ports.index.ItemIndex`."""
        ...


@dataclass(frozen=True, slots=True)
class RecallSample:
    """Searches: each a (D,) query, a filter, and of its exact answer the number of items and the lowest score."""

    searches: Sequence[tuple[FloatArray, BoolArray | None, int, float]]

    @classmethod
    def of(
        cls,
        exact: Searchable,
        queries: FloatArray,
        *,
        n: int = RECALL_AT,
        filters: Sequence[BoolArray | None] = (None,),
    ) -> Self:
        """(M, D) queries under each filter, as an exact index answers them; those without an answer are left out."""
        searches = []
        for allowed in filters:
            for query in queries:
                _, scores = exact.search(query, n, allowed=allowed)
                if len(scores):
                    searches.append((query, allowed, len(scores), float(scores[-1])))
        return cls(searches)

    def recall(self, index: Searchable) -> float:
        """The share of the best items that an index of the same rows finds; items that tie with the last one count."""
        num_found = num_wanted = 0
        for query, allowed, num, last_score in self.searches:
            _, scores = index.search(query, num, allowed=allowed)
            num_found += int((scores >= last_score - ROUNDING * (1 + abs(last_score))).sum())
            num_wanted += num
        return num_found / num_wanted if num_wanted else 1.0
