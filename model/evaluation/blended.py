"""The blend as a scorer: a network, live transition counts and popularity, with calibrated weights.

Uses the formulas of serving (`core.blending`), over dense scores of all items. The weights are fitted to the newest
events of the training part, which the network has not been trained on, with the counts of each moment. Shapes: B
questions, N items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.blending.blend import Blend, ItemCounts
from core.blending.calibration import MAX_CHOICES, calibrate, choice_of
from core.blending.features import BlendFeatures, DecayedEvents, LastNeighbours
from core.blending.likelihood import Choice
from core.blending.untrained import TrainingGain
from core.evaluation.sampling import sample_of
from core.evaluation.scorers import Past, Scorer, TrainingPart, UnseenScorer
from core.events.history import History
from core.popularity import DEFAULT_HALF_LIFE_MS
from core.transitions.counts import TransitionCounts
from core.transitions.transition import NO_ITEM, NUM_PREVIOUS, WEEK_MS, TransitionChanges

CALIBRATED_AT_ONCE = 64


class LiveCounts:
    """Transition counts and popularity, current with each event; items are rows 0..N-1, their keys rows + 1."""

    def __init__(self, num_items: int) -> None:
        self._keys = np.arange(1, num_items + 1)
        self._transitions = TransitionCounts()
        self._last: dict[int, tuple[int, ...]] = {}  # of each user, the newest first
        self._recent = DecayedEvents(num_items, half_life_ms=DEFAULT_HALF_LIFE_MS)
        self._waiting: list[tuple[int, ...]] = []
        self._waiting_ms: list[int] = []
        self._logs: FloatArray | None = None  # of the items, until the next event

    def apply(self, user: int, item: int, time_ms: int) -> None:
        """Count one event; called in time order."""
        previous = self._last.get(user, (NO_ITEM,) * NUM_PREVIOUS)
        self._waiting.append((item + 1, time_ms // WEEK_MS, 1, *previous))
        self._waiting_ms.append(time_ms)
        self._last[user] = (item + 1, *previous[:-1])

    def features(self, history: History, hidden: IntArray) -> BlendFeatures:
        """After a history; `hidden`: rows to leave out."""
        self._count()
        if self._logs is None:
            shares, events = self._transitions.shares(self._keys), self._transitions.num_events(self._keys)
            self._logs = ItemCounts(self._recent.shares(), shares, events).logs()
        near = LastNeighbours.of(self._transitions, history.items + 1)
        return BlendFeatures.of(near, hidden + 1, self._logs, lambda keys: keys - 1)

    def _count(self) -> None:
        if not self._waiting:
            return
        rows = np.array(self._waiting, np.int64)
        self._transitions.apply(TransitionChanges(rows, {}, restarted=False))
        self._recent.add(rows[:, 0] - 1, np.array(self._waiting_ms))
        self._waiting, self._waiting_ms, self._logs = [], [], None


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
            self._trained = np.zeros(part.num_items, np.bool_)
            self._trained[part.columns.items[part.train]] = True
            if self.network is not None:
                self.network.fit(part)
            self.blend: Blend = calibrate(self._choices(part))
            self._part = part
        self._num_items, self._live = part.num_items, LiveCounts(part.num_items)
        trained = np.zeros(len(part.columns), np.bool_)
        trained[part.train] = True
        self._apply(self._live, part, _in_time_order(part)[trained[_in_time_order(part)]])

    def apply(self, user: int, item: int, time_ms: int) -> None:
        """Count one event."""
        self._live.apply(user, item, time_ms)

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        """(B, N) scores of all items."""
        features = [self._live.features(past.history, self._hidden(past)) for past in pasts]
        network_BN = self._network_scores(pasts, num_items=self._num_items)
        scored = zip(features, network_BN, strict=True)
        trained = self._trained
        return np.stack([features_N.scores(self.blend, network_N, trained) for features_N, network_N in scored])

    def _network_scores(self, pasts: Sequence[Past], *, num_items: int) -> FloatArray:
        if self.network is None:
            return np.zeros((len(pasts), num_items), np.float32)
        return self.network.scores(pasts)

    def _hidden(self, past: Past) -> IntArray:
        return np.unique(past.history.items) if self._hides_seen else np.empty(0, np.int64)

    def _choices(self, part: TrainingPart) -> list[Choice]:
        """A sample of the validation events that may be answers as choices, in time order."""
        order, columns = _in_time_order(part), part.columns
        events = part.validation[~columns.repeats()[part.validation]] if self._hides_seen else part.validation
        sampled = np.zeros(len(columns), np.bool_)
        sampled[events[sample_of(columns.users[events], columns.times_ms[events], MAX_CHOICES)]] = True
        places = np.flatnonzero(sampled[order])
        live, num_applied, choices = LiveCounts(part.num_items), 0, []
        for begin in range(0, len(places), CALIBRATED_AT_ONCE):
            block = places[begin : begin + CALIBRATED_AT_ONCE]
            pasts = part.pasts(order[block])
            network_BN, training = self._with_training(pasts, num_items=part.num_items)
            for row, (place, past) in enumerate(zip(block, pasts, strict=True)):
                self._apply(live, part, order[num_applied:place])
                num_applied = place
                answer = int(part.columns.items[order[place]])
                choice = self._choice(live, past, network_BN[row], answer, training[row])
                choices += [choice] if choice is not None else []
        return choices

    def _with_training(
        self, pasts: Sequence[Past], *, num_items: int
    ) -> tuple[FloatArray, list[TrainingGain] | list[None]]:
        """(B, N) scores of the network, and for each question what training adds to them, where it can tell."""
        if not isinstance(self.network, UnseenScorer):
            return self._network_scores(pasts, num_items=num_items), [None] * len(pasts)
        network_BN, unseen_BN = self.network.scores_and_unseen(pasts)
        return network_BN, [TrainingGain(self._trained, gain_N) for gain_N in network_BN - unseen_BN]

    def _choice(
        self, live: LiveCounts, past: Past, network_N: FloatArray, answer: int, training: TrainingGain | None
    ) -> Choice | None:
        hidden = self._hidden(past)
        features_NW = live.features(past.history, hidden).matrix(network_N)
        allowed: BoolArray = np.ones(len(features_NW), np.bool_)
        allowed[hidden] = False
        return choice_of(features_NW, allowed, answer, training)

    @staticmethod
    def _apply(live: LiveCounts, part: TrainingPart, events: IntArray) -> None:
        columns = part.columns.where(events)
        for user, item, time_ms in zip(
            columns.users.tolist(), columns.items.tolist(), columns.times_ms.tolist(), strict=True
        ):
            live.apply(user, item, time_ms)


def _in_time_order(part: TrainingPart) -> IntArray:
    return np.argsort(part.columns.times_ms, kind="stable")
