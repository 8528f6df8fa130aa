"""The table of item vectors of a bound encoder: a successor shares the memory of unchanged rows.

A changed or new row is written to a spare slot, which no older table reads. Shapes: N items, C width of
a vector, m changed rows, S slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray, IntArray
from core.catalogue.columns import with_rows

ROOM = 8  # items for each spare slot


class _Slots:
    """(S, C) vectors; those after the first `used` are spare."""

    def __init__(self, vectors: FloatArray, used: int) -> None:
        self.vectors = vectors
        self.used = used
        self._lock = Lock()

    def append(self, vectors: FloatArray) -> int | None:
        """The first slot of these vectors; None if there is no room for them."""
        with self._lock:
            begin, end = self.used, self.used + len(vectors)
            if end > len(self.vectors):
                return None
            self.vectors[begin:end] = vectors
            self.used = end
            return begin


@dataclass(frozen=True)
class ItemTable:
    """`rows`: (N + 1,) the slot of each item; the last row is an item that the catalogue does not hold."""

    slots: _Slots
    rows: NDArray[np.int32]

    @classmethod
    def of(cls, vectors: FloatArray) -> ItemTable:
        """From (N + 1, C) vectors."""
        room = np.empty((len(vectors) // ROOM + ROOM, vectors.shape[1]), np.float32)
        return cls.in_place(np.concatenate([vectors, room]), len(vectors) - 1)

    @classmethod
    def in_place(cls, slots: FloatArray, num_items: int) -> ItemTable:
        """Over (S, C) slots, of which the first N + 1 are in use; it writes to the others."""
        return cls(_Slots(slots, num_items + 1), np.arange(num_items + 1, dtype=np.int32))

    def take(self, rows: IntArray) -> FloatArray:
        """(m, C) the vectors of rows; -1 is the last row."""
        return self.slots.vectors[self.rows[rows]]

    def with_rows(self, rows: IntArray, vectors: FloatArray) -> ItemTable:
        """The table with (m, C) vectors at ascending rows; those from N on are new and consecutive."""
        first = self.slots.append(vectors)
        if first is None:
            items = with_rows(self.take(np.arange(len(self.rows) - 1)), rows, vectors)
            return ItemTable.of(np.concatenate([items, self.take(np.array([-1]))]))
        slots = np.arange(first, first + len(vectors), dtype=np.int32)
        return ItemTable(self.slots, np.append(with_rows(self.rows[:-1], rows, slots), self.rows[-1]))
