"""Ingest: apply events to the users' states, each exactly once, in one transaction.

Every path that writes user state comes through here (HTTP, Kafka, files, dead-letter retries), so that the order of
locks is the same everywhere and nobody waits for each other in a circle:

    (a) the writer's applied offset: drop what is at or below it, compare-and-set it to the batch's last
    (b) the touched users, made where they are new, in ascending key
    (c) interactions, in ascending event key; known ones change nothing
    (d) windows
    (e) popularity and counts, each kept per writer
    commit; only then may the caller acknowledge

Knows nothing about HTTP, Kafka, files or SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from operator import attrgetter

import numpy as np

from core.drift.counting import Watch
from core.drift.records import BUCKET_MS
from core.errors import PartitionLost, StoreConflict, StoreUnavailable
from core.history import Window, WindowShape, append
from core.interactions import EventTypes, Interaction
from core.popularity import DEFAULT_HALF_LIFE_MS, add_log2, decayed_log2
from core.ports import DeadLetter, EventRow, SourceState, Store, Transaction, UserState

_event_key = attrgetter("event_key")
MAX_CONFLICTS = 8  # a conflict means that somebody else got through, so this many in a row is a fault


class Status(StrEnum):
    """What became of one event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # its event id is stored already
    ERASED = "erased"  # it belongs to the erased past of its user
    SKIPPED = "skipped"  # its offset was applied before


@dataclass(frozen=True, slots=True)
class StreamSource:
    """Messages of one partition. `offsets`: of each event; `last_offset`: of the last message, even one without any."""

    stream: str
    partition: int
    offsets: Sequence[int]
    first_offset: int
    last_offset: int


@dataclass(frozen=True, slots=True)
class RequestSource:
    """Events without offsets; `writer` names who applies them (a process, an import).

    `live`: they happen now, so that it makes sense to ask how the model of this moment would have placed them.
    """

    writer: str
    live: bool = True


