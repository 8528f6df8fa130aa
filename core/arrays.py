"""The array types of the domain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
DoubleArray = NDArray[np.float64]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
