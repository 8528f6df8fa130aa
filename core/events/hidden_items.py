"""Which items a user's own events rule out: disliked ones and, if requested, seen ones.

An item is disliked where the newest of the user's events that hide or unhide it hides it, in history order. Shapes: n
events, m items.
"""

from __future__ import annotations

import numpy as np

from core.arrays import BoolArray, IntArray
from core.events.interactions import EventTypes

NO_KEYS = np.empty(0, np.int64)


class HiddenItems:
    """The rule for an installation's event types. `codes`: of the types that it reads, ascending."""

    def __init__(self, types: EventTypes, *, exclude_seen: bool) -> None:
        self._seen = types.flagged("seen") if exclude_seen else ()
        self._hide = types.flagged("hide")
        opinions = self._hide + types.flagged("unhide")
        self._is_opinion = _mask(types, opinions)
        self._hides = _mask(types, self._hide)
        self._is_seen = _mask(types, self._seen)
        self.codes = tuple(sorted({*self._seen, *opinions} if self._hide else self._seen))

    def of(self, events: IntArray) -> IntArray:
        """(m,) keys, ascending, from (n, 2) item keys and type codes in history order."""
        if not len(events):
            return NO_KEYS
        items, codes = events[:, 0], events[:, 1]
        hidden = items[self._is_seen[codes]]
        if self._hides[codes].any():
            newest_first = events[self._is_opinion[codes]][::-1]
            disliked, newest = np.unique(newest_first[:, 0], return_index=True)
            hidden = np.concatenate([hidden, disliked[self._hides[newest_first[newest, 1]]]])
        return np.unique(hidden)


def _mask(types: EventTypes, codes: tuple[int, ...]) -> BoolArray:
    """(largest stored code + 1,) whether a code is one of these."""
    return np.isin(np.arange(max(types.kinds) + 1), codes)
