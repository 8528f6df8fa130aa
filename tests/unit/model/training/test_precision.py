"""bfloat16 products: right in every layout, chosen only where they are fast, refused plainly where they cannot be."""

from __future__ import annotations

import pytest
import torch

from core.errors import InvalidSettings
from model.training import precision, products

CPU = torch.device("cpu")
needs_amx = pytest.mark.skipif(not products.has_fast_bfloat16(CPU), reason="needs an x86 CPU with AMX")


@needs_amx
@pytest.mark.parametrize("a_transposed", [False, True])
@pytest.mark.parametrize("b_transposed", [False, True])
@pytest.mark.parametrize("add", [False, True])
def test_a_bfloat16_product_is_the_float32_product_of_the_rounded_operands(
    a_transposed: bool, b_transposed: bool, add: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn((19, 5) if a_transposed else (5, 19), generator=generator).bfloat16()
    b = torch.randn((7, 19) if b_transposed else (19, 7), generator=generator).bfloat16()
    a, b = a.T if a_transposed else a, b.T if b_transposed else b
    start = torch.ones(5, 7)
    out = start.clone()
    products.multiply(a, b, out=out, add=add)
    torch.testing.assert_close(out, a.float() @ b.float() + (start if add else 0.0))


@needs_amx
def test_parts_of_larger_matrices_are_multiplied_where_they_lie() -> None:
    a, b, out = torch.ones(6, 8).bfloat16()[2:4, :3], torch.ones(5, 9).bfloat16()[:3, 1:5], torch.zeros(4, 6)
    products.multiply(a, b, out=out[1:3, :4])
    assert out[1:3, :4].eq(3).all()
    assert out.sum() == 2 * 4 * 3


def test_auto_is_float32_where_bfloat16_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda device: False)
    assert not precision.multiplies_bfloat16("auto", CPU)
    with pytest.raises(InvalidSettings, match="use auto or float32"):
        precision.multiplies_bfloat16("bfloat16", CPU)


def test_auto_is_bfloat16_where_fast_and_float32_stays_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda device: True)
    assert precision.multiplies_bfloat16("auto", CPU)
    assert not precision.multiplies_bfloat16("float32", CPU)


def test_a_torch_without_mkl_is_no_fast_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_mkl_gemm", lambda: None)  # the search in torch's library, which has no other seam
    assert not products.has_fast_bfloat16(CPU)
