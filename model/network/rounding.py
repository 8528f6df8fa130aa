"""Float32 results that are the same on every CPU: computed in float64 and rounded once. Independent of models.

A CPU may fuse a product and the sum after it, or not, and its float32 logarithms and powers may be off by one unit in
the last place. At angles of 10^7 radians such a unit is more than one full turn of a cosine, and below a floor it is
another row of a table. float64 keeps 29 bits more, so its own last unit decides only where the exact value is that
close to the middle of two float32 numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor


def multiply_add(values: Tensor, factor: Tensor, addend: Tensor) -> Tensor:
    """The sum `values * factor + addend` as a fused multiply-add computes it in float32.

    A product of two float32 numbers is exact in float64, so the sum is the only step that rounds before the result.
    """
    return (values.double() * factor.double() + addend.double()).float()


def log2(values: Tensor) -> Tensor:
    """The correctly rounded float32 logarithm."""
    return torch.log2(values.double()).float()


def doublings(numbers: Tensor, powers: Tensor) -> Tensor:
    """0 for 0 and less, then one more for each doubling; the last row is for all that is larger. `powers`: 2, 4, 8, ...

    By comparison, which is exact: a CPU's float32 logarithm may end on either side of a whole number.
    """
    return torch.bucketize(numbers + 1.0, powers, right=True)


def power(base: float, exponents: Tensor) -> Tensor:
    """The correctly rounded float32 power."""
    return torch.pow(base, exponents.double()).float()
