"""Protocols: how a dataset is divided into training, validation and test events.

Independent of models or metrics. Leave-one-out tests each user's last event and tunes on the one before;
temporal learns strictly before a time and tests everything after. In both, the input of a scorer is what happened
strictly before the target event, without the target's time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from core.arrays import BoolArray, IntArray
from core.errors import InvalidInput
from core.evaluation.scorers import Past, TrainingPart
from core.events.history import History
from core.records.stored import EventColumns
from core.times import second_text
from model.evaluation.dataset import Dataset
from model.training.sequences import UserRanges

State = Literal["live", "frozen"]
MIN_EVENTS = 3  # a user of leave-one-out: one to learn from, one to tune on, one to test on
VALIDATION_SHARE = 0.05  # of the events before the cut, the newest ones
VALIDATION_USERS = 4_000  # of leave-one-out: no model reads more than 3,000 validation events


@dataclass(frozen=True)
class TargetEvents:
    """(q,) events to predict, in the order of ranking: the history is `begin:end`, the target is at `rows`.

    `stream`: numbers of the events after the training part, in the order in which they happened; a live scorer learns
    the first `num_past[i]` of them before target i.
    """

    columns: EventColumns
    rows: IntArray
    begin: IntArray
    end: IntArray
    stream: IntArray
    num_past: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def users(self) -> IntArray:
        """(q,) the user of each event."""
        return self.columns.users[self.rows]

    @property
    def items(self) -> IntArray:
        """(q,) the target items, as rows of the catalogue."""
        return self.columns.items[self.rows]

    def past(self, number: int) -> Past:
        """The input of a scorer."""
        known = slice(self.begin[number], self.end[number])
        history = History(self.columns.items[known], self.columns.times_ms[known])
        return Past(int(self.columns.users[self.rows[number]]), history)

    def sample(self, size: int | None, *, seed: int = 0) -> TargetEvents:
        """At most `size` of them, drawn at random, in their order."""
        if size is None or len(self) <= size:
            return self
        positions = np.sort(np.random.default_rng(seed).choice(len(self), size, replace=False))
        arrays = (
            self.rows[positions],
            self.begin[positions],
            self.end[positions],
            self.stream,
            self.num_past[positions],
        )
        return TargetEvents(self.columns, *arrays)


@dataclass(frozen=True)
class Fold:
    """A divided dataset. `rules`: what decided the division, in words and numbers, for reports and for keys."""

    part: TrainingPart
    validation: TargetEvents
    test: TargetEvents
    rules: dict[str, object]

    def sampled(self, max_test_events: int | None) -> Fold:
        """With at most so many test events, drawn at random."""
        return replace(self, test=self.test.sample(max_test_events))


def leave_one_out(dataset: Dataset, *, validation_users: int = VALIDATION_USERS) -> Fold:
    """The last event of each user with three or more is tested, the one before validates, the rest trains.

    Where there are more than `validation_users`, a random sample of so many validates, and the event before the last
    of the others trains, as it would in service. In published tables all validate.
    """
    columns = dataset.columns
    ranges = UserRanges.of(columns.users)
    eligible = ranges.count >= MIN_EVENTS
    if not eligible.any():
        msg = f"leave-one-out: wanted users with at least {MIN_EVENTS} events, got none; use more data"
        raise InvalidInput(msg)
    first, last = ranges.first[eligible], (ranges.first + ranges.count - 1)[eligible]
    tested = np.zeros(len(columns), np.bool_)
    tested[last] = True
    nothing = np.empty(0, np.int64)

    def targets(rows: IntArray) -> TargetEvents:
        return TargetEvents(columns, rows, first, rows, nothing, np.zeros(len(rows), np.int64))

    validation, test = targets(last - 1).sample(validation_users), targets(last)
    held_out = tested.copy()
    held_out[validation.rows] = True
    part = _part(dataset, known=~tested, held=held_out)
    rules: dict[str, object] = {
        "protocol": "leave-one-out",
        "min_events": MIN_EVENTS,
        "validation_users": validation_users,
        "ties": dataset.ties,
    }
    return Fold(part, validation, test, rules)


def temporal(dataset: Dataset, *, cut_ms: int, state: State = "live") -> Fold:
    """Learn strictly before a time, tune on the newest of it, test everything from that time on.

    `state="live"`: a history holds everything before the target; "frozen": only what happened before the cut.
    """
    times_ms = dataset.columns.times_ms
    before = times_ms < cut_ms
    if before.all() or not before.any():
        side = "at or after" if before.all() else "before"
        cut = f"{second_text(cut_ms)} UTC"
        msg = f"temporal: wanted events on both sides of the cut, got none {side} {cut}; choose another --cut"
        raise InvalidInput(msg)
    tuning_ms = int(np.quantile(times_ms[before], 1 - VALIDATION_SHARE, method="lower"))
    trained = before & (times_ms < tuning_ms)
    part = _part(dataset, known=before, held=~trained)
    validation = _after(dataset, trained=trained, known=trained, tested=before & ~trained, state=state)
    test = _after(dataset, trained=trained, known=before, tested=~before, state=state)
    rules: dict[str, object] = {"protocol": "temporal", "cut_ms": cut_ms, "state": state, "ties": dataset.ties}
    return Fold(part, validation, test, rules)


def cut_at_share(dataset: Dataset, share: float) -> int:
    """The time before which that share of the events happened."""
    if not 0 < share < 1:
        msg = f"--cut: wanted a share between 0 and 1, or a date, got {share}"
        raise InvalidInput(msg)
    return int(dataset.columns.times_ms[dataset.arrival[int(share * len(dataset.arrival))]])


def _part(dataset: Dataset, *, known: BoolArray, held: BoolArray) -> TrainingPart:
    """The training part over the known events alone: test events aren't even in its columns."""
    columns = dataset.columns
    known_columns = columns.where(known)
    held = held[known]
    if held.all():
        raise InvalidInput("evaluation: nothing is left to learn from; use more data or a later --cut")
    follows = np.diff(known_columns.users, prepend=known_columns.users[:1] - 1) == 0
    return TrainingPart(known_columns, np.flatnonzero(~held), np.flatnonzero(held & follows), dataset.num_items)


def _after(dataset: Dataset, *, trained: BoolArray, known: BoolArray, tested: BoolArray, state: State) -> TargetEvents:
    """The test events, in the order in which they happened."""
    columns = dataset.columns
    ranges = UserRanges.of(columns.users)
    user = np.searchsorted(ranges.first, np.arange(len(columns)), side="right") - 1
    rows = dataset.arrival[tested[dataset.arrival]]
    begin = ranges.first[user[rows]]
    stream = dataset.arrival[~trained[dataset.arrival]]
    if state == "live":
        happened = np.empty(len(columns), np.int64)
        happened[stream] = np.arange(len(stream))
        return TargetEvents(columns, rows, begin, rows, stream, happened[rows])
    num_known = np.add.reduceat(known.astype(np.int64), ranges.first)[user[rows]]
    num_past = np.full(len(rows), int((known & ~trained).sum()))
    return TargetEvents(columns, rows, begin, begin + num_known, stream, num_past)
