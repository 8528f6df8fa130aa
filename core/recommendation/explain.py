"""Explain: which events of a history a recommended item leans on, found by leaving each of them out.

An item's score without an event is what it would be, had that event not happened: the gaps around it close, the gap to
now grows if it was the last one. A score is read against the mean over the catalogue, because an event that only makes
the query longer speaks for nothing in particular. Knows nothing about users, stores or titles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray, IntArray
from core.history import History
from core.items import Catalogue
from core.ports.encoder import Encoder
from core.recommendation.repeat_scores import RepeatScores

MAX_LEFT_OUT = 50  # the newest events; each costs an encode of the whole window
MAX_CAUSES = 3
SMALLEST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Cause:
    """An event that speaks for an item. `share`: of all that speaks for it, from 0 to 1."""

    item_key: int
    time_ms: int
    share: float


def causes_of(
    encoder: Encoder, catalogue: Catalogue, history: History, *, rows: IntArray, now_ms: int
) -> list[list[Cause]]:
    """For each item (by its row) the events that most speak for it, strongest first."""
    places = np.arange(max(0, len(history) - MAX_LEFT_OUT), len(history))
    support = _support(encoder, catalogue, history, places=places, rows=rows, now_ms=now_ms)
    return [_strongest(history, places, one) for one in support]


def _support(
    encoder: Encoder, catalogue: Catalogue, history: History, *, places: IntArray, rows: IntArray, now_ms: int
) -> FloatArray:
    """(K, P): by how much each item's score falls, against the mean of the catalogue, without each event."""
    if len(history) == 1:  # nothing is left to compare with: all there is speaks
        return np.ones((len(rows), 1), np.float32)
    mean = encoder.items(np.flatnonzero(catalogue.listed).astype(np.int64)).mean(axis=0)
    items = encoder.items(rows) - mean
    histories = [history, *(_without(history, int(place)) for place in places)]
    gaps_ms = np.array([max(0, now_ms - int(one.times_ms[-1])) for one in histories], np.int64)
    scores = items @ encoder.query(encoder.encode(histories), gaps_ms).T
    scores += np.stack([RepeatScores.of(encoder, catalogue, one).at(rows) for one in histories], axis=1)
    support: FloatArray = scores[:, :1] - scores[:, 1:]
    return support


def _without(history: History, place: int) -> History:
    return History(np.delete(history.items, place), np.delete(history.times_ms, place))


def _strongest(history: History, places: IntArray, support: FloatArray) -> list[Cause]:
    speaking = np.maximum(support, 0.0)
    total = float(speaking.sum())
    if total <= 0:
        return []
    best: Sequence[int] = np.argsort(-speaking, kind="stable")[:MAX_CAUSES].tolist()
    found = [(int(places[at]), float(speaking[at]) / total) for at in best]
    return [
        Cause(int(history.items[place]), int(history.times_ms[place]), share)
        for place, share in found
        if share >= SMALLEST_SHARE
    ]
