"""Columns that share memory with their predecessors: a change copies the blocks that it touches, not the column.

Readers of a column never see it change. Shapes: n values, m changed ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray

T = TypeVar("T")
BLOCK = 1024  # values: a changed one copies 8 KiB, and a million values have a thousand blocks


class Column(Sequence[T]):
    """An immutable sequence in blocks."""

    __slots__ = ("_blocks", "_size")

    def __init__(self, blocks: Sequence[Sequence[T]], size: int) -> None:
        """`blocks`: all but the last have `BLOCK` values."""
        self._blocks = blocks
        self._size = size

    @classmethod
    def of(cls, values: Sequence[T]) -> Column[T]:
        """The column of these values."""
        if isinstance(values, Column):
            return values
        return cls([values[begin : begin + BLOCK] for begin in range(0, len(values), BLOCK)], len(values))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._blocks)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(self._size))]
        row = index + self._size if index < 0 else index
        if not 0 <= row < self._size:
            msg = f"wanted a row below {self._size}, got {index}"
            raise IndexError(msg)
        return self._blocks[row // BLOCK][row % BLOCK]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_equal, self, other))

    __hash__ = None  # type: ignore[assignment]

    def with_values(self, values: Mapping[int, T]) -> Column[T]:
        """A copy with values at rows; rows from the end on extend it and are consecutive."""
        blocks = list(self._blocks)
        copied: set[int] = set()
        for row in sorted(values):
            place = row // BLOCK
            if place == len(blocks):
                blocks.append([])
                copied.add(place)
            elif place not in copied:
                blocks[place] = list(blocks[place])
                copied.add(place)
            block = blocks[place]
            assert isinstance(block, list)
            block[row % BLOCK : row % BLOCK + 1] = [values[row]]
        return Column(blocks, max(self._size, 1 + max(values, default=-1)))


def _equal(left: object, right: object) -> bool:
    return left == right


def extended(places: dict[T, int], size: int, new: Mapping[T, int]) -> dict[T, int]:
    """The dictionary itself with new places, in order from `size` on: a reader of the first `size` ignores them.

    A copy, if another successor of that reader has extended the dictionary already.
    """
    own = places if len(places) == size else dict(islice(places.items(), size))
    own.update(new)
    return own


Array = TypeVar("Array", bound=NDArray[np.generic])


def with_rows(array: Array, rows: IntArray, values: Array) -> Array:
    """A copy of (n, ...) with (m, ...) values at ascending rows; rows from n on extend it and are consecutive."""
    old = rows < len(array)
    grown = np.concatenate([array, values[~old]])
    grown[rows[old]] = values[old]
    return grown  # type: ignore[return-value]
