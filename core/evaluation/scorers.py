"""The scorer port of offline evaluation: a scorer is fitted on events and scores all items.

A scorer predicts the next item from the events strictly before it; the time of the next event is not part of the
query. Shapes: B queries, N items. Independent of protocols, metrics and models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from core.arrays import FloatArray, IntArray
from core.history import History
from core.records import EventColumns


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
class LiveScorer(Scorer, Protocol):
    """A scorer that is updated with each event."""

    def apply(self, user: int, item: int, time_ms: int) -> None:
        """Update with an event; called in time order."""
        ...
