"""Baselines of neighbours: items with the same users (item-kNN), and histories alike (V-SKNN). No torch.

Shapes: B requests, N items, S histories.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from core.arrays import FloatArray, IntArray
from core.evaluation.metrics import Array
from core.evaluation.scorers import Past, TrainingPart

ITEMS_AT_ONCE = 1024  # rows of the item x item similarities in memory before only the nearest are kept


class ItemKNN:
    """Cosine between the sets of users of two items, damped by `shrink`; an item keeps its `k` nearest.

    An item scores the sum of its similarities to the last `num_last` items of the history.
    """

    def __init__(self, *, k: int, shrink: float, num_last: int) -> None:
        self._k, self._shrink, self._num_last = k, shrink, num_last

    def fit(self, part: TrainingPart) -> None:
        """The nearest items of every item, a block of items at a time."""
        events = part.training_events
        ones = np.ones(len(events), np.float32)
        _, users = np.unique(events.users, return_inverse=True)
        taken_UN = csr_matrix((ones, (users, events.items)), shape=(users.max() + 1, part.num_items))
        taken_UN.sum_duplicates()
        taken_UN.data[:] = 1.0
        lengths_N = np.sqrt(np.asarray(taken_UN.sum(axis=0)).ravel())
        columns_NU = taken_UN.T.tocsr()
        blocks = range(0, part.num_items, ITEMS_AT_ONCE)
        self._near = [self._nearest(columns_NU, taken_UN, lengths_N, begin) for begin in blocks]

    def _nearest(self, columns_NU: csr_matrix, taken_UN: csr_matrix, lengths_N: Array, begin: int) -> csr_matrix:
        """(block, N) the k highest similarities of each item."""
        block = slice(begin, begin + ITEMS_AT_ONCE)
        common = (columns_NU[block] @ taken_UN).tocoo()
        own = common.row + begin
        keep = own != common.col
        rows, columns = common.row[keep], common.col[keep]
        alike = common.data[keep] / (lengths_N[own[keep]] * lengths_N[columns] + self._shrink)
        order = np.lexsort((-alike, rows))
        rows, columns, alike = rows[order], columns[order], alike[order]
        starts = np.searchsorted(rows, rows, side="left")
        first_k = np.arange(len(rows)) - starts < self._k
        entries = (alike[first_k].astype(np.float32), (rows[first_k], columns[first_k]))
        return csr_matrix(entries, shape=common.shape)

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        """(B, N) sums of similarities."""
        scores_BN = np.zeros((len(pasts), self._near[0].shape[1]), np.float32)
        for row, past in enumerate(pasts):
            for item in np.unique(past.history.items[-self._num_last :]):
                near = self._near[item // ITEMS_AT_ONCE]
                column = item % ITEMS_AT_ONCE
                part = slice(near.indptr[column], near.indptr[column + 1])
                scores_BN[row, near.indices[part]] += near.data[part]
        return scores_BN


class VSKNN:
    """Vector-multiplication session kNN (Ludewig & Jannach 2018, section 3.2); a user's history is one session.

    Neighbours are the `k` most alike of the `sample` newest sessions that share any of the L recent items: alike is the
    sum of the shared items' weights, i / L at place i (the newest weighs 1), over the number of distinct items. Their
    items score alike / steps back to the newest shared item (with `idf`: times 1 + idf * log(S / sessions of the
    item)). The user's own session is no neighbour: it would only bring back what they had.
    """

    def __init__(self, *, k: int, sample: int, num_last: int, idf: float = 0.0) -> None:
        self._k, self._sample, self._num_last, self._idf = k, sample, num_last, idf

    def fit(self, part: TrainingPart) -> None:
        """Sessions as sets of items and items as lists of sessions, the newest session first."""
        events = part.training_events
        self._num_items = part.num_items
        newest: dict[int, int] = dict(zip(events.users.tolist(), events.times_ms.tolist(), strict=True))
        by_age = sorted(newest, key=lambda user: -newest[user])
        self._session_of = {user: session for session, user in enumerate(by_age)}
        sessions = np.fromiter((self._session_of[user] for user in events.users.tolist()), np.int64, len(events))
        shape = (len(by_age), part.num_items)
        self._items_of = csr_matrix((np.ones(len(events), np.float32), (sessions, events.items)), shape=shape)
        self._items_of.sum_duplicates()
        self._items_of.data[:] = 1.0
        self._sessions_of = self._items_of.T.tocsr()
        self._sessions_of.sort_indices()
        num_sessions = np.maximum(np.diff(self._sessions_of.indptr), 1)
        self._boost = (1 + self._idf * np.log(len(by_age) / num_sessions)).astype(np.float32)

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        """(B, N) scores, 0 for items of no neighbour."""
        scores_BN = np.zeros((len(pasts), self._num_items), np.float32)
        for row, past in enumerate(pasts):
            if len(past.history):
                scores_BN[row] = self._scores_of(past.history.items[-self._num_last :], past.user)
        return scores_BN

    def _scores_of(self, items_L: IntArray, user: int) -> FloatArray:
        """(N,) scores after one history."""
        length, step_of = len(items_L), dict[int, int]()
        for step, item in enumerate(items_L[::-1].tolist(), start=1):
            step_of.setdefault(item, step)
        sessions_by_item = [self._with_item(item) for item in step_of]
        sessions = np.concatenate(sessions_by_item)
        steps = np.repeat(np.array(list(step_of.values())), [len(part) for part in sessions_by_item])
        others = sessions != self._session_of.get(user, -1)
        sessions, steps = sessions[others], steps[others]
        neighbours, first, group = np.unique(sessions, return_index=True, return_inverse=True)
        weights = (length + 1 - steps) / length
        alike_S = np.bincount(group, weights=weights)[: self._sample] / len(step_of)
        decay_S = 1 / steps[first[: self._sample]]  # np.unique gives the first place: the newest shared item
        nearest = np.argsort(-alike_S, kind="stable")[: self._k]
        chosen = self._items_of[neighbours[nearest]]
        scores_N = chosen.T @ (alike_S[nearest] * decay_S[nearest])
        return np.asarray(scores_N * self._boost, np.float32)

    def _with_item(self, item: int) -> IntArray:
        """The sessions that hold an item, the newest first; none further back can be in a sample, with one's own."""
        begin, end = self._sessions_of.indptr[item], self._sessions_of.indptr[item + 1]
        part = slice(begin, min(end, begin + self._sample + 1))
        return np.asarray(self._sessions_of.indices[part], np.int64)
