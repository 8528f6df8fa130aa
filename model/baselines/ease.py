"""EASE: a linear autoencoder over items, solved in closed form (Steck 2019, arXiv 1905.03375). No torch.

Shapes: B requests, U users, N items with training events.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.sparse import csr_matrix

from core.arrays import FloatArray
from core.errors import InvalidInput
from core.evaluation.metrics import Array
from core.evaluation.scorers import Past, TrainingPart

GIB = 2**30
BYTES_PER_PAIR = 12  # the Gram matrix in float64, inverted in place, and the weights in float32


class EASE:
    """Each item's score is a weighted sum of a history's distinct items; an item has no weight for itself.

    With X (U, N) the binary matrix of users and items and P = (X^T X + `l2` I)^-1, the weights are
    B[i, j] = -P[i, j] / P[j, j] for i != j, and 0 on the diagonal (equation 8 of the paper). The order of a history is
    not used. Raises `InvalidInput` where the matrices would not fit into `max_gib`.
    """

    def __init__(self, *, l2: float, max_gib: float = 8.0) -> None:
        self._l2, self._max_gib = l2, max_gib

    def fit(self, part: TrainingPart) -> None:
        """Solve for the weights of all pairs of items."""
        events = part.training_events
        self._num_items = part.num_items
        self._items, columns = np.unique(events.items, return_inverse=True)
        self._check_memory(len(self._items))
        self._column_of = np.full(part.num_items, -1, np.int64)
        self._column_of[self._items] = np.arange(len(self._items))
        _, users = np.unique(events.users, return_inverse=True)
        shape = (int(users.max()) + 1, len(self._items))
        taken_UN = csr_matrix((np.ones(len(events)), (users, columns)), shape=shape)
        taken_UN.sum_duplicates()
        taken_UN.data[:] = 1.0
        self._weights_NN = _weights((taken_UN.T @ taken_UN).toarray(order="F"), self._l2)

    def _check_memory(self, num_items: int) -> None:
        needed_gib = BYTES_PER_PAIR * num_items**2 / GIB
        if needed_gib > self._max_gib:
            msg = (
                f"--model ease: wanted matrices of at most {self._max_gib:g} GiB, got {needed_gib:.1f} GiB for "
                f"{num_items:,} items; leave ease out, or use a log with fewer items"
            )
            raise InvalidInput(msg)

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        """(B, N) sums of weights, 0 for items without a training event."""
        scores_BN = np.zeros((len(pasts), self._num_items), np.float32)
        for row, past in enumerate(pasts):
            columns = self._column_of[np.unique(past.history.items)]
            scores_BN[row, self._items] = self._weights_NN[columns[columns >= 0]].sum(axis=0)
        return scores_BN


def _weights(gram_NN: Array, l2: float) -> FloatArray:
    """(N, N) the weights B of a Gram matrix in Fortran order, which is overwritten."""
    gram_NN[np.diag_indices_from(gram_NN)] += l2
    factor_NN, failed = dpotrf(gram_NN, lower=True, overwrite_a=True, clean=False)
    assert not failed, "a Gram matrix with a positive diagonal added is positive definite"
    inverse_NN, failed = dpotri(factor_NN, lower=True, overwrite_c=True)
    assert not failed, "its Cholesky factor has an inverse"
    diagonal_N = inverse_NN.diagonal().astype(np.float32)
    half_NN = inverse_NN.astype(np.float32)
    del gram_NN, factor_NN, inverse_NN  # one matrix of float64, no longer needed
    weights_NN: FloatArray = np.tril(half_NN, -1)  # LAPACK fills in the lower triangle only
    weights_NN += weights_NN.T.copy()
    weights_NN /= -diagonal_N
    return weights_NN
