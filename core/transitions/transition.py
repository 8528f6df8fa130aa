"""Transitions: for each windowed event, the items of the user's events just before it.

The sum of all transitions is a pure function of the set of stored events: an event that arrives late takes back the
transitions that it changes (sign -1) and adds the new ones, and those of an erased user are taken back. So the sum is
the same for any order of arrival and after a rebuild. Independent of storage and of scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from core.arrays import BoolArray, IntArray
from core.clock import DAY_MS
from core.events.history import History

NUM_PREVIOUS = 3
NO_ITEM = 0  # item keys begin at 1
WEEK_MS = 7 * DAY_MS


class Transition(NamedTuple):
    """An item after up to three items. `sign`: 1, or -1 to take it back; `week`: of the event, counted from 1970.

    `previous_1` is the item just before, `previous_3` the oldest; 0 where the history is shorter.
    """

    item_key: int
    week: int
    sign: int
    previous_1: int
    previous_2: int
    previous_3: int


@dataclass(frozen=True, slots=True)
class TransitionChanges:
    """What was added since a position. `rows`: (n, 6) the fields of `Transition`, some of which cancel each other.

    `position`: where the next read continues. `restarted`: `rows` holds all transitions, because the log was
    rewritten since; forget what was read before. `num_rows`: how many of them each writer has logged.
    """

    rows: IntArray
    position: Mapping[int, int]
    restarted: bool
    num_rows: Mapping[int, int] = field(default_factory=dict[int, int])


def appended(previous: Sequence[int], events: Iterable[tuple[int, int]]) -> list[Transition]:
    """The transitions of (item key, time in ms) events that follow a history ending in `previous`, oldest first."""
    third, second, first = [NO_ITEM, NO_ITEM, NO_ITEM, *previous][-NUM_PREVIOUS:]
    transitions = []
    for item_key, time_ms in events:
        transitions.append(Transition(item_key, time_ms // WEEK_MS, 1, first, second, third))
        third, second, first = second, first, item_key
    return transitions


def of_history(history: History) -> list[Transition]:
    """All transitions of a complete history."""
    return appended((), zip(history.items.tolist(), history.times_ms.tolist(), strict=True))


def taken_back(transitions: Iterable[Transition]) -> list[Transition]:
    """The same with the opposite signs."""
    return [transition._replace(sign=-transition.sign) for transition in transitions]


def inserted(history: History, times_ms: IntArray) -> list[Transition]:
    """What changes when late events are inserted; the unchanged transitions of the history are left out.

    `history`: complete, with the late events. `times_ms`: theirs, ascending; of events at the same time the late ones
    come last.
    """
    is_late = _is_late(history, times_ms)
    known = History(history.items[~is_late], history.times_ms[~is_late])
    changed = is_late.copy()  # the late events, and those with a late event among their previous ones
    for distance in range(1, NUM_PREVIOUS + 1):
        changed[distance:] |= is_late[:-distance]
    new, old = of_history(history), of_history(known)
    return [
        *taken_back(old[index] for index in np.flatnonzero(changed[~is_late]).tolist()),
        *(new[index] for index in np.flatnonzero(changed).tolist()),
    ]


def _is_late(history: History, times_ms: IntArray) -> BoolArray:
    """(L,) which events of the history are the late ones."""
    ends = np.searchsorted(history.times_ms, times_ms, side="right")
    later_equal = np.searchsorted(times_ms, times_ms, side="right") - np.arange(len(times_ms))
    is_late = np.zeros(len(history), np.bool_)
    is_late[ends - later_equal] = True
    return is_late
