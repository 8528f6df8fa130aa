"""Trials: how well a model would have ranked what users turned to next, among all that it could have shown.

Each asked-for event is ranked under the state strictly before it (time, then order of application): the user's window
up to there, nothing of theirs or of anybody else's afterwards. Users without a history are not asked for: no model
answers them. Shapes: q questions, N items of the catalogue.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.errors import NotReady
from core.evaluation.metrics import Array, ranks_of
from core.history import History, WindowShape
from core.items import Catalogue
from core.ports.encoder import ModelBundle
from core.recommendation.repeat_scores import add_repeats
from core.records import EventColumns

TOP = 10
BATCH = 128
MIX = np.uint64(0x9E3779B97F4A7C15)  # spreads user keys and times over all 64 bits, so that a sample is even


@dataclass(frozen=True)
class Slice:
    """What a trial asks. `columns`: all events sorted by (user, time, order), `rows` their items as catalogue rows.

    `places`: (q,) of the events asked for; `starts`: (n,) the place of the first event of each event's user;
    `shown`: (N,) which rows may be answers. `hide_seen`: a user's earlier items are no answers.
    """

    columns: EventColumns
    catalogue: Catalogue
    rows: IntArray
    starts: IntArray
    places: IntArray
    shown: BoolArray
    hide_seen: bool
    num_available: int

    def __len__(self) -> int:
        return len(self.places)

    @property
    def users(self) -> IntArray:
        """(q,) whom each question is about."""
        return self.columns.users[self.places]

    def window(self, place: int, shape: WindowShape) -> History:
        """The window of a user strictly before one of their events."""
        begin = int(self.starts[place])
        begin += shape.start(place - begin)
        return History(self.columns.items[begin:place], self.columns.times_ms[begin:place])

    def seen(self, place: int) -> IntArray:
        """The rows of what the user had before."""
        return self.rows[self.starts[place] : place]


@dataclass(frozen=True)
class TrialResult:
    """How one model did. `ranks`: (q,) places from 0, equal scores sharing theirs; NaN where a score was not finite.

    `top`: (q, 10) rows that were shown, best first. `ms_per_user`: what encoding one user took.
    """

    ranks: Array
    top: IntArray
    ms_per_user: float = 0.0

    @property
    def is_finite(self) -> bool:
        """Whether every score was a number."""
        return not bool(np.isnan(self.ranks).any())

    @property
    def num_shown(self) -> int:
        """How many items were in anybody's first ten."""
        return len(np.unique(self.top))

    @property
    def top_share(self) -> float:
        """In which share of the lists the item stood that most lists named first."""
        return float(np.unique(self.top[:, 0], return_counts=True)[1].max() / len(self.top)) if len(self.top) else 0.0


def slice_of(columns: EventColumns, catalogue: Catalogue, *, since_ms: int, max_events: int, hide_seen: bool) -> Slice:
    """The events from a time on that can be asked for, at most `max_events` of them.

    Which are drawn is decided by user and time alone, so that a slice that grows keeps what it had for long.
    """
    rows = catalogue.rows(columns.items)
    first = np.flatnonzero(np.diff(columns.users, prepend=columns.users[:1] - 1))
    starts = first[np.searchsorted(first, np.arange(len(columns)), side="right") - 1]
    asked = (columns.times_ms >= since_ms) & (np.arange(len(columns)) > starts) & (rows >= 0)
    asked &= catalogue.listed[np.maximum(rows, 0)]
    if hide_seen:
        asked &= ~columns.repeats()
    places = np.flatnonzero(asked).astype(np.int64)
    num_available = len(places)
    if num_available > max_events:
        mixed = (columns.users[places].astype(np.uint64) * MIX) ^ (columns.times_ms[places].astype(np.uint64) * MIX)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * MIX
        places = np.sort(places[np.argsort(mixed, kind="stable")[:max_events]])
    return Slice(columns, catalogue, rows, starts, places, catalogue.listed, hide_seen, num_available)


def try_model(bundle: ModelBundle, asked: Slice, shape: WindowShape) -> TrialResult:
    """A model's ranks; raises `NotReady` where nothing can be asked."""
    _check(asked)
    encoder = bundle.bind(asked.catalogue)
    everything = np.arange(len(asked.catalogue))
    table = encoder.items(everything)
    ranks, tops, took_s = np.empty(len(asked)), [], 0.0
    for batch in _batches(len(asked)):
        places = asked.places[batch].tolist()
        started_s = time.perf_counter()
        windows = [asked.window(place, shape) for place in places]
        vectors = encoder.encode(windows)
        took_s += time.perf_counter() - started_s
        with np.errstate(invalid="ignore", over="ignore"):
            scores = encoder.query(vectors, np.zeros(len(places), np.int64)) @ table.T
            add_repeats(scores, everything, encoder, asked.catalogue, windows)
        ranks[batch], top = rank(scores, asked, places)
        tops.append(top)
    return TrialResult(ranks, np.concatenate(tops), 1000 * took_s / len(asked))


def try_popularity(asked: Slice, *, half_life_ms: float) -> TrialResult:
    """The ranks of time-decayed popularity, every event counted before those after it are asked for."""
    _check(asked)
    columns, order = asked.columns, np.argsort(asked.columns.times_ms, kind="stable")
    turn = np.empty(len(order), np.int64)
    turn[order] = np.arange(len(order))
    counted, log2 = 0, np.full(len(asked.catalogue), -np.inf)
    ranks, tops = np.empty(len(asked)), np.empty((len(asked), min(TOP, len(asked.catalogue))), np.int64)
    for number in np.argsort(turn[asked.places], kind="stable").tolist():
        place = int(asked.places[number])
        news = order[counted : turn[place]]
        known = news[asked.rows[news] >= 0]
        np.logaddexp2.at(log2, asked.rows[known], columns.times_ms[known] / half_life_ms)
        counted = int(turn[place])
        scores = np.where(np.isneginf(log2), -1e300, log2)[None]
        one = slice(number, number + 1)
        ranks[one], tops[one] = rank(scores, asked, [place])
    return TrialResult(ranks, tops)


def rank(scores: FloatArray | Array, asked: Slice, places: list[int]) -> tuple[Array, IntArray]:
    """(b,) ranks and (b, 10) best rows of (b, N) scores. NaN where a score is not finite."""
    targets = asked.rows[places]
    broken = ~np.isfinite(scores).all(axis=1)
    scores = np.where(asked.shown, scores, -np.inf)
    if asked.hide_seen:
        for row, place in enumerate(places):
            scores[row, asked.seen(place)] = -np.inf
    ranks = ranks_of(scores, targets)
    k = min(TOP, scores.shape[1])
    best = np.argpartition(scores, -k, axis=1)[:, -k:]
    order = np.argsort(np.negative(np.take_along_axis(scores, best, axis=1)), axis=1, kind="stable")
    return np.where(broken, np.nan, ranks), np.take_along_axis(best, order, axis=1).astype(np.int64)


def _batches(size: int) -> Iterator[slice]:
    return (slice(begin, min(begin + BATCH, size)) for begin in range(0, size, BATCH))


def _check(asked: Slice) -> None:
    if not len(asked):
        msg = "a trial: wanted events of users with a history and of listed items, got none; wait for more"
        raise NotReady(msg)
