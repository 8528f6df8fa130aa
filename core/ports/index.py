"""The ports of an item index. Shapes: N items, D width of a vector."""

from __future__ import annotations

from typing import Protocol

from core.arrays import BoolArray, FloatArray, IntArray


class ItemIndex(Protocol):
    """Nearest items by inner product; immutable."""

    def __len__(self) -> int:
        """The number of indexed items."""
        ...

    def search(self, query: FloatArray, n: int, *, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """The best rows and scores for a (D,) query, best first, ties by row; fewer than `n` when fewer are allowed.

        `allowed`: (size of the catalogue,) whether each row may be returned.
        """
        ...


class IndexBuilder(Protocol):
    """Builds an index."""

    def __call__(self, rows: IntArray, vectors: FloatArray) -> ItemIndex:
        """An index of (N, D) `vectors` that answers with (N,) `rows`."""
        ...
