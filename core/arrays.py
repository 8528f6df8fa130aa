"""The array types of the domain, look-ups in sorted arrays, the best scores, and how often rows of integers occur."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
DoubleArray = NDArray[np.float64]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def look_up(ascending: NDArray[Any], values: NDArray[Any]) -> tuple[IntArray, BoolArray]:
    """(n,) the place of each value among the ascending ones, and whether it is one of them; else any place.

    Costs n searches, whatever the number of ascending values. Where there are none, each place is 0.
    """
    if not len(ascending):
        return np.zeros(len(values), np.int64), np.zeros(len(values), np.bool_)
    places = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return places, ascending[places] == values


def distinct(values: IntArray) -> IntArray:
    """The distinct values, ascending. For some thousands, where np.unique, which hashes, takes ten times as long."""
    ordered = np.sort(values)
    return ordered[_differs([ordered])]


def best_places(scores: FloatArray, n: int) -> IntArray:
    """(min(n, N),) the places of the n highest of (N,) scores, descending, equal ones by place."""
    if n < len(scores):
        nth = np.partition(scores, -n)[-n]
        places = np.flatnonzero(scores >= nth)
    else:
        places = np.arange(len(scores))
    return places[np.argsort(-scores[places], kind="stable")[:n]]


def occurrences(*columns: IntArray) -> Iterator[tuple[tuple[int, ...], int]]:
    """The distinct rows of columns of integers, ascending, each with how often it occurs. For many rows."""
    order = np.lexsort(columns[::-1])
    ordered = [column[order] for column in columns]
    starts = np.flatnonzero(_differs(ordered))
    sizes = np.diff(starts, append=len(order)).tolist()
    yield from zip(zip(*(column[starts].tolist() for column in ordered), strict=True), sizes, strict=True)


def _differs(ordered: Sequence[IntArray]) -> BoolArray:
    """(n,) whether a row differs from the one before."""
    differs = np.ones(len(ordered[0]), np.bool_)
    differs[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in ordered])
    return differs
