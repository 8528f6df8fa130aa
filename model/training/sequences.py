"""Training data as index ranges over sorted event columns: windows, batches, events held out. No torch here.

A user's history is cut into windows that start at multiples of the window's step, as in serving, and follow each
other without overlap: in one epoch every event (but a user's first) is predicted once. Each epoch draws new places for
the cuts, so that over epochs an event is seen after many lengths of context.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, IntArray
from core.events.history import WindowShape
from core.records.stored import EventColumns


@dataclass(frozen=True, slots=True)
class Sequences:
    """Windows as positions in the columns: first input event, number of inputs. The event after an input is its target.

    `context`: how many inputs at the beginning of each are read and not trained on; None: none.
    """

    first: IntArray
    length: IntArray
    context: IntArray | None = None

    def __len__(self) -> int:
        return len(self.first)

    @property
    def num_targets(self) -> int:
        """The number of events that are trained on."""
        return int(self.length.sum()) - (0 if self.context is None else int(self.context.sum()))

    def take(self, rows: IntArray) -> Sequences:
        """Some of them."""
        context = None if self.context is None else self.context[rows]
        return Sequences(self.first[rows], self.length[rows], context)

    def join(self, other: Sequences) -> Sequences:
        """Both."""
        contexts = [np.zeros(len(one), np.int64) if one.context is None else one.context for one in (self, other)]
        first, length = np.concatenate([self.first, other.first]), np.concatenate([self.length, other.length])
        return Sequences(first, length, np.concatenate(contexts))


@dataclass(frozen=True, slots=True)
class UserRanges:
    """Where each user's events lie in the columns."""

    first: IntArray
    count: IntArray

    @classmethod
    def of(cls, users: IntArray) -> UserRanges:
        """The ranges of equal users in a sorted column."""
        first = np.flatnonzero(np.diff(users, prepend=users[:1] - 1))
        return cls(first, np.diff(np.append(first, len(users))))


def cut_windows(ranges: UserRanges, shape: WindowShape, rng: np.random.Generator) -> Sequences:
    """Windows over all histories, cut at randomly drawn multiples of the step."""
    inputs = np.maximum(ranges.count - 1, 0)
    size = shape.size - shape.size % shape.step  # so that every window starts at a multiple of the step
    phases = rng.integers(0, size // shape.step, len(inputs)) * shape.step
    phases = np.where(inputs > size, phases, 0)  # what fits into one window is never cut
    leading = (phases > 0).astype(np.int64)
    counts = leading + -(-(inputs - phases) // size)
    user = np.repeat(np.arange(len(inputs)), counts)
    number = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = np.maximum(phases[user] + (number - leading[user]) * size, 0)
    end = np.minimum(phases[user] + (number - leading[user] + 1) * size, inputs[user])
    return Sequences(ranges.first[user] + begin, end - begin)


def batches(sequences: Sequences, *, max_events: int, rng: np.random.Generator) -> Iterator[Sequences]:
    """Sequences of similar length together, at most `max_events` with padding, in random order."""
    order = np.lexsort((rng.random(len(sequences)), -sequences.length))
    cuts, begin = [], 0
    while begin < len(order):
        end = min(len(order), begin + max(1, max_events // int(sequences.length[order[begin]])))
        cuts.append((begin, end))
        begin = end
    for cut in rng.permutation(len(cuts)):
        yield sequences.take(order[slice(*cuts[cut])])


def held_out(columns: EventColumns, *, share: float) -> BoolArray:
    """(n,) whether an event belongs to the last `share` of events in time; all events of one time go together."""
    if share <= 0 or not len(columns):
        return np.zeros(len(columns), np.bool_)
    return columns.times_ms > np.quantile(columns.times_ms, 1 - share, method="lower")


def contexts(columns: EventColumns, events: IntArray, shape: WindowShape) -> Sequences:
    """For events (none the first of its user) the window strictly before each, cut as in serving."""
    ranges = UserRanges.of(columns.users)
    user_first = ranges.first[np.searchsorted(ranges.first, events, side="right") - 1]
    ranks = events - user_first
    overhang = np.maximum(0, ranks - shape.size)
    start = shape.step * -(-overhang // shape.step)
    return Sequences(user_first + start, ranks - start)


def padded(sequences: Sequences) -> tuple[IntArray, BoolArray]:
    """(B, L) column positions of the inputs, padded to the right with each row's last, and (B, L) which are real."""
    offsets = np.arange(int(sequences.length.max()))
    real = offsets < sequences.length[:, None]
    return sequences.first[:, None] + np.minimum(offsets, sequences.length[:, None] - 1), real


def trained_positions(sequences: Sequences) -> BoolArray:
    """(B, L) the inputs of padded windows whose targets are trained on: real ones after the context."""
    offsets = np.arange(int(sequences.length.max()))
    context = 0 if sequences.context is None else sequences.context[:, None]
    trained: BoolArray = (offsets >= context) & (offsets < sequences.length[:, None])
    return trained
