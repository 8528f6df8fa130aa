"""The array types of the domain, and the look-up of values in sorted ones."""

from __future__ import annotations

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
