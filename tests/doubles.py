"""Named doubles for unit tests: a store in memory that keeps every promise of `core.ports`, without any I/O.

The contract suite runs over it beside the real databases, so that what unit tests prove here holds there too.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import numpy as np
from drift_doubles import MemoryDriftReads, MemoryDriftWrites
from memory_data import Data, history_order, origin_of, user_hash
from numpy.typing import NDArray
from version_doubles import MemoryVersionReads, MemoryVersionWrites

from core.errors import StoreConflict
from core.history import EMPTY_WINDOW, History, IntArray
from core.items import Catalogue, Item
from core.popularity import add_log2
from core.ports import (
    DeadLetter,
    EventColumns,
    EventRow,
    FloatArray,
    StoredItem,
    StoreTotals,
    UserState,
    WriterOffset,
    WriterPosition,
)


class MemoryTransaction(MemoryVersionWrites):
    """`core.ports.Transaction` over a copy of the data."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.drift = MemoryDriftWrites(data)
        self.committed = False

    def open_sources(self, stream: str, partitions: Sequence[int]) -> dict[int, WriterOffset]:
        sources = self.data.sources
        for partition in sorted(partitions):
            sources.setdefault((stream, partition), WriterOffset(len(sources) + 1, None, None))
        return {partition: sources[stream, partition] for partition in partitions}

    def save_sources(self, states: Sequence[WriterOffset]) -> None:
        names = {stored.key: name for name, stored in self.data.sources.items()}
        self.data.sources |= {names[state.key]: state for state in states}

    def lock_users(
        self, user_ids: Sequence[str], *, unless_erased: Mapping[str, int] | None = None
    ) -> dict[str, UserState]:
        for user_id in sorted(set(user_ids)):
            erased_ms, seq = self.data.erased.get(user_hash(user_id), (None, 0))
            gone = erased_ms is not None and (unless_erased or {}).get(user_id, erased_ms + 1) <= erased_ms
            if user_id not in self.data.users and not gone:
                self.data.users[user_id] = UserState(self.data.next_key(), seq, erased_ms=erased_ms)
        return {user_id: self.data.users[user_id] for user_id in user_ids if user_id in self.data.users}

    def resolve_items(self, item_ids: Sequence[str], *, now_ms: int | None = None) -> dict[str, int]:
        for item_id in sorted(set(item_ids)):
            if item_id not in self.data.items:
                self.data.items[item_id] = StoredItem(self.data.next_key(), Item(item_id), False, 0, 0)
                self.data.drift.created_ms[self.data.last_key] = now_ms
        return {item_id: self.data.items[item_id].key for item_id in item_ids}

    def known_events(self, event_keys: Sequence[bytes]) -> set[bytes]:
        return {key for key in event_keys if key in self.data.events}

    def insert_events(self, rows: Sequence[EventRow]) -> None:
        for row in rows:
            if row.event_key in self.data.events:
                msg = "an event of this transaction is stored already; run the transaction again"
                raise StoreConflict(msg)
            self.data.events[row.event_key] = row

    def newest_events(self, limits: Mapping[int, int], *, type_codes: Sequence[int]) -> dict[int, History]:
        return {key: self._newest(key, type_codes, limit) for key, limit in limits.items()}

    def _newest(self, user_key: int, type_codes: Sequence[int], limit: int) -> History:
        rows = [row for row in self.data.events.values() if row.user_key == user_key and row.type_code in type_codes]
        newest = sorted(rows, key=history_order)[max(0, len(rows) - limit) :]
        return History(
            np.array([row.item_key for row in newest], np.int64), np.array([row.time_ms for row in newest], np.int64)
        )

    def save_users(self, states: Sequence[UserState]) -> None:
        for state in states:
            user_id = self.data.user_id(state.key)
            kept = self.data.users[user_id]
            self.data.users[user_id] = replace(kept, seq=state.seq, window=state.window)

    def add_popularity(self, source_key: int, scores: Mapping[int, float]) -> None:
        known = {item_key: score for (source, item_key), score in self.data.scores.items() if source == source_key}
        self.data.scores |= {(source_key, item_key): score for item_key, score in add_log2(known, scores).items()}

    def add_counts(self, source_key: int, counts: Mapping[tuple[int, int], int]) -> None:
        for (bucket_ms, type_code), num in counts.items():
            name = (bucket_ms, source_key, type_code)
            self.data.counts[name] = self.data.counts.get(name, 0) + num

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            if origin_of(letter) not in map(origin_of, self.data.letters):
                self.data.letters.append(replace(letter, key=self.data.next_key()))

    def drop_dead_letters(self, keys: Sequence[int]) -> int:
        kept = [letter for letter in self.data.letters if letter.key not in set(keys)]
        dropped = len(self.data.letters) - len(kept)
        self.data.letters = kept
        return dropped

    def update_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        new = {letter.key: letter for letter in letters}
        self.data.letters = [
            replace(old, reason=new[old.key].reason, num_retries=new[old.key].num_retries) if old.key in new else old
            for old in self.data.letters
        ]

    def save_vectors(self, states: Sequence[UserState], found: FloatArray, *, version: str, binding: str) -> None:
        for state, vector in zip(states, found, strict=True):
            known = self.data.vectors.get((state.key, version))
            if known is None or known[1] <= state.seq:
                self.data.vectors[state.key, version] = (binding, state.seq, vector.copy())

    def save_items(self, items: Sequence[Item], *, now_ms: int) -> int:
        if items:
            self.data.revision += 1
        codes = self.drift.name_topics([item.categories[0] for item in items if item.categories])
        for item in items:
            known = self.data.items.get(item.item_id)
            key = known.key if known else self.data.next_key()
            self.data.items[item.item_id] = StoredItem(key, item, True, self.data.revision, now_ms)
            self.data.drift.created_ms.setdefault(key, now_ms)
            self.data.drift.topic_of[key] = codes[item.categories[0]] if item.categories else 0
        return self.data.revision

    def touch_items(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        known = [self.data.items[item_id] for item_id in set(item_ids) if item_id in self.data.items]
        if known:
            self.data.revision += 1
        for stored in known:
            touched = replace(stored, revision=self.data.revision, updated_ms=now_ms)
            self.data.items[stored.item.item_id] = touched
        return self.data.revision

    def remove_items(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        found = [self.data.items[item_id] for item_id in set(item_ids) if item_id in self.data.items]
        listed = [stored for stored in found if stored.in_catalogue]
        if listed:
            self.data.revision += 1
        for stored in listed:
            item = replace(stored.item, hidden=True)
            gone = StoredItem(stored.key, item, False, self.data.revision, now_ms)
            self.data.items[item.item_id] = gone
        return len(listed)

    def erase_user(self, user_id: str, *, now_ms: int) -> bool:
        names = {user_id, json.dumps(user_id)[1:-1]}
        pattern = re.compile(b"|".join(rb"(?<!\w)" + re.escape(name.encode()) + rb"(?!\w)" for name in names))
        kept = [letter for letter in self.data.letters if not pattern.search(letter.payload)]
        had_letters = len(kept) < len(self.data.letters)
        self.data.letters = kept
        state = self.data.users.pop(user_id, None)
        if state is None:
            return had_letters
        own = [row.time_ms for row in self.data.events.values() if row.user_key == state.key]
        mark_ms = max(now_ms, state.erased_ms or 0, *own)
        self.data.events = {key: row for key, row in self.data.events.items() if row.user_key != state.key}
        self.data.vectors = {key: kept for key, kept in self.data.vectors.items() if key[0] != state.key}
        samples = self.data.drift.samples
        self.data.drift.samples = {key: kept for key, kept in samples.items() if kept.user_key != state.key}
        self.data.erased[user_hash(user_id)] = (mark_ms, state.seq)
        return True

    def clear_derived(self) -> None:
        self.data.users = {user_id: replace(s, window=EMPTY_WINDOW) for user_id, s in self.data.users.items()}
        self.data.vectors = {}
        self.data.scores = {}
        self.data.counts = {}
        self.data.drift.counts = {}

    def set_meta(self, values: Mapping[str, str]) -> None:
        self.data.meta |= values

    def commit(self) -> None:
        self.committed = True


class MemoryView(MemoryVersionReads):
    """`core.ports.ReadTransaction` over data that nobody changes any more."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.drift = MemoryDriftReads(data.drift)

    def user(self, user_id: str) -> UserState | None:
        return self.data.users.get(user_id)

    def users(self, keys: Sequence[int]) -> list[UserState]:
        return sorted((s for s in self.data.users.values() if s.key in set(keys)), key=lambda state: state.key)

    def list_users(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[tuple[str, UserState]]:
        ids = sorted(one for one in self.data.users if one.startswith(prefix) and one.encode() > after.encode())
        return [(user_id, self.data.users[user_id]) for user_id in ids[:limit]]

    def history_page(self, user_key: int, *, before: tuple[int, int], limit: int = 100) -> list[EventRow]:
        rows = [row for row in self.data.events.values() if row.user_key == user_key]
        return sorted((row for row in rows if history_order(row)[1:] < before), key=history_order)[::-1][:limit]

    def item_keys_of(self, user_key: int, *, type_codes: Sequence[int]) -> IntArray:
        rows = self.data.events.values()
        keys = {row.item_key for row in rows if row.user_key == user_key and row.type_code in type_codes}
        return np.array(sorted(keys), np.int64)

    def events_by_key(self, event_keys: Sequence[bytes]) -> dict[bytes, EventRow]:
        return {key: self.data.events[key] for key in event_keys if key in self.data.events}

    def events_of(
        self, user_key: int, *, type_codes: Sequence[int], limit: int, before: tuple[int, int] | None = None
    ) -> list[EventRow]:
        rows = [row for row in self.data.events.values() if row.user_key == user_key and row.type_code in type_codes]
        rows = [row for row in rows if before is None or (row.time_ms, row.user_seq) < before]
        return sorted(rows, key=history_order)[max(0, len(rows) - limit) :]

    def event_seqs(self, event_keys: Sequence[bytes]) -> dict[bytes, int]:
        return {key: self.data.events[key].user_seq for key in event_keys if key in self.data.events}

    def erased(self, user_ids: Sequence[str]) -> dict[str, int]:
        found = {user_id: self.data.erased.get(user_hash(user_id)) for user_id in user_ids}
        return {user_id: mark[0] for user_id, mark in found.items() if mark}

    def vector(self, state: UserState, *, version: str, binding: str) -> FloatArray | None:
        known = self.data.vectors.get((state.key, version))
        return known[2] if known is not None and known[:2] == (binding, state.seq) else None

    def items(self, keys: Sequence[int]) -> dict[int, StoredItem]:
        wanted = set(keys)
        return {stored.key: stored for stored in self.data.items.values() if stored.key in wanted}

    def items_by_id(self, item_ids: Sequence[str]) -> dict[str, StoredItem]:
        return {item_id: self.data.items[item_id] for item_id in item_ids if item_id in self.data.items}

    def list_items(self, *, after: str = "", limit: int = 100) -> list[StoredItem]:
        ids = sorted(i for i, stored in self.data.items.items() if stored.in_catalogue and i.encode() > after.encode())
        return [self.data.items[item_id] for item_id in ids[:limit]]

    def catalogue(self, *, stubs: bool = False) -> Catalogue:
        stored = sorted(self.data.items.values(), key=lambda each: each.key)
        return Catalogue(
            np.array([each.key for each in stored], np.int64),
            tuple(each.item.item_id for each in stored),
            tuple(f"{each.item.title}\n{each.item.text}".strip() for each in stored),
            tuple(each.item.categories for each in stored),
            np.array([each.listed(stubs=stubs) for each in stored], np.bool_),
            self.data.revision,
            np.array([self.data.drift.created_ms.get(each.key) or 0 for each in stored], np.int64),
            tuple(each.item.attributes for each in stored),
        )

    def revision(self) -> int:
        return self.data.revision

    def newest_item_key(self) -> int:
        return max((stored.key for stored in self.data.items.values()), default=0)

    def popularity(self) -> tuple[IntArray, NDArray[np.float64]]:
        totals: dict[int, float] = {}
        for (_, item_key), score in self.data.scores.items():
            totals[item_key] = float(np.logaddexp2(totals.get(item_key, -np.inf), score))
        keys = sorted(totals)
        return np.array(keys, np.int64), np.array([totals[key] for key in keys], np.float64)

    def newest_event_ms(self) -> int | None:
        return max((s.newest_ms for s in self.data.sources.values() if s.newest_ms is not None), default=None)

    def events(
        self, *, type_codes: Sequence[int], before_ms: int | None = None, since_ms: int | None = None
    ) -> EventColumns:
        rows = [
            (row.user_key, row.item_key, row.time_ms)
            for row in sorted(self.data.events.values(), key=history_order)
            if row.type_code in type_codes
            and (before_ms is None or row.time_ms < before_ms)
            and (since_ms is None or row.time_ms >= since_ms)
        ]
        users, items, times_ms = np.array(rows, np.int64).reshape(-1, 3).T
        return EventColumns(users, items, times_ms)

    def num_events(self, *, type_codes: Sequence[int], since_ms: int) -> int:
        counts = self.data.counts.items()
        return sum(num for (bucket, _, code), num in counts if bucket >= since_ms and code in type_codes)

    def iter_events(self, *, chunk: int = 50_000) -> Iterator[list[EventRow]]:
        rows = sorted(self.data.events.values(), key=history_order)
        for start in range(0, len(rows), chunk):
            yield rows[start : start + chunk]

    def applied_offsets(self, stream: str) -> dict[int, int]:
        found = {part: s.applied_offset for (name, part), s in self.data.sources.items() if name == stream}
        return {partition: offset for partition, offset in found.items() if offset is not None}

    def writers(self) -> list[WriterPosition]:
        found = sorted(self.data.sources.items())
        return [WriterPosition(*name, source.applied_offset, source.newest_ms) for name, source in found]

    def num_counted(self, *, since_ms: int) -> int:
        return sum(num for (bucket_ms, _, _), num in self.data.counts.items() if bucket_ms >= since_ms)

    def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        return self.data.letters[::-1][:limit]

    def oldest_dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        return [letter for letter in self.data.letters if (letter.key or 0) > after][:limit]

    def num_dead_letters(self) -> int:
        return len(self.data.letters)

    def totals(self) -> StoreTotals:
        stored = self.data.items.values()
        listed = sum(each.listed(stubs=False) for each in stored)
        return StoreTotals(len(self.data.users), len(stored), listed, len(self.data.events), len(self.data.letters))

    def meta(self) -> dict[str, str]:
        return dict(self.data.meta)


class MemoryStore:
    """`core.ports.Store` in memory: one writer at a time, readers on immutable snapshots."""

    def __init__(self) -> None:
        self._data = Data()
        self._writer = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        with self._writer:
            transaction = MemoryTransaction(self._data.copy())
            yield transaction
            if transaction.committed:
                self._data = transaction.data

    @contextmanager
    def read(self) -> Iterator[MemoryView]:
        yield MemoryView(self._data)

    def glance(self) -> AbstractContextManager[MemoryView]:
        return self.read()

    def close(self) -> None:
        """Nothing to give back."""
