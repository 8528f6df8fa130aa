"""Next-item cross-entropy with memory bounded by configuration. Independent of models or data.

Shapes: P positions, Q positions of a chunk, N candidates, C width, S named candidates of a position. The P x N logits
never exist at once: chunk by chunk they are made, turned into probabilities in place, and into gradients; these alone
are kept. The products multiply float32 or bfloat16; logits, probabilities, loss and gradients are float32 always.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from model.training.products import multiply

MAX_LOGITS = 2**21  # 8 MiB of float32 at a time: of 32 MiB, which leave the caches, a step takes half as long again
LEAST_PROBABILITY = torch.finfo(torch.float32).tiny


class Added(NamedTuple):
    """What positions add to the scores of some candidates, as often as each is named in `places_PS`.

    Minus infinity: the position does not choose among them, but a target stays one.
    """

    places_PS: Tensor
    scores_PS: Tensor


class _CrossEntropy(torch.autograd.Function):
    """Mean over positions of -log softmax(queries @ candidates.T + bias + what is added)[target]."""

    @staticmethod
    def forward(
        ctx: Any,
        queries_PC: Tensor,
        candidates_NC: Tensor,
        bias_N: Tensor | None,
        targets_P: Tensor,
        places_PS: Tensor | None,
        added_PS: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:
        """The loss; the gradients are computed on the way."""
        num_positions, num_candidates = len(queries_PC), len(candidates_NC)
        query_grad_PC = torch.empty_like(queries_PC, dtype=torch.float32)
        candidate_grad_NC = torch.zeros_like(candidates_NC, dtype=torch.float32)
        factor_PC, factor_NC = queries_PC.to(dtype), candidates_NC.to(dtype)
        rows = max(1, min(num_positions, MAX_LOGITS // max(1, num_candidates)))
        chunk_QN = query_grad_PC.new_empty(rows, num_candidates)
        rounded_QN = chunk_QN if dtype == torch.float32 else torch.empty_like(chunk_QN, dtype=dtype)
        added_grad_PS = torch.empty_like(added_PS) if added_PS is not None and ctx.needs_input_grad[5] else None
        loss = query_grad_PC.new_zeros(())
        for begin in range(0, num_positions, rows):
            factor_QC, targets_Q1 = factor_PC[begin : begin + rows], targets_P[begin : begin + rows].unsqueeze(1)
            probability_QN, probability_rounded_QN = chunk_QN[: len(factor_QC)], rounded_QN[: len(factor_QC)]
            multiply(factor_QC, factor_NC.T, out=probability_QN)
            if bias_N is not None:
                probability_QN += bias_N
            if places_PS is not None and added_PS is not None:
                places_QS = places_PS[begin : begin + rows]
                of_target_Q1 = probability_QN.gather(1, targets_Q1)
                probability_QN.scatter_add_(1, places_QS, added_PS[begin : begin + rows])
                in_all_Q1 = probability_QN.gather(1, targets_Q1)
                probability_QN.scatter_(1, targets_Q1, torch.where(in_all_Q1.isneginf(), of_target_Q1, in_all_Q1))
            torch.softmax(probability_QN, 1, out=probability_QN)
            of_target_Q1 = probability_QN.gather(1, targets_Q1)
            loss -= of_target_Q1.clamp(min=LEAST_PROBABILITY).log().sum()
            probability_QN.scatter_(1, targets_Q1, of_target_Q1 - 1)
            if added_grad_PS is not None:
                added_grad_PS[begin : begin + rows] = probability_QN.gather(1, places_QS)
            if rounded_QN is not chunk_QN:
                probability_rounded_QN.copy_(probability_QN)
            multiply(probability_rounded_QN, factor_NC, out=query_grad_PC[begin : begin + rows])
            multiply(probability_rounded_QN.T, factor_QC, out=candidate_grad_NC, add=True)
        grads = (query_grad_PC, candidate_grad_NC, added_grad_PS)
        ctx.save_for_backward(*(None if grad is None else grad.div_(max(1, num_positions)) for grad in grads))
        return loss / max(1, num_positions)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The kept gradients, scaled."""
        scaled = (None if kept is None else kept * grads[0] for kept in ctx.saved_tensors)
        query_grad_PC, candidate_grad_NC, added_grad_PS = scaled
        return query_grad_PC, candidate_grad_NC, None, None, None, added_grad_PS, None


def cross_entropy(
    queries_PC: Tensor,
    candidates_NC: Tensor,
    targets_P: Tensor,
    bias_N: Tensor | None = None,
    *,
    added: Added | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Mean cross-entropy of the targets among the candidates; `bias_N` is added to the scores (log-Q correction).

    0 without a position. `dtype`: what the products multiply. A target that is all but impossible counts 87.3 in the
    value, the logarithm of the smallest float32; its gradient is exact.
    """
    places_PS, added_PS = added or (None, None)
    loss: Tensor = _CrossEntropy.apply(queries_PC, candidates_NC, bias_N, targets_P, places_PS, added_PS, dtype)
    return loss
