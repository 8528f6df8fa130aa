"""The ports of an item index. Shapes: N items, D width of a vector, M queries, K changed rows."""

from __future__ import annotations

from typing import Protocol, Self

from core.arrays import BoolArray, FloatArray, IntArray
from core.ports.array_folders import Arrays


class ItemIndex(Protocol):
    """Nearest items by inner product; immutable."""

    @property
    def recall(self) -> float | None:
        """The share of the best 10 items that an approximate search finds, as measured at its build; None if exact.

        Below the bound of the implementation searches are exact, and this is what the approximate index had.
        """
        ...

    @property
    def is_approximate(self) -> bool:
        """Whether searches may miss items."""
        ...

    @property
    def needs_compaction(self) -> bool:
        """Whether so much has changed since the last build that `compacted` would make searches faster."""
        ...

    def __len__(self) -> int:
        """The number of indexed items."""
        ...

    def search(self, query: FloatArray, n: int, *, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """The best rows and scores for a (D,) query, best first, ties by row; fewer than `n` when fewer are allowed.

        `allowed`: (size of the catalogue,) whether each row may be returned.
        """
        ...

    def changed(self, rows: IntArray, vectors: FloatArray, *, removed: IntArray) -> Self:
        """Another index with (K, D) new vectors of ascending rows, and without the removed ones; costs what changed."""
        ...

    def compacted(self, queries: FloatArray | None = None) -> Self:
        """Another index of the same items, built anew, which takes seconds to minutes: call it in a background thread.

        `queries`: (M, D) users' vectors as they will be searched; an approximate index is tuned and measured on them.
        """
        ...

    def arrays(self) -> Arrays:
        """All that an equal index can be read from; shared, not copied."""
        ...


class IndexReader(Protocol):
    """Reads an index."""

    def __call__(self, arrays: Arrays) -> ItemIndex:
        """The index whose `ItemIndex.arrays` these are, which it shares."""
        ...


class IndexBuilder(Protocol):
    """Builds an index."""

    def __call__(self, rows: IntArray, vectors: FloatArray) -> ItemIndex:
        """An index of (N, D) `vectors`, shared and not copied, that answers with (N,) ascending `rows`.

        Ready in the time of a copy; a large one needs compaction from the start.
        """
        ...
