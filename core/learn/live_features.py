"""Live features: what transition counts and popularity said of all items at the moment of each event of a slice.

For the gate, which judges a blended model with the counts of the moment, and for calibration. Shapes: N items.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray, IntArray
from core.blending.blend import LAST_ITEMS, Blend, ItemCounts, neighbour_shares, share_logs
from core.history import History
from core.items import Catalogue
from core.learn.trial import TrialSlice
from core.transitions.counts import CountRules, TransitionCounts
from core.transitions.neighbours import Neighbours
from core.transitions.replay import TransitionReplay

RENEW_EVENTS = 32


class LiveFeature(NamedTuple):
    """(N,) logarithms of the `forward` and `backward` shares; (N, 3) `items`: see `ItemCounts.logs`."""

    forward: FloatArray
    backward: FloatArray
    items: FloatArray

    def scores(self, blend: Blend, encoder_N: FloatArray) -> FloatArray:
        """(N,) the blended scores, given those of the encoder."""
        weights = np.array([blend.recent, blend.lasting, blend.events], np.float32)
        neighbours = np.float32(blend.forward) * self.forward + np.float32(blend.backward) * self.backward
        scores: FloatArray = np.float32(blend.encoder) * encoder_N + neighbours + self.items @ weights
        return scores

    def matrix(self, encoder_N: FloatArray) -> FloatArray:
        """(N, 6) the features in the order of the weights of `Blend`."""
        return np.column_stack([encoder_N, self.forward, self.backward, self.items]).astype(np.float32)


class LiveFeatures:
    """The features of a slice's events. Events are asked for in time order; earlier ones are counted on the way."""

    def __init__(self, trial_slice: TrialSlice, *, half_life_ms: float) -> None:
        """`half_life_ms`: of recent popularity."""
        self._slice, self._half_life_ms = trial_slice, half_life_ms
        self._replay = TransitionReplay(trial_slice.columns, CountRules())
        self._order = np.argsort(trial_slice.columns.times_ms, kind="stable")
        self._recent = np.zeros(len(trial_slice.catalogue))
        self._now_ms = 0
        self._num_counted = 0
        self._logs: FloatArray | None = None
        self._logs_place = 0

    @property
    def places(self) -> IntArray:
        """(n,) the place of each event in time order."""
        return self._replay.places

    def at(self, index: int, window: History) -> LiveFeature:
        """Before an event, with the user's window at it; its place is not before that of an earlier call."""
        place = int(self.places[index])
        counts = self._replay.advance(place)
        self._count_recent(place)
        catalogue, columns = self._slice.catalogue, self._slice.columns
        begin = int(self._slice.starts[index])
        hidden = np.unique(columns.items[begin:index]) if self._slice.hide_seen else np.empty(0, np.int64)
        last = window.items[: -LAST_ITEMS - 1 : -1].tolist()
        forward = _logs(catalogue, [counts.after(key) for key in last], hidden)
        backward = _logs(catalogue, [counts.before(key) for key in last], hidden)
        return LiveFeature(forward, backward, self._item_logs(counts, place))

    def _item_logs(self, counts: TransitionCounts, place: int) -> FloatArray:
        """(N, 3) the features of items, renewed after some events, as a serving process does after some time."""
        if self._logs is None or place - self._logs_place >= RENEW_EVENTS:
            keys = self._slice.catalogue.keys
            recent = self._recent / max(float(self._recent.sum()), np.finfo(np.float64).tiny)
            self._logs = ItemCounts(recent, counts.shares(keys), counts.num_events(keys)).logs()
            self._logs_place = place
        return self._logs

    def _count_recent(self, place: int) -> None:
        """Popularity decays to the newest counted event."""
        if place <= self._num_counted:
            return
        events = self._order[self._num_counted : place]
        times_ms, rows = self._slice.columns.times_ms[events], self._slice.rows[events]
        now_ms = int(times_ms[-1])
        self._recent *= np.exp2((self._now_ms - now_ms) / self._half_life_ms)
        known = rows >= 0
        np.add.at(self._recent, rows[known], np.exp2((times_ms[known] - now_ms) / self._half_life_ms))
        self._now_ms, self._num_counted = now_ms, place


def _logs(catalogue: Catalogue, neighbours: list[Neighbours], hidden: IntArray) -> FloatArray:
    """(N,) logarithms of shares by catalogue row."""
    logs = np.zeros(len(catalogue), np.float32)
    keys, shares = neighbour_shares(neighbours, hidden)
    rows = catalogue.rows(keys)
    logs[rows[rows >= 0]] = share_logs(shares[rows >= 0])
    return logs
