"""Trials: rank the items of recent events with a model, each among all items that it could have recommended.

Each query event is ranked with the state strictly before it (time, then order of application). First events of users
are no queries, because no model serves users without a history. Shapes: q queries, N items of the catalogue.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from core.catalogue.items import Catalogue
from core.errors import NotReady
from core.evaluation.metrics import Array, ranks_of
from core.evaluation.sampling import sample_of
from core.events.history import History, WindowShape
from core.ports.encoder import Encoder, ModelBundle
from core.recommendation.ranking.added_scores import add_repeats
from core.records.stored import EventColumns

TOP = 10
BATCH = 128


@dataclass(frozen=True)
class TrialSlice:
    """The queries of a trial. `columns`: all n events sorted by (user, time, order); `rows`: (n,) their catalogue rows.

    `indices`: (q,) of the query events; `starts`: (n,) the index of the first event of each event's user; `shown`: (N,)
    the rows that can be recommended. `hide_seen`: a user's earlier items are excluded.
    """

    columns: EventColumns
    catalogue: Catalogue
    rows: IntArray
    starts: IntArray
    indices: IntArray
    shown: BoolArray
    hide_seen: bool
    num_available: int

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def users(self) -> IntArray:
        """(q,) the user of each query."""
        return self.columns.users[self.indices]

    def window(self, index: int, shape: WindowShape) -> History:
        """The user's window strictly before this event."""
        begin = int(self.starts[index])
        begin += shape.start(index - begin)
        return History(self.columns.items[begin:index], self.columns.times_ms[begin:index])

    def history(self, index: int) -> History:
        """The user's events before this event."""
        past = slice(int(self.starts[index]), index)
        return History(self.columns.items[past], self.columns.times_ms[past])

    def seen(self, index: int) -> IntArray:
        """The rows of the user's items before this event."""
        return self.rows[self.starts[index] : index]


@dataclass(frozen=True)
class TrialResult:
    """A model's result on a slice. `ranks`: (q,) from 0, ties share the mean rank; NaN if a score is not finite.

    `top`: (q, 10) the highest-ranked rows. `ms_per_user`: CPU time to encode a user.
    """

    ranks: Array
    top: IntArray
    ms_per_user: float = 0.0

    @property
    def is_finite(self) -> bool:
        """Whether all scores are finite."""
        return not bool(np.isnan(self.ranks).any())

    @property
    def num_shown(self) -> int:
        """How many different items the top tens contain."""
        return len(np.unique(self.top))

    @property
    def top_share(self) -> float:
        """The share of the lists that begin with the most frequent first item."""
        return float(np.unique(self.top[:, 0], return_counts=True)[1].max() / len(self.top)) if len(self.top) else 0.0


def select_slice(
    columns: EventColumns, catalogue: Catalogue, *, since_ms: int, max_events: int, hide_seen: bool
) -> TrialSlice:
    """The query events since a time, at most `max_events` of them.

    They are sampled by `sample_of`, so that a growing slice keeps most of its queries.
    """
    rows = catalogue.rows(columns.items)
    first = np.flatnonzero(np.diff(columns.users, prepend=columns.users[:1] - 1))
    starts = first[np.searchsorted(first, np.arange(len(columns)), side="right") - 1]
    is_query = (columns.times_ms >= since_ms) & (np.arange(len(columns)) > starts) & (rows >= 0)
    is_query &= catalogue.listed[np.maximum(rows, 0)]
    if hide_seen:
        is_query &= ~columns.repeats()
    indices = np.flatnonzero(is_query).astype(np.int64)
    num_available = len(indices)
    indices = indices[sample_of(columns.users[indices], columns.times_ms[indices], max_events)]
    return TrialSlice(columns, catalogue, rows, starts, indices, catalogue.listed, hide_seen, num_available)


def try_model(bundle: ModelBundle, trial_slice: TrialSlice, shape: WindowShape) -> TrialResult:
    """The ranks of a model; raises `NotReady` for an empty slice."""
    check_not_empty(trial_slice)
    encoder = SliceEncoder(bundle.bind(trial_slice.catalogue), trial_slice, shape)
    ranks, tops = np.empty(len(trial_slice)), []
    for batch in _batches(len(trial_slice)):
        indices = trial_slice.indices[batch].tolist()
        _, scores = encoder.scores(indices)
        ranks[batch], top = rank(scores, trial_slice, indices)
        tops.append(top)
    return TrialResult(ranks, np.concatenate(tops), encoder.ms_per_user)


