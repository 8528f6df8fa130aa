"""Step (b) of ingest: locks users, looks up item keys and marks stored events as duplicates.

Independent of where events come from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from core.events.interactions import EventTypes, Interaction, event_key_of
from core.ports.store import Transaction
from core.records.statuses import EventStatus
from core.records.stored import EventRow, UserState


class ResolvedBatch:
    """The events of one transaction, resolved against the store.

    `statuses`, `user_seqs`: one per event. `rows`: the new events; `user_ids`: of each of them, as it names its user.
    `states`: the users that change, with their old windows; those of `new_users` are not stored yet. `item_keys`: the
    keys of all items of the batch.
    """

    def __init__(
        self,
        tx: Transaction,
        events: Sequence[Interaction],
        statuses: list[EventStatus],
        *,
        types: EventTypes,
        item_keys: Mapping[str, int],
        looks_up: bool = True,
    ) -> None:
        """`statuses`: as known before the store is read; `item_keys`: known keys, which are not looked up.

        `looks_up`: False where all events are probably new; storing them raises `StoreConflict` where they are not.
        """
        self.statuses = statuses
        self.user_seqs = [0] * len(events)
        self.rows: list[EventRow] = []
        self.user_ids: list[str] = []
        self.states: dict[str, UserState] = {}
        self.item_keys: dict[str, int] = {}
        self.new_users: dict[str, UserState] = {}
        self._locked: dict[str, UserState] = {}
        self._lock(tx, events)
        accepted = self._accepted(events)
        if accepted:
            item_ids = {event.item_id for event in accepted}
            self.item_keys = {item_id: item_keys[item_id] for item_id in item_ids if item_id in item_keys}
            unknown = sorted(item_ids.difference(self.item_keys))
            if unknown:
                self.item_keys |= tx.items.resolve(unknown, now_ms=min(event.time_ms for event in accepted))
            self._number(tx, events, types, looks_up=looks_up)

    def _accepted(self, events: Sequence[Interaction]) -> list[Interaction]:
        return [event for event, status in zip(events, self.statuses, strict=True) if status is EventStatus.ACCEPTED]

    def _lock(self, tx: Transaction, events: Sequence[Interaction]) -> None:
        """Lock the users and mark events from before an erasure, which do not create an erased user again."""
        newest_ms: dict[str, int] = {}
        for event in self._accepted(events):
            newest_ms[event.user_id] = max(event.time_ms, newest_ms.get(event.user_id, 0))
        if newest_ms:
            known = tx.users.lock_known(sorted(newest_ms))
            missing = [user_id for user_id in sorted(newest_ms) if user_id not in known]
            self.new_users = tx.users.new_states(missing, unless_erased=newest_ms)
            self._locked = known | self.new_users
        erased = {user_id: newest for user_id, newest in newest_ms.items() if user_id not in self._locked}
        erased |= {user_id: s.erased_ms for user_id, s in self._locked.items() if s.erased_ms is not None}
        for index, event in enumerate(events) if erased else ():
            if self.statuses[index] is EventStatus.ACCEPTED and event.time_ms <= erased.get(event.user_id, -1):
                self.statuses[index] = EventStatus.ERASED

    @property
    def before(self) -> Collection[UserState]:
        """The users of the batch before it."""
        return self._locked.values()

    def _number(self, tx: Transaction, events: Sequence[Interaction], types: EventTypes, *, looks_up: bool) -> None:
        """Number the new events in the order of the source; mark known ones as duplicates."""
        keys = [
            event_key_of(event.event_id) if status is EventStatus.ACCEPTED else b""
            for event, status in zip(events, self.statuses, strict=True)
        ]
        known: set[bytes] = set()
        if looks_up or tx.events.any_undone():
            known = tx.events.known([key for key in keys if key])
        seqs = {state.key: state.seq for state in self._locked.values()}
        user_keys = {user_id: state.key for user_id, state in self._locked.items()}
        new: list[int] = []
        for index, (event, key) in enumerate(zip(events, keys, strict=True)):
            if not key:
                continue
            user_key = user_keys[event.user_id]
            if key in known:
                self.statuses[index] = EventStatus.DUPLICATE
            else:
                known.add(key)
                seqs[user_key] += 1
                new.append(index)
            self.user_seqs[index] = seqs[user_key]
        accepted = [events[index] for index in new]
        self.user_ids = [event.user_id for event in accepted]
        columns = (
            [keys[index] for index in new],
            [user_keys[user_id] for user_id in self.user_ids],
            [self.item_keys[event.item_id] for event in accepted],
            _stored_codes(accepted, types),
            [event.time_ms for event in accepted],
            [self.user_seqs[index] for index in new],
            [event.value for event in accepted],
            [event.context for event in accepted],
            [event.recommendation_id for event in accepted],
        )
        self.rows = list(map(EventRow._make, zip(*columns, strict=True)))  # by columns: half the time
        self._note_states(seqs)

    def _note_states(self, seqs: Mapping[int, int]) -> None:
        ids = {state.key: user_id for user_id, state in self._locked.items()}  # one of those of a merged user
        self.states = {
            user_id: UserState(key, seqs[key], state.window, state.erased_ms)
            for key, user_id in ids.items()
            if seqs[key] != (state := self._locked[user_id]).seq
        }

    def windowed(self, codes: Sequence[int]) -> dict[str, list[EventRow]]:
        """For each user the new windowed events by time; ties keep the order of the source."""
        user_ids = {state.key: user_id for user_id, state in self.states.items()}
        by_user: dict[str, list[EventRow]] = {}
        for row in self.rows:
            if row.type_code in codes:
                by_user.setdefault(user_ids[row.user_key], []).append(row)
        for rows in by_user.values():
            rows.sort(key=lambda row: row.time_ms)
        return by_user


def _stored_codes(events: Sequence[Interaction], types: EventTypes) -> list[int]:
    codes = types.codes
    return [
        codes[event.type] if event.value is None else types.stored_code(codes[event.type], event.value)
        for event in events
    ]
