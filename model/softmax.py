"""Next-item cross-entropy with memory bounded by configuration. Knows nothing about models or data.

Shapes: P positions, N candidates, C width. The P x N logits never exist at once: chunk by chunk they are made, turned
into probabilities in place, and into the two gradients; only those are kept for the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

MAX_LOGITS = 2**23  # 32 MiB of float32 at a time


class _CrossEntropy(torch.autograd.Function):
    """Mean over positions of -log softmax(queries @ candidates.T + bias)[target]."""

    @staticmethod
    def forward(ctx: Any, queries_PC: Tensor, candidates_NC: Tensor, bias_N: Tensor, targets_P: Tensor) -> Tensor:
        """The loss; both gradients are computed on the way."""
        num_positions = len(queries_PC)
        query_grad_PC, candidate_grad_NC = torch.empty_like(queries_PC), torch.zeros_like(candidates_NC)
        loss = queries_PC.new_zeros(())
        rows = max(1, MAX_LOGITS // max(1, len(candidates_NC)))
        for begin in range(0, num_positions, rows):
            part = slice(begin, begin + rows)
            chunk_QC, targets_Q1 = queries_PC[part], targets_P[part].unsqueeze(1)
            logits_QN = torch.addmm(bias_N, chunk_QC, candidates_NC.T)
            target_logits_Q1 = logits_QN.gather(1, targets_Q1)
            highest_Q1 = logits_QN.amax(1, keepdim=True)
            probability_QN = logits_QN.sub_(highest_Q1).exp_()
            total_Q1 = probability_QN.sum(1, keepdim=True)
            loss += (total_Q1.log() + highest_Q1 - target_logits_Q1).sum()
            probability_QN.div_(total_Q1).scatter_add_(1, targets_Q1, -torch.ones_like(total_Q1))
            query_grad_PC[part] = probability_QN @ candidates_NC
            candidate_grad_NC.addmm_(probability_QN.T, chunk_QC)
        ctx.save_for_backward(query_grad_PC.div_(num_positions), candidate_grad_NC.div_(num_positions))
        return loss / num_positions

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """The kept gradients, scaled."""
        query_grad_PC, candidate_grad_NC = ctx.saved_tensors
        return query_grad_PC * grads[0], candidate_grad_NC * grads[0], None, None


def cross_entropy(queries_PC: Tensor, candidates_NC: Tensor, targets_P: Tensor, bias_N: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of the targets among the candidates; `bias_N` is added to the scores (log-Q correction)."""
    if bias_N is None:
        bias_N = candidates_NC.new_zeros(len(candidates_NC))
    loss: Tensor = _CrossEntropy.apply(queries_PC, candidates_NC, bias_N, targets_P)
    return loss