class SliceEncoder:
    """A model's encoder on the events of a slice. `trained`: (N,) the items that it has been trained on."""

    def __init__(self, encoder: Encoder, trial_slice: TrialSlice, shape: WindowShape) -> None:
        self._encoder, self._slice, self._shape = encoder, trial_slice, shape
        self._all_rows = np.arange(len(trial_slice.catalogue))
        self._table = encoder.items(self._all_rows)
        self.trained = encoder.trained(self._all_rows)
        self._encoding_s, self._num_encoded = 0.0, 0

    @property
    def ms_per_user(self) -> float:
        """The CPU time to encode a user: a busy machine makes no model slower."""
        return 1000 * self._encoding_s / max(1, self._num_encoded)

    def scores(self, indices: list[int]) -> tuple[list[History], FloatArray]:
        """The users' windows at (b,) events, and (b, N) scores of all items after them."""
        windows, queries = self._queries(indices)
        return windows, self._scored(windows, queries, self._table)

    def scores_and_unseen(self, indices: list[int]) -> tuple[list[History], FloatArray]:
        """The windows, and (b, 2, N): the scores, and those as if it had been trained on no item."""
        windows, queries = self._queries(indices)
        scored = [self._scored(windows, queries, table) for table in (self._table, self._unseen_table)]
        return windows, np.stack(scored, axis=1)

    @cached_property
    def _unseen_table(self) -> FloatArray:
        return self._encoder.unseen_items(self._all_rows)

    def _queries(self, indices: list[int]) -> tuple[list[History], FloatArray]:
        started_s = time.process_time()
        windows = [self._slice.window(index, self._shape) for index in indices]
        vectors = self._encoder.encode(windows)
        self._encoding_s += time.process_time() - started_s
        self._num_encoded += len(indices)
        with np.errstate(invalid="ignore", over="ignore"):
            return windows, self._encoder.query(vectors, np.zeros(len(indices), np.int64))

    def _scored(self, windows: Sequence[History], queries: FloatArray, table: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore", over="ignore"):
            scores: FloatArray = queries @ table.T
            add_repeats(scores, self._all_rows, self._encoder, self._slice.catalogue, windows)
        return scores


class QueryRanks:
    """The ranks of a slice's queries, which are given one after the other in any order."""

    def __init__(self, trial_slice: TrialSlice) -> None:
        self._slice = trial_slice
        self._ranks = np.empty(len(trial_slice))
        self._top = np.empty((len(trial_slice), min(TOP, len(trial_slice.catalogue))), np.int64)

    def add(self, number: int, scores_N: FloatArray | DoubleArray) -> None:
        """The (N,) scores of all items for the query of this number."""
        line = slice(number, number + 1)
        self._ranks[line], self._top[line] = rank(scores_N[None], self._slice, [int(self._slice.indices[number])])

    def result(self, *, ms_per_user: float = 0.0) -> TrialResult:
        """Of all queries; each has been given."""
        return TrialResult(self._ranks, self._top, ms_per_user)


def rank(scores: FloatArray | Array, trial_slice: TrialSlice, indices: list[int]) -> tuple[Array, IntArray]:
    """(b,) ranks and (b, 10) best rows of (b, N) scores; NaN if a score is not finite."""
    targets = trial_slice.rows[indices]
    broken = ~np.isfinite(scores).all(axis=1)
    scores = np.where(trial_slice.shown, scores, -np.inf)
    if trial_slice.hide_seen:
        for row, index in enumerate(indices):
            scores[row, trial_slice.seen(index)] = -np.inf
    ranks = ranks_of(scores, targets)
    k = min(TOP, scores.shape[1])
    best = np.argpartition(scores, -k, axis=1)[:, -k:]
    order = np.argsort(np.negative(np.take_along_axis(scores, best, axis=1)), axis=1, kind="stable")
    return np.where(broken, np.nan, ranks), np.take_along_axis(best, order, axis=1).astype(np.int64)


def _batches(size: int) -> Iterator[slice]:
    return (slice(begin, min(begin + BATCH, size)) for begin in range(0, size, BATCH))


def check_not_empty(trial_slice: TrialSlice) -> None:
    """Raises `NotReady` for a slice without queries."""
    if not len(trial_slice):
        msg = "trial: wanted events of listed items by users with a history, got none; wait for more events"
        raise NotReady(msg)
