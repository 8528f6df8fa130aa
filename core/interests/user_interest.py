"""The interest of a stored user: reads the newest events and the topics of their items.

`core.interests.interest` computes it. Independent of HTTP and SQL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from core.arrays import IntArray
from core.errors import NotFound
from core.events.interactions import EventTypes
from core.interests.interest import Horizons, Interest, Topics, interest_of
from core.ports.store import ReadTransaction, Store
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.stored import UserShift
from core.topics import NO_TOPIC

DEFAULT_FALSE_ALARMS = 0.05


@dataclass(frozen=True, slots=True)
class UserInterest:
    """A user's interests at a sequence number, computed from `num_events` events."""

    user_id: str
    user_seq: int
    num_events: int
    interest: Interest


class Interests:
    """Computes users' interests. Thread-safe."""

    def __init__(
        self,
        store: Store,
        *,
        snapshots: Callable[[], ServingSnapshot],
        types: EventTypes,
        horizons: Horizons | None = None,
        false_alarms: float = DEFAULT_FALSE_ALARMS,
        max_events: int = 500,
    ) -> None:
        """`false_alarms`: the false-positive rate of the shift test. `max_events`: the newest events per user.

        Events of negative or zero-weight types are ignored.
        """
        self._store = store
        self._snapshots = snapshots
        self._horizons = horizons or Horizons()
        self._false_alarms = false_alarms
        self._max_events = max_events
        self._codes = [code for code, kind in types.kinds.items() if kind.weight > 0 and not kind.negative]

    def shifts_of(self, user_keys: Sequence[int]) -> list[UserShift]:
        """The newest shifts of these users' interests, ascending by key; erased users are missing."""
        with self._store.read() as read:
            names = [(key, ids[0]) for key in sorted(user_keys) if (ids := read.users.ids_of(key))]
        shifts = []
        for key, user_id in names:
            with suppress(NotFound):  # erased meanwhile
                drift = self.of(user_id).interest.drift
                shift = (drift.since_ms, drift.distance) if drift.is_significant else (None, None)
                shifts.append(UserShift(key, *shift))
        return shifts

    def of(self, user_id: str) -> UserInterest:
        """A user's interests; raises `NotFound` for an unknown user."""
        snapshot = self._snapshots()
        with self._store.read() as read:
            state = read.users.find(user_id)
            if state is None:
                msg = f"user {user_id!r} is not known"
                raise NotFound(msg)
            events = read.events.recent(state.key, type_codes=self._codes, limit=self._max_events)
            item_keys = np.array([event.item_key for event in events], np.int64)
            topics = topics_of(read, snapshot, item_keys)
        interest = interest_of(
            np.array([event.time_ms for event in events], np.int64),
            topics,
            horizons=self._horizons,
            false_alarms=self._false_alarms,
            seed=int.from_bytes(hashlib.blake2b(user_id.encode(), digest_size=4).digest()),
        )
        return UserInterest(user_id, state.seq, len(events), interest)


def topics_of(read: ReadTransaction, snapshot: ServingSnapshot, item_keys: IntArray) -> Sequence[Topics]:
    """The topics of items: their categories, or else the topic of their text, if known."""
    categories = snapshot.catalogue.categories
    topics = [categories[row] if row >= 0 else () for row in snapshot.catalogue.rows(item_keys).tolist()]
    without = sorted({key for key, names in zip(item_keys.tolist(), topics, strict=True) if not names})
    if not without:
        return topics
    facts, names = read.drift.item_facts(without), read.drift.topics()
    text_topics = {key: (names[fact.topic],) for key, fact in facts.items() if fact.topic != NO_TOPIC}
    return [own or text_topics.get(key, ()) for key, own in zip(item_keys.tolist(), topics, strict=True)]
