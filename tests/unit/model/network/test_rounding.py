"""Float32 arithmetic against exact rational numbers: every result is the nearest float32, on every CPU."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.network.rounding import log2, multiply_add, power

MANTISSA_BITS = 24  # of float32
FLOAT64_ERROR = Fraction(1, 2**53)  # the largest relative error of one float64 operation

SECONDS = st.floats(0, 4e9, width=32)  # until 2096
WEIGHTS = st.floats(-10, 10, width=32, allow_subnormal=False)


def float32(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float32)


def unit(exact: Fraction) -> Fraction:
    """The distance of float32 numbers around an exact value."""
    magnitude = abs(exact)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent -= magnitude < Fraction(2) ** exponent
    return Fraction(2) ** (max(exponent, -126) - MANTISSA_BITS + 1)


def nearest_float32(exact: Fraction) -> Fraction:
    """By integers: the nearest multiple of the unit, the even one in the middle."""
    return round(exact / unit(exact)) * unit(exact) if exact else exact


def is_near_middle(exact: Fraction) -> bool:
    """Whether rounding to float64 first may decide between two float32 numbers."""
    units = abs(exact) / unit(exact)
    return abs(units % 1 - Fraction(1, 2)) * unit(exact) <= abs(exact) * FLOAT64_ERROR


@given(SECONDS, WEIGHTS, WEIGHTS)
def test_multiply_add_rounds_the_exact_sum_once(seconds: float, weight: float, bias: float) -> None:
    exact = Fraction(seconds) * Fraction(weight) + Fraction(bias)
    result = Fraction(float(multiply_add(float32(seconds), float32(weight), float32(bias))))
    if is_near_middle(exact):
        assert abs(result - exact) <= unit(exact) * (Fraction(1, 2) + FLOAT64_ERROR * 2**MANTISSA_BITS)
    else:
        assert result == nearest_float32(exact)


def test_multiply_add_does_not_round_the_product_first() -> None:
    factor, addend = float32(1 + 2**-12), float32(-1.0)
    assert float(multiply_add(factor, factor, addend)) == 2**-11 + 2**-24
    assert float(factor * factor + addend) == 2**-11, "two roundings lose the last bit"


def test_multiply_add_passes_gradients_to_float32_parameters() -> None:
    weight, bias = (float32(value).requires_grad_() for value in (0.5, 0.25))
    multiply_add(float32(3.0), weight, bias).backward()
    assert weight.grad == float32(3.0)
    assert bias.grad == float32(1.0)


@given(st.floats(1, 2**62, width=32))
def test_log2_is_within_half_a_unit(value: float) -> None:
    result = float(log2(float32(value)))
    assert abs(result - math.log2(value)) <= unit(Fraction(math.log2(value))) * Fraction(501, 1000)


@pytest.mark.parametrize("width", [8, 48, 64, 128, 512])
def test_powers_are_the_nearest_float32(width: int) -> None:
    exponents = torch.arange(width) / width
    expected = [nearest_float32(Fraction(10_000.0 ** float(exponent))) for exponent in exponents]
    assert [Fraction(value) for value in power(10_000, exponents).tolist()] == expected
