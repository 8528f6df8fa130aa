"""Explanations: the contribution of each event of a history to an item's score, by leave-one-out.

An item is scored with and without each event; without it, the gaps around it close, and the gap to now grows if it was
the last one. Scores are taken relative to the mean over the catalogue, because an event that only lengthens the query
raises all scores alike. Independent of users, stores and titles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray, IntArray
from core.blending.neighbour_shares import LAST_ITEMS
from core.catalogue.items import Catalogue
from core.events.history import History
from core.ports.encoder import Encoder
from core.recommendation.ranking.added_scores import repeat_scores

MAX_EVENTS = 50  # of the newest; each costs an encode of the window
MAX_CONTRIBUTIONS = 3
SMALLEST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class EventContribution:
    """An event that raises an item's score. `share`: of all positive contributions, 0 to 1."""

    item_key: int
    time_ms: int
    share: float


def contributions_of(
    encoder: Encoder,
    catalogue: Catalogue,
    history: History,
    *,
    rows: IntArray,
    now_ms: int,
    weight: float = 1.0,
    counted: Callable[[History], FloatArray] | None = None,
) -> list[list[EventContribution]]:
    """For each item (by row) the events that contribute most to its score, strongest first.

    For a blended score, `weight` is that of the encoder, and `counted` returns (K,) what counts add to the items for a
    history, which depends on its last `LAST_ITEMS` events only.
    """
    indices = np.arange(max(0, len(history) - MAX_EVENTS), len(history))
    gains_KP = _gains(encoder, catalogue, history, indices=indices, rows=rows, now_ms=now_ms)
    if counted is not None and len(history) > 1:
        gains_KP *= np.float32(weight)
        gains_KP[:, -LAST_ITEMS:] += _counted_gains(counted, history, indices[-LAST_ITEMS:])
    return [_strongest(history, indices, gains_P) for gains_P in gains_KP]


def _counted_gains(counted: Callable[[History], FloatArray], history: History, indices: IntArray) -> FloatArray:
    """(K, P) by how much each of P events raises what counts add to K items."""
    without = [counted(_without(history, index)) for index in indices.tolist()]
    gains_KP: FloatArray = counted(history)[:, None] - np.stack(without, axis=1)
    return gains_KP


def _gains(
    encoder: Encoder, catalogue: Catalogue, history: History, *, indices: IntArray, rows: IntArray, now_ms: int
) -> FloatArray:
    """(K, P) by how much each of P events raises the score of each of K items, relative to the catalogue's mean."""
    if len(history) == 1:  # no history is left without it
        return np.ones((len(rows), 1), np.float32)
    mean = encoder.items(np.flatnonzero(catalogue.listed).astype(np.int64)).mean(axis=0)
    items = encoder.items(rows) - mean
    histories = [history, *(_without(history, index) for index in indices.tolist())]
    gaps_ms = np.array([max(0, now_ms - int(h.times_ms[-1])) for h in histories], np.int64)
    scores = items @ encoder.query(encoder.encode(histories), gaps_ms).T
    scores += np.stack([repeat_scores(encoder, catalogue, h).at(rows) for h in histories], axis=1)
    gains_KP: FloatArray = scores[:, :1] - scores[:, 1:]
    return gains_KP


def _without(history: History, index: int) -> History:
    return History(np.delete(history.items, index), np.delete(history.times_ms, index))


def _strongest(history: History, indices: IntArray, gains_P: FloatArray) -> list[EventContribution]:
    positive = np.maximum(gains_P, 0.0)
    total = float(positive.sum())
    if total <= 0:
        return []
    best: Sequence[int] = np.argsort(-positive, kind="stable")[:MAX_CONTRIBUTIONS].tolist()
    shares = [(int(indices[position]), float(positive[position]) / total) for position in best]
    return [
        EventContribution(int(history.items[index]), int(history.times_ms[index]), share)
        for index, share in shares
        if share >= SMALLEST_SHARE
    ]
