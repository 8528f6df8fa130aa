"""Matrix products of bfloat16 operands with float32 results, on a GPU or on a CPU with AMX. Independent of models.

torch multiplies bfloat16 on CPUs too, but it rounds the result to bfloat16, and its kernels (oneDNN) end the process on
virtual machines that show AMX and hide its tile palette. MKL, which torch's own library carries on x86, does neither:
128 float32 columns x 11,752 rows cost 62 ms here, the same in bfloat16 13 ms. Where it is missing, auto is float32.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROW_MAJOR, NOT_TRANSPOSED, TRANSPOSED = 101, 111, 112  # of the CBLAS interface


@cache
def _mkl_gemm() -> Callable[..., Any] | None:
    """MKL's product of bfloat16 matrices into a float32 one, or None where this torch carries no MKL."""
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    if not library.exists():
        return None
    gemm = getattr(ctypes.CDLL(str(library)), "cblas_gemm_bf16bf16f32", None)
    if gemm is not None:
        size, matrix, scalar = ctypes.c_int, ctypes.c_void_p, ctypes.c_float
        gemm.argtypes = [*[size] * 6, scalar, matrix, size, matrix, size, scalar, matrix, size]
        gemm.restype = None
    return gemm


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether products of bfloat16 are several times as fast as those of float32 there."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("amx_bf16")) and _mkl_gemm() is not None


def multiply(a: Tensor, b: Tensor, *, out: Tensor, add: bool = False) -> None:
    """`out` = a @ b, or `out` += a @ b; `out` is float32, both operands are, or both are bfloat16."""
    if a.dtype == torch.float32:
        out.addmm_(a, b, beta=float(add))
    elif a.device.type == "cuda":
        product = torch.mm(a, b, out_dtype=out.dtype)
        out.add_(product) if add else out.copy_(product)
    else:
        _multiply_by_mkl(a, b, out=out, add=add)


def _multiply_by_mkl(a: Tensor, b: Tensor, *, out: Tensor, add: bool) -> None:
    gemm = _mkl_gemm()
    assert gemm is not None, "ask has_fast_bfloat16 first"
    assert a.dtype == b.dtype == torch.bfloat16
    assert out.dtype == torch.float32
    assert a.shape[1] == b.shape[0]
    assert out.shape == (a.shape[0], b.shape[1])
    assert out.stride(1) == 1
    a_order, a_stride = _order(a)
    b_order, b_stride = _order(b)
    sizes = (a.shape[0], b.shape[1], a.shape[1])
    operands = (a.data_ptr(), a_stride, b.data_ptr(), b_stride)
    gemm(ROW_MAJOR, a_order, b_order, *sizes, 1.0, *operands, float(add), out.data_ptr(), out.stride(0))


def _order(matrix: Tensor) -> tuple[int, int]:
    """How CBLAS reads a matrix: as it lies or transposed, and the distance of its rows."""
    if matrix.stride(1) == 1:
        return NOT_TRANSPOSED, max(matrix.stride(0), matrix.shape[1])
    assert matrix.stride(0) == 1, "one dimension lies without gaps"
    return TRANSPOSED, max(matrix.stride(1), matrix.shape[0])
