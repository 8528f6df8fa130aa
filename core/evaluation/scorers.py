"""The port of everything that can be compared offline: something that learns from events and scores all items.

A scorer is asked "what comes next?" with what was known strictly before; when the answer happened is not part of the
question. Shapes: B questions, N items. Independent of protocols, metrics or any model.
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
    """One question: a user (by integer) and all of their events strictly before; items are rows 0..N-1."""

    user: int
    history: History


@dataclass(frozen=True, slots=True)
class TrainingPart:
    """What may be learnt from. Items are rows 0..N-1 of a catalogue of `num_items`.

    `columns`: events sorted by (user, time, order), `train`: the places of those to learn from, `validation`: of those
    that early stopping may ask for and nothing may learn from.
    """

    columns: EventColumns
    train: IntArray
    validation: IntArray
    num_items: int

    @property
    def learnt(self) -> EventColumns:
        """The events to learn from."""
        columns, train = self.columns, self.train
        return columns.where(train)


class Scorer(Protocol):
    """Learns once, then answers."""

    def fit(self, part: TrainingPart) -> None:
        """Learn, forgetting everything learnt before."""
        ...

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        """(B, N) scores, the highest first choice. Rows of empty histories may hold anything but NaN."""
        ...


@runtime_checkable
class NowScorer(Protocol):
    """May read how long ago the last event was when it is asked; asked without, it answers as any other."""

    @property
    def reads_now(self) -> bool:
        """Whether this one does."""
        ...

    def fit(self, part: TrainingPart) -> None:
        """Learn, forgetting everything learnt before."""
        ...

    def scores(self, pasts: Sequence[Past], *, gaps_ms: IntArray | None = None) -> FloatArray:
        """(B, N) scores; `gaps_ms`: (B,) from each last event to the request."""
        ...


@runtime_checkable
class LiveScorer(Scorer, Protocol):
    """Also learns from each event as it happens."""

    def apply(self, user: int, item: int, time_ms: int) -> None:
        """One event; called in the order in which they happened."""
        ...
