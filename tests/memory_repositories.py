"""The repositories of `doubles.MemoryStore`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from drift_doubles import MemoryDrift
from memory_data import Data, history_order, origin_of, user_hash
from numpy.typing import NDArray

from core.arrays import FloatArray, IntArray
from core.clock import WallClock
from core.errors import LeaseLost, StoreConflict
from core.history import EMPTY_WINDOW, History
from core.items import Catalogue, Item
from core.popularity import add_log2
from core.ports.offsets import INTERNAL_STREAMS
from core.records import (
    DeadLetter,
    EventColumns,
    EventRow,
    LeaseRecord,
    ModelRecord,
    Promotion,
    StoredItem,
    UserState,
    WriterOffset,
    WriterPosition,
)
from core.transitions.transition import Transition, TransitionChanges


class MemoryRepository:
    """Base class: the repositories of a transaction share its data."""

    def __init__(self, data: Data) -> None:
        self.data = data


class MemoryUsers(MemoryRepository):
    """`core.ports.users.UserRepository`."""

    def find(self, user_id: str) -> UserState | None:
        return self.data.users.get(user_id)

    def by_key(self, keys: Sequence[int]) -> list[UserState]:
        return sorted((s for s in self.data.users.values() if s.key in set(keys)), key=lambda state: state.key)

    def page(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[tuple[str, UserState]]:
        ids = sorted(
            user_id for user_id in self.data.users if user_id.startswith(prefix) and user_id.encode() > after.encode()
        )
        return [(user_id, self.data.users[user_id]) for user_id in ids[:limit]]

    def erasure_times(self, user_ids: Sequence[str]) -> dict[str, int]:
        marks = {user_id: self.data.erased.get(user_hash(user_id)) for user_id in user_ids}
        return {user_id: mark[0] for user_id, mark in marks.items() if mark}

    def lock(self, user_ids: Sequence[str], *, unless_erased: Mapping[str, int] | None = None) -> dict[str, UserState]:
        for user_id in sorted(set(user_ids)):
            erased_ms, seq = self.data.erased.get(user_hash(user_id), (None, 0))
            gone = erased_ms is not None and (unless_erased or {}).get(user_id, erased_ms + 1) <= erased_ms
            if user_id not in self.data.users and not gone:
                self.data.users[user_id] = UserState(self.data.next_key(), seq, erased_ms=erased_ms)
        return {user_id: self.data.users[user_id] for user_id in user_ids if user_id in self.data.users}

    def lock_known(self, user_ids: Sequence[str]) -> dict[str, UserState]:
        return {user_id: self.data.users[user_id] for user_id in user_ids if user_id in self.data.users}

    def save(self, states: Sequence[UserState]) -> None:
        for state in states:
            user_id = self.data.user_id(state.key)
            kept = self.data.users[user_id]
            self.data.users[user_id] = replace(kept, seq=state.seq, window=state.window)

    def erase(self, user_id: str, *, now_ms: int) -> bool:
        names = {user_id, json.dumps(user_id)[1:-1]}
        pattern = re.compile(b"|".join(rb"(?<!\w)" + re.escape(name.encode()) + rb"(?!\w)" for name in names))
        kept = [dead_letter for dead_letter in self.data.dead_letters if not pattern.search(dead_letter.payload)]
        had_dead_letters = len(kept) < len(self.data.dead_letters)
        self.data.dead_letters = kept
        state = self.data.users.pop(user_id, None)
        if state is None:
            return had_dead_letters
        own = [row.time_ms for row in self.data.events.values() if row.user_key == state.key]
        mark_ms = max(now_ms, state.erased_ms or 0, *own)
        self.data.events = {key: row for key, row in self.data.events.items() if row.user_key != state.key}
        self.data.vectors = {key: kept for key, kept in self.data.vectors.items() if key[0] != state.key}
        samples = self.data.drift.samples
        self.data.drift.samples = {key: kept for key, kept in samples.items() if kept.user_key != state.key}
        self.data.erased[user_hash(user_id)] = (mark_ms, state.seq)
        return True

    def clear_windows(self) -> None:
        self.data.users = {user_id: replace(s, window=EMPTY_WINDOW) for user_id, s in self.data.users.items()}


class MemoryTransitions(MemoryRepository):
    """`core.ports.transitions.TransitionRepository`; compaction has no effect here."""

    def add(self, writer_key: int, transitions: Sequence[Transition]) -> None:
        if transitions:
            self.data.transitions = [*self.data.transitions, (self.data.next_key(), writer_key, tuple(transitions))]

    def since(self, position: Mapping[int, int]) -> TransitionChanges:
        keys = {key for key, _, _ in self.data.transitions}
        restarted = not position or not keys.issuperset(position.values())
        read = {} if restarted else position
        rows = [row for key, writer, rows in self.data.transitions if key > read.get(writer, 0) for row in rows]
        reached = {**read, **{writer: key for key, writer, _ in self.data.transitions}}
        return TransitionChanges(np.array(rows, np.int64).reshape(-1, len(Transition._fields)), reached, restarted)

    def compact(self, writer_key: int) -> None:
        assert writer_key in {writer.key for writer in self.data.writers.values()}

    def clear(self) -> None:
        self.data.transitions = []


class MemoryItems(MemoryRepository):
    """`core.ports.items.ItemRepository`."""

    def by_key(self, keys: Sequence[int]) -> dict[int, StoredItem]:
        requested = set(keys)
        return {stored.key: stored for stored in self.data.items.values() if stored.key in requested}

    def by_id(self, item_ids: Sequence[str]) -> dict[str, StoredItem]:
        return {item_id: self.data.items[item_id] for item_id in item_ids if item_id in self.data.items}

    def page(self, *, after: str = "", limit: int = 100) -> list[StoredItem]:
        ids = sorted(i for i, stored in self.data.items.items() if stored.in_catalogue and i.encode() > after.encode())
        return [self.data.items[item_id] for item_id in ids[:limit]]

    def catalogue(self, *, include_uncatalogued: bool = False) -> Catalogue:
        rows = sorted(self.data.items.values(), key=lambda stored: stored.key)
        return Catalogue(
            np.array([stored.key for stored in rows], np.int64),
            tuple(stored.item.item_id for stored in rows),
            tuple(f"{stored.item.title}\n{stored.item.text}".strip() for stored in rows),
            tuple(stored.item.categories for stored in rows),
            np.array([stored.listed(include_uncatalogued=include_uncatalogued) for stored in rows], np.bool_),
            self.data.revision,
            np.array([self.data.drift.created_ms.get(stored.key) or 0 for stored in rows], np.int64),
            tuple(stored.item.attributes for stored in rows),
        )

    def revision(self) -> int:
        return self.data.revision

    def newest_key(self) -> int:
        return max((stored.key for stored in self.data.items.values()), default=0)

    def resolve(self, item_ids: Sequence[str], *, now_ms: int | None = None) -> dict[str, int]:
        for item_id in sorted(set(item_ids)):
            if item_id not in self.data.items:
                self.data.items[item_id] = StoredItem(self.data.next_key(), Item(item_id), False, 0, 0)
                self.data.drift.created_ms[self.data.last_key] = now_ms
        return {item_id: self.data.items[item_id].key for item_id in item_ids}

    def save(self, items: Sequence[Item], *, now_ms: int) -> int:
        if items:
            self.data.revision += 1
        codes = MemoryDrift(self.data).name_topics([item.categories[0] for item in items if item.categories])
        for item in items:
            known = self.data.items.get(item.item_id)
            key = known.key if known else self.data.next_key()
            self.data.items[item.item_id] = StoredItem(key, item, True, self.data.revision, now_ms)
            self.data.drift.created_ms.setdefault(key, now_ms)
            self.data.drift.topic_of[key] = codes[item.categories[0]] if item.categories else 0
        return self.data.revision

    def touch(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        known = [self.data.items[item_id] for item_id in set(item_ids) if item_id in self.data.items]
        if known:
            self.data.revision += 1
        for stored in known:
            touched = replace(stored, revision=self.data.revision, updated_ms=now_ms)
            self.data.items[stored.item.item_id] = touched
        return self.data.revision

    def remove(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        known = [self.data.items[item_id] for item_id in set(item_ids) if item_id in self.data.items]
        listed = [stored for stored in known if stored.in_catalogue]
        if listed:
            self.data.revision += 1
        for stored in listed:
            item = replace(stored.item, hidden=True)
            gone = StoredItem(stored.key, item, False, self.data.revision, now_ms)
            self.data.items[item.item_id] = gone
        return len(listed)


class MemoryEvents(MemoryRepository):
    """`core.ports.events.EventRepository`."""

    def known(self, event_keys: Sequence[bytes]) -> set[bytes]:
        return {key for key in event_keys if key in self.data.events}

    def by_key(self, event_keys: Sequence[bytes]) -> dict[bytes, EventRow]:
        return {key: self.data.events[key] for key in event_keys if key in self.data.events}

    def sequences(self, event_keys: Sequence[bytes]) -> dict[bytes, int]:
        return {key: self.data.events[key].user_seq for key in event_keys if key in self.data.events}

    def histories(self, limits: Mapping[int, int], *, type_codes: Sequence[int]) -> dict[int, History]:
        return {key: self._newest(key, type_codes, limit) for key, limit in limits.items()}

    def _newest(self, user_key: int, type_codes: Sequence[int], limit: int) -> History:
        rows = [row for row in self.data.events.values() if row.user_key == user_key and row.type_code in type_codes]
        newest = sorted(rows, key=history_order)[max(0, len(rows) - limit) :]
        return History(
            np.array([row.item_key for row in newest], np.int64), np.array([row.time_ms for row in newest], np.int64)
        )

    def recent(
        self, user_key: int, *, type_codes: Sequence[int], limit: int, before: tuple[int, int] | None = None
    ) -> list[EventRow]:
        rows = [row for row in self.data.events.values() if row.user_key == user_key and row.type_code in type_codes]
        rows = [row for row in rows if before is None or (row.time_ms, row.user_seq) < before]
        return sorted(rows, key=history_order)[max(0, len(rows) - limit) :]

    def history_page(self, user_key: int, *, before: tuple[int, int], limit: int = 100) -> list[EventRow]:
        rows = [row for row in self.data.events.values() if row.user_key == user_key]
        return sorted((row for row in rows if history_order(row)[1:] < before), key=history_order)[::-1][:limit]

    def item_keys(self, user_key: int, *, type_codes: Sequence[int]) -> IntArray:
        rows = self.data.events.values()
        keys = {row.item_key for row in rows if row.user_key == user_key and row.type_code in type_codes}
        return np.array(sorted(keys), np.int64)

    def columns(
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

    def pages(self, *, chunk: int = 50_000) -> Iterator[list[EventRow]]:
        rows = sorted(self.data.events.values(), key=history_order)
        for start in range(0, len(rows), chunk):
            yield rows[start : start + chunk]

    def insert(self, rows: Sequence[EventRow]) -> None:
        for row in rows:
            if row.event_key in self.data.events:
                msg = "an event of this transaction is stored already; run the transaction again"
                raise StoreConflict(msg)
            self.data.events[row.event_key] = row


class MemoryOffsets(MemoryRepository):
    """`core.ports.offsets.OffsetRepository`."""

    def applied(self, stream: str) -> dict[int, int]:
        offsets = {part: s.applied_offset for (name, part), s in self.data.writers.items() if name == stream}
        return {partition: offset for partition, offset in offsets.items() if offset is not None}

    def positions(self) -> list[WriterPosition]:
        writers = sorted(self.data.writers.items())
        return [
            WriterPosition(*name, writer.applied_offset, writer.newest_ms)
            for name, writer in writers
            if name[0] not in INTERNAL_STREAMS
        ]

    def newest_event_ms(self) -> int | None:
        return max((s.newest_ms for s in self.data.writers.values() if s.newest_ms is not None), default=None)

    def lock(self, stream: str, partitions: Sequence[int]) -> dict[int, WriterOffset]:
        writers = self.data.writers
        for partition in sorted(partitions):
            writers.setdefault((stream, partition), WriterOffset(len(writers) + 1, None, None))
        return {partition: writers[stream, partition] for partition in partitions}

    def save(self, offsets: Sequence[WriterOffset]) -> None:
        names = {stored.key: name for name, stored in self.data.writers.items()}
        self.data.writers |= {names[offset.key]: offset for offset in offsets}


class MemoryPopularity(MemoryRepository):
    """`core.ports.popularity.PopularityRepository`."""

    def scores(self) -> tuple[IntArray, NDArray[np.float64]]:
        totals: dict[int, float] = {}
        for (_, item_key), score in self.data.scores.items():
            totals[item_key] = float(np.logaddexp2(totals.get(item_key, -np.inf), score))
        keys = sorted(totals)
        return np.array(keys, np.int64), np.array([totals[key] for key in keys], np.float64)

    def add(self, writer_key: int, scores: Mapping[int, float]) -> None:
        known = {item_key: score for (writer, item_key), score in self.data.scores.items() if writer == writer_key}
        self.data.scores |= {(writer_key, item_key): score for item_key, score in add_log2(known, scores).items()}

    def clear(self) -> None:
        self.data.scores = {}


class MemoryEventCounts(MemoryRepository):
    """`core.ports.popularity.EventCountRepository`."""

    def total(self, *, since_ms: int, type_codes: Sequence[int] | None = None) -> int:
        counts = self.data.counts.items()
        kept = (
            num for (bucket, _, code), num in counts if type_codes is None or code in type_codes if bucket >= since_ms
        )
        return sum(kept)

    def add(self, writer_key: int, counts: Mapping[tuple[int, int], int]) -> None:
        for (bucket_ms, type_code), num in counts.items():
            name = (bucket_ms, writer_key, type_code)
            self.data.counts[name] = self.data.counts.get(name, 0) + num

    def clear(self) -> None:
        self.data.counts = {}


class MemoryDeadLetters(MemoryRepository):
    """`core.ports.dead_letters.DeadLetterRepository`."""

    def newest(self, *, limit: int = 100) -> list[DeadLetter]:
        return self.data.dead_letters[::-1][:limit]

    def page(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        return [dead_letter for dead_letter in self.data.dead_letters if (dead_letter.key or 0) > after][:limit]

    def count(self) -> int:
        return len(self.data.dead_letters)

    def add(self, dead_letters: Sequence[DeadLetter]) -> None:
        for dead_letter in dead_letters:
            if origin_of(dead_letter) not in map(origin_of, self.data.dead_letters):
                self.data.dead_letters.append(replace(dead_letter, key=self.data.next_key()))

    def delete(self, keys: Sequence[int]) -> int:
        kept = [dead_letter for dead_letter in self.data.dead_letters if dead_letter.key not in set(keys)]
        dropped = len(self.data.dead_letters) - len(kept)
        self.data.dead_letters = kept
        return dropped

    def update(self, dead_letters: Sequence[DeadLetter]) -> None:
        new = {dead_letter.key: dead_letter for dead_letter in dead_letters}
        self.data.dead_letters = [
            replace(old, reason=new[old.key].reason, num_retries=new[old.key].num_retries) if old.key in new else old
            for old in self.data.dead_letters
        ]


class MemoryVectors(MemoryRepository):
    """`core.ports.vectors.VectorRepository`."""

    def find(self, state: UserState, *, version: str, binding: str) -> FloatArray | None:
        known = self.data.vectors.get((state.key, version))
        return known[2] if known is not None and known[:2] == (binding, state.seq) else None

    def save(self, states: Sequence[UserState], vectors: FloatArray, *, version: str, binding: str) -> None:
        for state, vector in zip(states, vectors, strict=True):
            known = self.data.vectors.get((state.key, version))
            if known is None or known[1] <= state.seq:
                self.data.vectors[state.key, version] = (binding, state.seq, vector.copy())

    def delete(self, version: str) -> None:
        self.data.vectors = {key: kept for key, kept in self.data.vectors.items() if key[1] != version}

    def clear(self) -> None:
        self.data.vectors = {}


class MemoryModels(MemoryRepository):
    """`core.ports.models.ModelRepository`."""

    def all(self) -> list[ModelRecord]:
        return sorted(self.data.models.values(), key=lambda model: (model.created_ms, model.version), reverse=True)

    def champion(self) -> ModelRecord | None:
        return next((model for model in self.all() if model.status == "champion"), None)

    def promotions(self) -> list[Promotion]:
        return self.data.promotions[::-1]

    def lock(self) -> list[ModelRecord]:
        return self.all()

    def save(self, record: ModelRecord) -> None:
        if record.status == "champion":
            champions = [old for old in self.data.models.values() if old.status == "champion"]
            self.data.models |= {old.version: replace(old, status="retired") for old in champions}
        self.data.models[record.version] = record

    def add_promotion(self, promotion: Promotion) -> None:
        self.data.promotions.append(promotion)


class MemoryLeases(MemoryRepository):
    """`core.ports.leases.LeaseRepository`."""

    def find(self, role: str) -> LeaseRecord | None:
        known = self.data.leases.get(role)
        return known if known is not None and known.holder else None

    def guard(self, lease: LeaseRecord) -> None:
        if not self._holds(lease):
            msg = f"the role {lease.role!r} was taken over from {lease.holder}"
            raise LeaseLost(msg)

    def take(self, role: str, *, holder: str, ttl_ms: int) -> LeaseRecord | None:
        now_ms = WallClock().now_ms()
        known = self.data.leases.get(role, LeaseRecord(role, "", 0, 0))
        if known.expires_ms > now_ms and known.holder != holder:
            return None
        self.data.leases[role] = LeaseRecord(role, holder, known.token + 1, now_ms + ttl_ms)
        return self.data.leases[role]

    def renew(self, lease: LeaseRecord, *, ttl_ms: int) -> bool:
        if self._holds(lease):
            known = self.data.leases[lease.role]
            self.data.leases[lease.role] = replace(known, expires_ms=WallClock().now_ms() + ttl_ms)
        return self._holds(lease)

    def release(self, lease: LeaseRecord) -> None:
        if self._holds(lease):
            self.data.leases[lease.role] = replace(lease, holder="", expires_ms=0)

    def _holds(self, lease: LeaseRecord) -> bool:
        known = self.data.leases.get(lease.role)
        return known is not None and known.token == lease.token


class MemoryMetadata(MemoryRepository):
    """`core.ports.metadata.MetadataRepository`."""

    def all(self) -> dict[str, str]:
        return dict(self.data.meta)

    def save(self, values: Mapping[str, str]) -> None:
        self.data.meta |= values