Source = StreamSource | RequestSource


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of a batch. `statuses`, `user_seqs`: one per event, in the order given.

    `states`: the users who changed, as they stand after the commit.
    """

    statuses: list[Status]
    user_seqs: list[int]
    states: dict[str, UserState]

    @property
    def num_accepted(self) -> int:
        """How many events were new."""
        return self.statuses.count(Status.ACCEPTED)


def _nothing_more(_tx: Transaction) -> None:
    """Events alone."""


class Ingestor:
    """Applies batches to a store. One per process; used by one thread at a time."""

    def __init__(
        self,
        store: Store,
        *,
        types: EventTypes,
        shape: WindowShape,
        half_life_ms: float = DEFAULT_HALF_LIFE_MS,
        watch: Watch | None = None,
    ) -> None:
        """`watch`: counts and samples for drift monitoring."""
        self._store = store
        self._watch = watch
        self._types = types
        self._shape = shape
        self._half_life_ms = half_life_ms
        self._window_codes = types.flagged("window")
        self._last_read: dict[tuple[str, int], int | None] = {}

    def forget(self) -> None:
        """Drop what was remembered of partitions; the next batch of each starts from the database's offset."""
        self._last_read.clear()

    def applied_offset(self, stream: str, partition: int) -> int | None:
        """The database's offset of a partition, remembered as the value this worker last read."""
        with self._store.read() as view:
            offset = view.applied_offsets(stream).get(partition)
        self._last_read[stream, partition] = offset
        return offset

    def ingest(
        self,
        events: Sequence[Interaction],
        source: Source,
        *,
        dead_letters: Sequence[DeadLetter] = (),
        also: Callable[[Transaction], None] = _nothing_more,
    ) -> IngestResult:
        """Apply a batch and keep its bad part aside, in one transaction; `also` is done there too, last.

        Raises `PartitionLost` (acknowledge nothing), `StoreUnavailable` (nothing was applied as far as is known: try
        again, what did get through counts once).
        """
        for _ in range(MAX_CONFLICTS):
            try:
                return self._attempt(events, source, dead_letters, also)
            except StoreConflict:
                continue
            except (PartitionLost, StoreUnavailable):
                self.forget()
                raise
        msg = f"{MAX_CONFLICTS} conflicts in a row while applying {len(events)} events; send them again"
        raise StoreUnavailable(msg)

    def _attempt(
        self,
        events: Sequence[Interaction],
        source: Source,
        letters: Sequence[DeadLetter],
        also: Callable[[Transaction], None],
    ) -> IngestResult:
        with self._store.transaction() as tx:
            writer, applied = self._advance(tx, events, source)  # (a)
            batch = _Batch(tx, events, _statuses(len(events), source, applied))  # (b)
            if Status.ACCEPTED in batch.statuses:
                batch.number(tx, events, self._types.codes)
            if batch.rows:
                popularity = self._popularity(tx, writer, batch.rows)  # read first: a read waits for earlier writes
                tx.insert_events(sorted(batch.rows, key=_event_key))  # (c)
                batch.states.update(self._slide(tx, batch))
                tx.save_users(list(batch.states.values()))  # (d)
                self._count(tx, writer, batch.rows, popularity)  # (e)
                if self._watch is not None:
                    live = isinstance(source, StreamSource) or source.live
                    self._watch.note(tx, writer.key, batch.rows, batch.before, live=live)
            letters = [letter for letter in letters if applied is None or letter.offset > applied]
            if letters:
                tx.add_dead_letters(letters)
            also(tx)
            tx.commit()
        if isinstance(source, StreamSource):
            self._last_read[source.stream, source.partition] = _highest(applied, source.last_offset)
        return IngestResult(batch.statuses, batch.user_seqs, batch.states)

    def _advance(
        self, tx: Transaction, events: Sequence[Interaction], source: Source
    ) -> tuple[SourceState, int | None]:
        """(a) Move the writer's offset; returns the writer and the offset at which it stood before."""
        newest_ms = max((event.time_ms for event in events), default=None)
        if isinstance(source, RequestSource):
            writer = tx.open_source(source.writer, 0)
            tx.advance_source(writer, offset=None, newest_ms=newest_ms)
            return writer, None
        stored = tx.open_source(source.stream, source.partition)
        last_read = self._last_read.get((source.stream, source.partition), stored.applied_offset)
        writer = replace(stored, applied_offset=last_read)
        if not tx.advance_source(writer, offset=_highest(last_read, source.last_offset), newest_ms=newest_ms):
            raise _lost(source, last_read)
        return writer, last_read

    def _slide(self, tx: Transaction, batch: _Batch) -> dict[str, UserState]:
        """(d) The new windows of all users with windowed events: appended to, or rebuilt where an event came late."""
        slid: dict[str, UserState] = {}
        late: dict[int, str] = {}
        totals: dict[int, int] = {}
        for user_id, rows in batch.windowed(self._window_codes).items():
            state = batch.states[user_id]
            if state.window.accepts(rows[0].time_ms):
                slid[user_id] = _with_window(state, _appended(state.window, rows, self._shape))
            else:
                late[state.key] = user_id
                totals[state.key] = state.window.num_events + len(rows)
        if late:
            limits = {key: total - self._shape.start(total) for key, total in totals.items()}
            for key, history in tx.newest_events(limits, type_codes=self._window_codes).items():
                state = batch.states[late[key]]
                slid[late[key]] = _with_window(state, Window(totals[key], history))
        return slid

    def _popularity(self, tx: Transaction, writer: SourceState, rows: Sequence[EventRow]) -> dict[int, float]:
        """The writer's decayed log2 counts of the batch's items, the batch included."""
        weights = [kind.weight for kind in self._types.table]
        counted = [(row.item_key, row.time_ms, weights[row.type_code]) for row in rows if weights[row.type_code] > 0]
        if not counted:
            return {}
        keys, times, values = zip(*counted, strict=True)
        more = decayed_log2(keys, times, values, half_life_ms=self._half_life_ms)
        return add_log2(tx.popularity(writer.key, sorted(more)), more)

    def _count(
        self, tx: Transaction, writer: SourceState, rows: Sequence[EventRow], popularity: dict[int, float]
    ) -> None:
        """(e) What monitoring and popularity keep, per writer, so that no two writers wait for one row."""
        if popularity:
            tx.save_popularity(writer.key, popularity)
        tx.add_counts(writer.key, Counter((row.time_ms // BUCKET_MS * BUCKET_MS, row.type_code) for row in rows))


class _Batch:
    """The events of one batch resolved against the store: (b) users locked, items keyed, known events marked."""

    def __init__(self, tx: Transaction, events: Sequence[Interaction], statuses: list[Status]) -> None:
        self.statuses = statuses
        self.user_seqs = [0] * len(events)
        self.rows: list[EventRow] = []
        self.states: dict[str, UserState] = {}
        self._drop_erased(tx, events)
        alive = [event for event, status in zip(events, statuses, strict=True) if status is Status.ACCEPTED]
        if alive:
            self._locked = self._lock(tx, alive)
            self._items = tx.resolve_items(
                sorted({event.item_id for event in alive}), now_ms=min(event.time_ms for event in alive)
            )

    def _drop_erased(self, tx: Transaction, events: Sequence[Interaction]) -> None:
        """Before any lock, so that a redelivered event of an erased user leaves no trace of them."""
        erased = tx.erased(sorted({event.user_id for event in events}))
        if erased:
            for place, event in enumerate(events):
                if event.time_ms <= erased.get(event.user_id, -1):
                    self.statuses[place] = Status.ERASED

    def _lock(self, tx: Transaction, alive: Sequence[Interaction]) -> dict[str, UserState]:
        states = tx.lock_users(sorted({event.user_id for event in alive}))
        erased = {user_id: state.erased_ms for user_id, state in states.items() if state.erased_ms is not None}
        if erased and any(event.time_ms <= erased.get(event.user_id, -1) for event in alive):
            msg = "a user was erased while their events were being applied"
            raise StoreConflict(msg)
        return states

    @property
    def before(self) -> Collection[UserState]:
        """The users of the batch as they stood before it."""
        return self._locked.values()

    def number(self, tx: Transaction, events: Sequence[Interaction], codes: Mapping[str, int]) -> None:
        """Give each new event its sequence number, in the order of the source; mark the known ones."""
        keys = [
            event.event_key if status is Status.ACCEPTED else b""
            for event, status in zip(events, self.statuses, strict=True)
        ]
        known = tx.known_events([key for key in keys if key])
        seqs = {user_id: state.seq for user_id, state in self._locked.items()}
        for place, (event, key) in enumerate(zip(events, keys, strict=True)):
            if not key:
                continue
            user_id = event.user_id
            if key in known:
                self.statuses[place] = Status.DUPLICATE
            else:
                known.add(key)
                seqs[user_id] += 1
                user_key, item_key = self._locked[user_id].key, self._items[event.item_id]
                row = (key, user_key, item_key, codes[event.type], event.time_ms, seqs[user_id])
                self.rows.append(EventRow(*row, event.value, event.context, event.recommendation_id))
            self.user_seqs[place] = seqs[user_id]
        self.states = {
            user_id: UserState(state.key, seqs[user_id], state.window, state.erased_ms)
            for user_id, state in self._locked.items()
            if seqs[user_id] != state.seq
        }

    def windowed(self, codes: Sequence[int]) -> dict[str, list[EventRow]]:
        """For each user the new events that enter the window, by time; ties keep the order of the source."""
        names = {state.key: user_id for user_id, state in self.states.items()}
        found: dict[str, list[EventRow]] = {}
        for row in self.rows:
            if row.type_code in codes:
                found.setdefault(names[row.user_key], []).append(row)
        for rows in found.values():
            rows.sort(key=lambda row: row.time_ms)
        return found


def _highest(applied: int | None, offset: int) -> int:
    return offset if applied is None else max(applied, offset)


def _with_window(state: UserState, window: Window) -> UserState:
    """Spelled out, because `dataclasses.replace` takes five times as long and every batch does it for every user."""
    return UserState(state.key, state.seq, window, state.erased_ms)


def _appended(window: Window, rows: Sequence[EventRow], shape: WindowShape) -> Window:
    items = np.array([row.item_key for row in rows], np.int64)
    times_ms = np.array([row.time_ms for row in rows], np.int64)
    return append(window, items, times_ms, shape)


def _statuses(num_events: int, source: Source, applied: int | None) -> list[Status]:
    """Skipped for events at or below the applied offset, accepted until proven otherwise."""
    if isinstance(source, RequestSource) or applied is None:
        return [Status.ACCEPTED] * num_events
    return [Status.SKIPPED if offset <= applied else Status.ACCEPTED for offset in source.offsets]


def _lost(source: StreamSource, last_read: int | None) -> PartitionLost:
    msg = (
        f"{source.stream}/{source.partition}: offsets {source.first_offset}..{source.last_offset} were not applied: "
        f"the database no longer stands at {last_read}, where this worker last read it; "
        "another worker owns the partition"
    )
    return PartitionLost(msg)
