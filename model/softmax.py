"""Next-item cross-entropy with memory bounded by configuration. Knows nothing about models or data.

Shapes: P positions, Q positions of a chunk, N candidates, C width, S candidates left out. The P x N logits never exist
at once: chunk by chunk they are made, turned into probabilities in place, and into the two gradients; only those are
kept for the backward pass. The products multiply float32 or bfloat16; logits, probabilities, loss and gradients are
float32 always.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from model.products import multiply

MAX_LOGITS = 2**21  # 8 MiB of float32 at a time: of 32 MiB, which leave the caches, a step takes half as long again
LEAST_PROBABILITY = torch.finfo(torch.float32).tiny


class _CrossEntropy(torch.autograd.Function):
    """Mean over positions of -log softmax(queries @ candidates.T + bias)[target]."""

    @staticmethod
    def forward(
        ctx: Any,
        queries_PC: Tensor,
        candidates_NC: Tensor,
        bias_N: Tensor | None,
        targets_P: Tensor,
        left_out_PS: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:
        """The loss; both gradients are computed on the way."""
        num_positions, num_candidates = len(queries_PC), len(candidates_NC)
        query_grad_PC = torch.empty_like(queries_PC, dtype=torch.float32)
        candidate_grad_NC = torch.zeros_like(candidates_NC, dtype=torch.float32)
        factor_PC, factor_NC = queries_PC.to(dtype), candidates_NC.to(dtype)
        rows = min(num_positions, max(1, MAX_LOGITS // max(1, num_candidates)))
        chunk_QN = query_grad_PC.new_empty(rows, num_candidates)
        rounded_QN = chunk_QN if dtype == torch.float32 else torch.empty_like(chunk_QN, dtype=dtype)
        loss = query_grad_PC.new_zeros(())
        for begin in range(0, num_positions, rows):
            factor_QC, targets_Q1 = factor_PC[begin : begin + rows], targets_P[begin : begin + rows].unsqueeze(1)
            probability_QN, probability_rounded_QN = chunk_QN[: len(factor_QC)], rounded_QN[: len(factor_QC)]
            multiply(factor_QC, factor_NC.T, out=probability_QN)
            if bias_N is not None:
                probability_QN += bias_N
            if left_out_PS is not None:
                of_target_Q1 = probability_QN.gather(1, targets_Q1)
                probability_QN.scatter_(1, left_out_PS[begin : begin + rows], -torch.inf)
                probability_QN.scatter_(1, targets_Q1, of_target_Q1)
            torch.softmax(probability_QN, 1, out=probability_QN)
            of_target_Q1 = probability_QN.gather(1, targets_Q1)
            loss -= of_target_Q1.clamp(min=LEAST_PROBABILITY).log().sum()
            probability_QN.scatter_(1, targets_Q1, of_target_Q1 - 1)
            if rounded_QN is not chunk_QN:
                probability_rounded_QN.copy_(probability_QN)
            multiply(probability_rounded_QN, factor_NC, out=query_grad_PC[begin : begin + rows])
            multiply(probability_rounded_QN.T, factor_QC, out=candidate_grad_NC, add=True)
        ctx.save_for_backward(query_grad_PC.div_(num_positions), candidate_grad_NC.div_(num_positions))
        return loss / num_positions

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        """The kept gradients, scaled."""
        query_grad_PC, candidate_grad_NC = ctx.saved_tensors
        return query_grad_PC * grads[0], candidate_grad_NC * grads[0], None, None, None, None


def cross_entropy(
    queries_PC: Tensor,
    candidates_NC: Tensor,
    targets_P: Tensor,
    bias_N: Tensor | None = None,
    *,
    left_out_PS: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Mean cross-entropy of the targets among the candidates; `bias_N` is added to the scores (log-Q correction).

    `left_out_PS`: candidates that a position does not choose among; a target among them stays one.
    `dtype`: what the products multiply. A target that is all but impossible counts 87.3 in the value, the logarithm of
    the smallest float32; its gradient is exact.
    """
    loss: Tensor = _CrossEntropy.apply(queries_PC, candidates_NC, bias_N, targets_P, left_out_PS, dtype)
    return loss
