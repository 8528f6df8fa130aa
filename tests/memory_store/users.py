"""Users of a store in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from core.events.history import EMPTY_WINDOW
from core.records.stored import KnownId, ListedUser, UserShift, UserSnapshot, UserState, UserVersion
from memory_store.data import MemoryRepository, user_hash
from memory_store.events import MemoryEvents


class MemoryUsers(MemoryRepository):
    """`core.ports.users.UserRepository`."""

    def find(self, user_id: str) -> UserState | None:
        return self.data.users.get(self._owner(user_id))

    def _owner(self, user_id: str) -> str:
        return self.data.merged[user_id][0] if user_id in self.data.merged else user_id

    def snapshot(
        self, user_id: str, *, type_codes: Sequence[int], known: UserSnapshot | None = None
    ) -> tuple[int, UserSnapshot | None]:
        state = self.find(user_id)
        if state is None:
            return self.data.revision, None
        if known is not None and (known.state.key, known.state.seq) == (state.key, state.seq):
            return self.data.revision, known
        item_types = MemoryEvents(self.data).item_types(state.key, type_codes=type_codes)
        return self.data.revision, UserSnapshot(state, item_types)

    def version(self, user_id: str) -> tuple[int, UserVersion | None]:
        state = self.find(user_id)
        return self.data.revision, None if state is None else state.version

    def by_key(self, keys: Sequence[int]) -> list[UserState]:
        states = [*self.data.users.values(), *(own for _, own in self.data.merged.values())]
        return sorted((s for s in states if s.key in set(keys)), key=lambda state: state.key)

    def page(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[tuple[str, UserState]]:
        ids = sorted(
            user_id for user_id in self.data.users if user_id.startswith(prefix) and user_id.encode() > after.encode()
        )
        return [(user_id, self.data.users[user_id]) for user_id in ids[:limit]]

    def by_id(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[ListedUser]:
        return [self._listed(user_id, state) for user_id, state in self.page(prefix=prefix, after=after, limit=limit)]

    def by_activity(self, *, before: tuple[int, int] = (2**62, 0), limit: int = 100) -> list[ListedUser]:
        return self._newest(lambda user: user.newest_ms, before, limit)

    def by_shift(self, *, before: tuple[int, int] = (2**62, 0), limit: int = 100) -> list[ListedUser]:
        return self._newest(lambda user: user.shift_ms, before, limit)

    def _listed(self, user_id: str, state: UserState) -> ListedUser:
        shift = self.data.shifts.get(state.key, UserShift(state.key, None, None))
        return ListedUser(state.key, user_id, state.seq, state.window.last_time_ms, *shift[1:])

    def _newest(
        self, time_of: Callable[[ListedUser], int | None], before: tuple[int, int], limit: int
    ) -> list[ListedUser]:
        users = [self._listed(user_id, state) for user_id, state in self.data.users.items()]
        dated = [((time_ms, user.key), user) for user in users if (time_ms := time_of(user)) is not None]
        return [user for place, user in sorted(dated, reverse=True) if place < before][:limit]

    def save_shifts(self, shifts: Sequence[UserShift]) -> None:
        self.data.shifts |= {shift.user_key: shift for shift in shifts}

    def erasure_times(self, user_ids: Sequence[str]) -> dict[str, int]:
        marks = {user_id: self.data.erased.get(user_hash(user_id)) for user_id in user_ids}
        return {user_id: mark[0] for user_id, mark in marks.items() if mark}

    def lock(self, user_ids: Sequence[str], *, unless_erased: Mapping[str, int] | None = None) -> dict[str, UserState]:
        missing = [user_id for user_id in sorted(set(user_ids)) if self.find(user_id) is None]
        self.insert(self.new_states(missing, unless_erased=unless_erased))
        return self.lock_known(user_ids)

    def new_states(
        self, user_ids: Sequence[str], *, unless_erased: Mapping[str, int] | None = None
    ) -> dict[str, UserState]:
        states = {}
        for user_id in user_ids:
            erased_ms, seq = self.data.erased.get(user_hash(user_id), (None, 0))
            if erased_ms is None or (unless_erased or {}).get(user_id, erased_ms + 1) > erased_ms:
                states[user_id] = UserState(self.data.next_key(), seq, erased_ms=erased_ms)
        return states

    def insert(self, states: Mapping[str, UserState]) -> None:
        self.data.users |= states

    def lock_known(self, user_ids: Sequence[str]) -> dict[str, UserState]:
        states = {user_id: state for user_id in user_ids if (state := self.find(user_id))}
        own = {user_id: self.data.merged[user_id][1] for user_id in states if user_id in self.data.merged}
        return states | {i: replace(states[i], erased_ms=merged.erased_ms) for i, merged in own.items()}

    def ids_of(self, key: int) -> list[str]:
        owner = self.data.user_id(key)
        return [owner, *sorted(user_id for user_id, (name, _) in self.data.merged.items() if name == owner)]

    def lock_ids(self, user_ids: Sequence[str]) -> dict[str, KnownId]:
        own_ids = {user_id: merged[0] for user_id, merged in self.data.merged.items()}
        known = self.lock_known(user_ids)
        return {i: KnownId(state.key, own_ids.get(i, i), state.erased_ms) for i, state in known.items()}

    def merge(self, source: UserState, target: UserState) -> None:
        names = (self.data.user_id(source.key), self.data.user_id(target.key))
        for table in (self.data.events, self.data.undone):
            for key, row in table.items():
                if row.user_key == source.key:
                    table[key] = row._replace(user_key=target.key, user_seq=row.user_seq + target.seq)
        self.data.vectors = {key: kept for key, kept in self.data.vectors.items() if key[0] != source.key}
        moved = {i: (names[1], own) for i, (owner, own) in self.data.merged.items() if owner == names[0]}
        self.data.merged |= moved | {names[0]: (names[1], self.data.users.pop(names[0]))}
        samples = self.data.drift.samples
        samples |= {k: kept._replace(user_key=target.key) for k, kept in samples.items() if kept.user_key == source.key}

    def lock_by_key(self, keys: Sequence[int]) -> list[UserState]:
        return self.by_key(keys)

    def save(self, states: Sequence[UserState]) -> None:
        for state in states:
            user_id = self.data.user_id(state.key)
            kept = self.data.users[user_id]
            self.data.users[user_id] = replace(kept, seq=state.seq, window=state.window)

    def erase(self, user_id: str, *, now_ms: int) -> bool:
        user_id = self._owner(user_id)
        merged = {name: own for name, (owner, own) in self.data.merged.items() if owner == user_id}
        marks_ms = [own.erased_ms or 0 for own in merged.values()]
        for name in merged:
            del self.data.merged[name]
            self._erase(name, now_ms)
        return self._erase(user_id, max([now_ms, *marks_ms]), tuple(merged))

    def _erase(self, user_id: str, now_ms: int, merged: tuple[str, ...] = ()) -> bool:
        names = {user_id, json.dumps(user_id)[1:-1]}
        pattern = re.compile(b"|".join(rb"(?<!\w)" + re.escape(name.encode()) + rb"(?!\w)" for name in names))
        kept = [dead_letter for dead_letter in self.data.dead_letters if not pattern.search(dead_letter.payload)]
        had_dead_letters = len(kept) < len(self.data.dead_letters)
        self.data.dead_letters = kept
        state = self.data.users.pop(user_id, None)
        if state is None:
            return had_dead_letters
        stored = [*self.data.events.values(), *self.data.undone.values()]
        own = [row.time_ms for row in stored if row.user_key == state.key]
        mark_ms = max(now_ms, state.erased_ms or 0, *own)
        self.data.events = {key: row for key, row in self.data.events.items() if row.user_key != state.key}
        self.data.undone = {key: row for key, row in self.data.undone.items() if row.user_key != state.key}
        self.data.vectors = {key: kept for key, kept in self.data.vectors.items() if key[0] != state.key}
        samples = self.data.drift.samples
        self.data.drift.samples = {key: kept for key, kept in samples.items() if kept.user_key != state.key}
        self.data.user_attributes.pop(state.key, None)
        self.data.erased |= {user_hash(name): (mark_ms, state.seq) for name in (user_id, *merged)}
        return True

    def clear_windows(self) -> None:
        self.data.users = {user_id: replace(s, window=EMPTY_WINDOW) for user_id, s in self.data.users.items()}
