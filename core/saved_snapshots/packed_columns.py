"""Packed columns: values of any kind as two arrays, read where they lie; a value is made each time it is asked for.

So a column of a file that is mapped into memory costs nothing to load, and processes share its pages.
Shapes: n values, b bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray

T = TypeVar("T")


class PackedColumn(Sequence[T], Generic[T]):
    """An immutable sequence of n values, of which each is made from its text."""

    __slots__ = ("_begin", "_bytes", "_decode", "_end", "_ends")

    def __init__(self, content: NDArray[np.uint8], ends: IntArray, decode: Callable[[str], T]) -> None:
        """`content`: (b,) the texts in UTF-8, one after the other. `ends`: (n,) where each ends."""
        self._bytes, self._ends = content.data, ends.data  # a NumPy scalar per value would be slow
        self._decode = decode
        self._begin, self._end = 0, len(ends)

    def __len__(self) -> int:
        return self._end - self._begin

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return self._part(*index.indices(len(self)))
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            msg = f"wanted a row below {len(self)}, got {index}"
            raise IndexError(msg)
        row += self._begin
        return self._decode(str(self._bytes[self._ends[row - 1] if row else 0 : self._ends[row]], "utf-8"))

    def __iter__(self) -> Iterator[T]:
        begin = self._ends[self._begin - 1] if self._begin else 0
        for end in self._ends[self._begin : self._end]:
            yield self._decode(str(self._bytes[begin:end], "utf-8"))
            begin = end

    def _part(self, begin: int, end: int, step: int) -> Sequence[T]:
        if step != 1:
            return [self[row] for row in range(begin, end, step)]
        part = object.__new__(PackedColumn)
        part._bytes, part._ends, part._decode = self._bytes, self._ends, self._decode
        part._begin, part._end = self._begin + begin, self._begin + max(begin, end)
        return part


def packed(values: Sequence[T], encode: Callable[[T], str]) -> tuple[NDArray[np.uint8], IntArray]:
    """The (b,) content and (n,) ends of a packed column of n values."""
    texts = [encode(value).encode() for value in values]
    ends = np.fromiter(accumulate(map(len, texts)), np.int64, len(texts))
    return np.frombuffer(b"".join(texts), np.uint8), ends


def as_is(text: Any) -> Any:
    """A text is its own encoding."""
    return text
