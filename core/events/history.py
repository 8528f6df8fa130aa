"""A user's window: the events that the encoder reads, a pure function of the history.

Independent of storage and models. History order is (event time, order of first application). With n events, window
size N and step S, the window starts at rank S * ceil(max(0, n - N) / S): it slides in steps of S, so that an
incremental encoder re-encodes once per S events. The start depends on n alone, so rebuild, restore and replay agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import IntArray
from core.errors import InvalidSettings


@dataclass(frozen=True, slots=True)
class WindowShape:
    """`size` (N): the maximum length of a window; `step` (S): the number of events by which it slides."""

    size: int = 50
    step: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.step <= self.size:
            msg = f"window: wanted 1 <= step <= size, got size {self.size} and step {self.step}"
            raise InvalidSettings(msg)

    def start(self, num_events: int) -> int:
        """The rank (from 0, oldest first) of the window's first event after `num_events` events."""
        overhang = max(0, num_events - self.size)
        return self.step * -(-overhang // self.step)


@dataclass(frozen=True, slots=True)
class History:
    """Events as the encoder reads them, oldest first. The first has no gap before it.

    `items`: (L,) integer item keys. `times_ms`: (L,) event times, never decreasing.
    """

    items: IntArray
    times_ms: IntArray

    def __len__(self) -> int:
        return len(self.items)


EMPTY_HISTORY = History(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Window:
    """A user's stored window: the newest part of a history of `num_events` windowed events."""

    num_events: int
    history: History

    def __post_init__(self) -> None:
        assert len(self.history.items) == len(self.history.times_ms)

    @property
    def last_time_ms(self) -> int | None:
        """The time of the newest event, None if the window is empty."""
        return int(self.history.times_ms[-1]) if len(self.history) else None

    def accepts(self, time_ms: int) -> bool:
        """Whether an event of that time can be appended (else the window is rebuilt from the interactions)."""
        last = self.last_time_ms
        return last is None or time_ms >= last

    def holds_last(self, num: int) -> bool:
        """Whether it holds the newest `num` events of the history: a short window may not, just after a step."""
        return len(self.history) >= min(num, self.num_events)


EMPTY_WINDOW = Window(0, EMPTY_HISTORY)


def append(window: Window, items: IntArray, times_ms: IntArray, shape: WindowShape) -> Window:
    """`window` with sorted events, none earlier than its last, appended, and cut by the window rule."""
    num_events = window.num_events + len(items)
    start = window.num_events - len(window.history)
    cut = max(0, shape.start(num_events) - start)
    if len(window.history):
        items = np.concatenate([window.history.items, items])
        times_ms = np.concatenate([window.history.times_ms, times_ms])
    return Window(num_events, History(items[cut:], times_ms[cut:]))


def windows_of(items: IntArray, times_ms: IntArray, shape: WindowShape) -> Window:
    """The window of a complete sorted history: the plain reference of `append` and of every rebuild."""
    start = shape.start(len(items))
    return Window(len(items), History(np.asarray(items[start:], np.int64), np.asarray(times_ms[start:], np.int64)))
