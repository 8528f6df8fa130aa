"""The blend as a scorer: a network, live transition counts and popularity, with calibrated weights.

Uses the formulas of serving (`core.blending`), over dense scores of all items. The weights are fitted to the newest
events of the training part, which the network has not been trained on, with the counts of each moment. Shapes: B
questions, N items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.blending.blend import LAST_ITEMS, Blend, ItemCounts, neighbour_shares, share_logs
from core.blending.calibration import Choice, calibrate, choice_of
from core.clock import DAY_MS
from core.evaluation.scorers import Past, Scorer, TrainingPart
from core.history import History
from core.transitions.counts import TransitionCounts
from core.transitions.transition import NO_ITEM, NUM_PREVIOUS, WEEK_MS, TransitionChanges

RECENT_HALF_LIFE_MS = 7 * DAY_MS
MAX_CHOICES = 3000  # events of the calibration
CALIBRATED_AT_ONCE = 64
WEIGHTS = 6


class LiveCounts:
    """Transition counts and popularity, current with each event; items are rows 0..N-1, their keys rows + 1."""

    def __init__(self, num_items: int) -> None:
        self._keys = np.arange(1, num_items + 1)
        self._transitions = TransitionCounts()
        self._last: dict[int, tuple[int, ...]] = {}  # of each user, the newest first
        self._recent = np.zeros(num_items)
        self._newest_ms = 0
        self._waiting: list[tuple[int, ...]] = []
        self._waiting_ms: list[int] = []

    def apply(self, user: int, item: int, time_ms: int) -> None:
        """Count one event; called in time order."""
        previous = self._last.get(user, (NO_ITEM,) * NUM_PREVIOUS)
        self._waiting.append((item + 1, time_ms // WEEK_MS, 1, *previous))
        self._waiting_ms.append(time_ms)
        self._last[user] = (item + 1, *previous[:-1])

    def items(self) -> ItemCounts:
        """(N,) counts of all items."""
        self._count()
        recent = self._recent / max(self._recent.sum(), np.finfo(np.float64).tiny)
        lasting = self._transitions.shares(self._keys)
        return ItemCounts(recent, lasting, self._transitions.num_events(self._keys))

    def shares(self, history: History, hidden: IntArray) -> tuple[FloatArray, FloatArray]:
        """(N,) shares of all items among what followed and what preceded the last items; `hidden`: rows."""
        self._count()
        last = (history.items[: -LAST_ITEMS - 1 : -1] + 1).tolist()
        return (
            self._dense(*neighbour_shares([self._transitions.after(key) for key in last], hidden + 1)),
            self._dense(*neighbour_shares([self._transitions.before(key) for key in last], hidden + 1)),
        )

    def _dense(self, keys: IntArray, shares: FloatArray) -> FloatArray:
        dense = np.zeros(len(self._keys), np.float32)
        dense[keys - 1] = shares
        return dense

    def _count(self) -> None:
        if not self._waiting:
            return
        rows, times_ms = np.array(self._waiting, np.int64), np.array(self._waiting_ms)
        self._transitions.apply(TransitionChanges(rows, {}, restarted=False))
        newest_ms = max(self._newest_ms, int(times_ms.max()))
        self._recent *= np.exp2((self._newest_ms - newest_ms) / RECENT_HALF_LIFE_MS)
        np.add.at(self._recent, rows[:, 0] - 1, np.exp2((times_ms - newest_ms) / RECENT_HALF_LIFE_MS))
        self._newest_ms, self._waiting, self._waiting_ms = newest_ms, [], []


class BlendScorer:
    """A blend of a network, or of nothing, with live counts. `hides_seen`: what answers it is calibrated for."""

    def __init__(self, network: Scorer | None, *, hides_seen: bool) -> None:
        self.network, self._hides_seen = network, hides_seen
        self._part: TrainingPart | None = None

    @property
    def report(self) -> dict[str, object]:
        """The weights, and how the training of the network went."""
        return {**getattr(self.network, "report", {}), "blend": self.blend.to_json()}

    def fit(self, part: TrainingPart) -> None:
        """Train and calibrate, once for each training part, and count its training events."""
        if part is not self._part:
            if self.network is not None:
                self.network.fit(part)
            self.blend: Blend = calibrate(self._choices(part))
            self._part = part
        self._live = LiveCounts(part.num_items)
        trained = np.zeros(len(part.columns), np.bool_)
        trained[part.train] = True
        self._apply(self._live, part, _in_time_order(part)[trained[_in_time_order(part)]])

    def apply(self, user: int, item: int, time_ms: int) -> None:
        """Count one event."""
        self._live.apply(user, item, time_ms)

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        """(B, N) scores of all items."""
        network_BN = self._network_scores(pasts)
        item_part_N = self.blend.item_part(self._live.items())
        scores_BN = np.float32(self.blend.encoder) * network_BN + item_part_N
        for scores_N, past in zip(scores_BN, pasts, strict=True):
            forward_N, backward_N = self._live.shares(past.history, self._hidden(past))
            scores_N += self.blend.forward_part(forward_N) + self.blend.backward_part(backward_N)
        return scores_BN

    def _network_scores(self, pasts: Sequence[Past]) -> FloatArray:
        if self.network is None:
            return np.zeros((len(pasts), 1), np.float32)
        return self.network.scores(pasts)

    def _hidden(self, past: Past) -> IntArray:
        return np.unique(past.history.items) if self._hides_seen else np.empty(0, np.int64)

    def _choices(self, part: TrainingPart) -> list[Choice]:
        """A sample of the validation events as choices, in time order."""
        order = _in_time_order(part)
        sampled = np.zeros(len(part.columns), np.bool_)
        size = min(MAX_CHOICES, len(part.validation))
        sampled[np.random.default_rng(0).choice(part.validation, size, replace=False)] = True
        places = np.flatnonzero(sampled[order])
        live, num_applied, choices = LiveCounts(part.num_items), 0, []
        for begin in range(0, len(places), CALIBRATED_AT_ONCE):
            block = places[begin : begin + CALIBRATED_AT_ONCE]
            pasts = [_past(part, int(event)) for event in order[block]]
            for place, past, network_N in zip(block, pasts, self._network_scores(pasts), strict=True):
                self._apply(live, part, order[num_applied:place])
                num_applied = place
                choice = self._choice(live, past, network_N, int(part.columns.items[order[place]]))
                choices += [choice] if choice is not None else []
        return choices

    def _choice(self, live: LiveCounts, past: Past, network_N: FloatArray, answer: int) -> Choice | None:
        hidden = self._hidden(past)
        forward_N, backward_N = live.shares(past.history, hidden)
        logs_N3 = live.items().logs()
        features_NW = np.empty((len(logs_N3), WEIGHTS), np.float32)
        features_NW[:, 0], features_NW[:, 3:] = network_N, logs_N3
        features_NW[:, 1], features_NW[:, 2] = share_logs(forward_N), share_logs(backward_N)
        allowed: BoolArray = np.ones(len(features_NW), np.bool_)
        allowed[hidden] = False
        return choice_of(features_NW, allowed, answer)

    @staticmethod
    def _apply(live: LiveCounts, part: TrainingPart, events: IntArray) -> None:
        columns = part.columns.where(events)
        for user, item, time_ms in zip(
            columns.users.tolist(), columns.items.tolist(), columns.times_ms.tolist(), strict=True
        ):
            live.apply(user, item, time_ms)


def _in_time_order(part: TrainingPart) -> IntArray:
    return np.argsort(part.columns.times_ms, kind="stable")


def _past(part: TrainingPart, event: int) -> Past:
    """What is known of the user strictly before an event."""
    columns, user = part.columns, part.columns.users[event]
    begin = int(np.searchsorted(columns.users, user))
    return Past(int(user), History(columns.items[begin:event], columns.times_ms[begin:event]))
