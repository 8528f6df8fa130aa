"""The scorer port of offline evaluation: a scorer is fitted on events and scores all items.

A scorer predicts the next item from the events strictly before it; the time of the next event is not part of the
query. Shapes: B queries, N items. Independent of protocols, metrics and models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from core.arrays import FloatArray, IntArray
from core.events.history import History
from core.records.stored import EventColumns


@dataclass(frozen=True, slots=True)
class Past:
    """A query: a user (by integer) and all of their events strictly before; items are rows 0..N-1."""

    user: int
    history: History


@dataclass(frozen=True, slots=True)
class TrainingPart:
    """The training part of a dataset. Items are rows 0..N-1 of a catalogue of `num_items`.

    `columns`: events sorted by (user, time, order). `train`: the indices of training events; `validation`: of those
    held out for early stopping.
    """

    columns: EventColumns
    train: IntArray
    validation: IntArray
    num_items: int

    @property
    def training_events(self) -> EventColumns:
        """The training events."""
        columns, train = self.columns, self.train
        return columns.where(train)

    def pasts(self, events: IntArray) -> list[Past]:
        """What is known of the user strictly before each of these events, by indices of `columns`."""
        columns = self.columns
        begins = np.searchsorted(columns.users, columns.users[events]).tolist()
        return [
            Past(int(columns.users[end]), History(columns.items[begin:end], columns.times_ms[begin:end]))
            for begin, end in zip(begins, events.tolist(), strict=True)
        ]

    def validation_sample(self, *, limit: int, least: int, seed: int) -> IntArray:
        """At most `limit` validation events, drawn and ascending; none if there are fewer than `least`."""
        sample = self.validation
        if len(sample) > limit:
            sample = np.sort(np.random.default_rng(seed).choice(sample, limit, replace=False))
        return sample if len(sample) >= least else sample[:0]


class Scorer(Protocol):
    """Is fitted once, then scores."""

    def fit(self, part: TrainingPart) -> None:
        """Fit from scratch."""
        ...

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        """(B, N) scores, higher is better. Lines of empty histories may hold anything but NaN."""
        ...


@runtime_checkable
class NowScorer(Protocol):
    """A scorer that can use the gap from the last event to now; without it, it scores like any other."""

    @property
    def reads_now(self) -> bool:
        """Whether this scorer uses the gap."""
        ...

    def fit(self, part: TrainingPart) -> None:
        """Fit from scratch."""
        ...

    def scores(self, pasts: Sequence[Past], *, gaps_ms: IntArray | None = None) -> FloatArray:
        """(B, N) scores; `gaps_ms`: (B,) from each last event to the request."""
        ...


@runtime_checkable
class UnseenScorer(Scorer, Protocol):
    """A scorer that learns something of each item from its events, and can score items without it."""

    def scores_and_unseen(self, pasts: Sequence[Past]) -> tuple[FloatArray, FloatArray]:
        """(B, N) scores, and (B, N) those as if no item had been trained on."""
        ...


@runtime_checkable
class LiveScorer(Scorer, Protocol):
    """A scorer that is updated with each event."""

    def apply(self, user: int, item: int, time_ms: int) -> None:
        """Update with an event; called in time order."""
        ...
