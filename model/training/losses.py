"""The auxiliary losses of HM4SR (paper, section 3.5): IDCL, CP and PCL; and gBCE. Independent of how batches are made.

Shapes: B queries, P positions, N items, K categories, M content towers, D width of a tower. With `released`, pairs with
the same target score 0 instead of being left out: parity with the released code needs that, and nothing else does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def _contrast(queries_BD: Tensor, keys_BD: Tensor, targets_B: Tensor, *, temperature: float, released: bool) -> Tensor:
    """Each query must find its own key among all; another pair with the same target is no negative."""
    logits_BB = queries_BD @ keys_BD.T / temperature
    same_BB = targets_B.unsqueeze(1) == targets_B.unsqueeze(0)
    same_BB.fill_diagonal_(False)
    logits_BB = logits_BB.masked_fill(same_BB, 0.0 if released else -torch.inf)
    return F.cross_entropy(logits_BB, torch.arange(len(logits_BB), device=logits_BB.device))


def id_contrast(
    id_queries_BD: Tensor, id_rows_BD: Tensor, targets_B: Tensor, *, temperature: float, released: bool = False
) -> Tensor:
    """IDCL: what the id tower says of a history is near to the id row of its next item."""
    queries_BD, keys_BD = F.normalize(id_queries_BD, dim=1), F.normalize(id_rows_BD, dim=1)
    return _contrast(queries_BD, keys_BD, targets_B, temperature=temperature, released=released)


def category_prediction(logits_NK: Tensor, categories_NK: Tensor) -> Tensor:
    """CP: an item's vector tells its categories. Each row counts once; ours are distinct items, theirs positions."""
    return F.binary_cross_entropy_with_logits(logits_NK, categories_NK)


def placeholder_contrast(
    plain_MBD: Tensor, replaced_MBD: Tensor, targets_B: Tensor, *, temperature: float, released: bool = False
) -> Tensor:
    """PCL: histories of which some events say only when they happened are near the whole ones, in each tower."""
    plain_MBD, replaced_MBD = F.normalize(plain_MBD, dim=-1), F.normalize(replaced_MBD, dim=-1)
    pairs = zip(plain_MBD, replaced_MBD, strict=True)
    losses = [_contrast(a, b, targets_B, temperature=temperature, released=released) for a, b in pairs]
    return torch.stack(losses).mean()


def generalised_bce(positive_P: Tensor, negative_PN: Tensor, *, sampling_rate: float, calibration: float) -> Tensor:
    """The loss gBCE of gSASRec (arXiv 2308.07192): the mean over positions, 0 without one.

        -(log sigmoid(s+) ** beta + sum over k negatives of log(1 - sigmoid(s-))) / (k + 1)
        beta = a * (t * (1 - 1 / a) + 1 / a) = 1 - t * (1 - a)

    s: scores; a negative of minus infinity is none. a: `sampling_rate`, the probability of an item to be among the
    negatives. t: `calibration`; 0 is plain BCE, 1 predicts probabilities as if no negative had been left out.
    """
    beta = 1 - calibration * (1 - sampling_rate)
    terms_P = 1 + (~negative_PN.isneginf()).sum(1)
    loss_P = (beta * F.softplus(-positive_P) + F.softplus(negative_PN).sum(1)) / terms_P
    return loss_P.sum() / max(1, len(loss_P))
