"""Ingest: apply events to the users' states, each exactly once, in one transaction.

Every path that writes user state comes through here (HTTP, Kafka, files, dead-letter retries), so that the order of
locks is the same everywhere and nobody waits for each other in a circle:

    (a) the writers' applied offsets, in ascending partition: drop what is at or below them, compare-and-set each to its
        batch's last; one that stands elsewhere than it was last read belongs to another worker: nothing is applied
    (b) the touched users, made where they are new, in ascending key
    (c) interactions, in ascending event key; known ones change nothing
    (d) windows
    (e) popularity and counts, kept under the first of the writers: nobody else has its row now
    commit; only then may the caller acknowledge

Independent of HTTP, Kafka, files or SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

import numpy as np

from core.drift.counting import DriftSampler
from core.drift.records import BUCKET_MS
from core.errors import PartitionLost, StoreConflict, StoreUnavailable
from core.history import Window, WindowShape, append
from core.ingestion.resolved_batch import ResolvedBatch
from core.ingestion.sources import EventBatch, IngestResult, RequestSource, Source, StreamSource
from core.interactions import EventTypes, Interaction
from core.popularity import DEFAULT_HALF_LIFE_MS, decayed_log2
from core.ports.store import Store, Transaction
from core.records import DeadLetter, EventRow, UserState, WriterOffset
from core.statuses import EventStatus

_event_key = attrgetter("event_key")
MAX_CONFLICTS = 8  # a conflict means that somebody else got through, so this many in a row is a fault
MAX_ITEM_KEYS = 200_000  # remembered by one process: some 20 MB


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
        watch: DriftSampler | None = None,
    ) -> None:
        """`watch`: counts and samples for drift monitoring."""
        self._store = store
        self._watch = watch
        self._types = types
        self._shape = shape
        self._half_life_ms = half_life_ms
        self._window_codes = types.flagged("window")
        self._last_read: dict[tuple[str, int], int | None] = {}
        self._item_keys: dict[str, int] = {}  # of committed items: a key is given once and for good

    def forget(self) -> None:
        """Drop what was remembered; the next batch of each partition starts from the database's offset."""
        self._last_read.clear()
        self._item_keys.clear()

    def applied_offset(self, stream: str, partition: int) -> int | None:
        """The database's offset of a partition, remembered as the value this worker last read."""
        with self._store.read() as view:
            offset = view.offsets.applied(stream).get(partition)
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
        """Apply one batch and keep its bad part aside; `also` is done in the same transaction, last."""
        return self.ingest_together([EventBatch(events, source, dead_letters)], also=also)

    def ingest_together(
        self, batches: Sequence[EventBatch], *, also: Callable[[Transaction], None] = _nothing_more
    ) -> IngestResult:
        """Apply the batches of one request, or of any partitions of one stream, in one transaction.

        Raises `PartitionLost` (acknowledge nothing of the partitions that it names; the others may be applied without
        them), `StoreUnavailable` (nothing was applied as far as is known: try again, what did get through counts once).
        """
        for _ in range(MAX_CONFLICTS):
            try:
                return self._attempt(batches, also)
            except StoreConflict:
                continue
            except PartitionLost as error:
                for partition in error.partitions:
                    del self._last_read[batches[0].source.stream, partition]
                raise
            except StoreUnavailable:
                self.forget()
                raise
        num_events = sum(len(batch.events) for batch in batches)
        msg = f"{MAX_CONFLICTS} conflicts in a row while applying {num_events} events; send them again"
        raise StoreUnavailable(msg)

    def _attempt(self, batches: Sequence[EventBatch], also: Callable[[Transaction], None]) -> IngestResult:
        events = [event for batch in batches for event in batch.events]
        with self._store.transaction() as tx:
            before = self._advance(tx, batches)  # (a)
            writer = before[min(before)]
            statuses = [status for batch in batches for status in _statuses(batch, before)]
            found = ResolvedBatch(tx, events, statuses, codes=self._types.codes, item_keys=self._item_keys)  # (b)
            if found.rows:
                tx.events.insert(sorted(found.rows, key=_event_key))  # (c)
                found.states.update(self._slide(tx, found))
                tx.users.save(list(found.states.values()))  # (d)
                self._count(tx, writer, found.rows)  # (e)
                if self._watch is not None:
                    self._watch.note(tx, writer.key, found.rows, found.before, live=batches[0].source.live)
            letters = [letter for batch in batches for letter in _new_letters(batch, before)]
            if letters:
                tx.dead_letters.add(letters)
            also(tx)
            tx.commit()
        for source in (batch.source for batch in batches):
            if isinstance(source, StreamSource):
                offset = _highest(before[source.partition].applied_offset, source.last_offset)
                self._last_read[source.stream, source.partition] = offset
        if len(self._item_keys) > MAX_ITEM_KEYS:
            self._item_keys.clear()
        self._item_keys |= found.item_keys
        return IngestResult(found.statuses, found.user_seqs, found.states)

    def _advance(self, tx: Transaction, batches: Sequence[EventBatch]) -> dict[int, WriterOffset]:
        """(a) Move the offsets of all the writers, or of none; returns them as they stood, by partition."""
        stream = batches[0].source.stream
        before = tx.offsets.lock(stream, [batch.source.partition for batch in batches])
        lost = {
            partition: self._last_read[stream, partition]
            for partition, state in before.items()
            if self._last_read.get((stream, partition), state.applied_offset) != state.applied_offset
        }
        if lost:
            raise _lost(batches, lost)
        tx.offsets.save([_advanced(before[batch.source.partition], batch) for batch in batches])
        return before

    def _slide(self, tx: Transaction, batch: ResolvedBatch) -> dict[str, UserState]:
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
            for key, history in tx.events.histories(limits, type_codes=self._window_codes).items():
                state = batch.states[late[key]]
                slid[late[key]] = _with_window(state, Window(totals[key], history))
        return slid

    def _count(self, tx: Transaction, writer: WriterOffset, rows: Sequence[EventRow]) -> None:
        """(e) What monitoring and popularity keep, per writer, so that no two writers wait for one row."""
        weights = [kind.weight for kind in self._types.table]
        counted = [(row.item_key, row.time_ms, weights[row.type_code]) for row in rows if weights[row.type_code] > 0]
        if counted:
            tx.popularity.add(writer.key, decayed_log2(*zip(*counted, strict=True), half_life_ms=self._half_life_ms))
        tx.event_counts.add(writer.key, Counter((row.time_ms // BUCKET_MS * BUCKET_MS, row.type_code) for row in rows))


def _highest(applied: int | None, offset: int) -> int:
    return offset if applied is None else max(applied, offset)


def _with_window(state: UserState, window: Window) -> UserState:
    """Spelled out, because `dataclasses.replace` takes five times as long and every batch does it for every user."""
    return UserState(state.key, state.seq, window, state.erased_ms)


def _appended(window: Window, rows: Sequence[EventRow], shape: WindowShape) -> Window:
    items = np.array([row.item_key for row in rows], np.int64)
    times_ms = np.array([row.time_ms for row in rows], np.int64)
    return append(window, items, times_ms, shape)


def _advanced(writer: WriterOffset, batch: EventBatch) -> WriterOffset:
    """Behind the batch; the newest time only ever rises."""
    newest_ms = max((event.time_ms for event in batch.events), default=writer.newest_ms)
    if newest_ms is not None and writer.newest_ms is not None:
        newest_ms = max(newest_ms, writer.newest_ms)
    if isinstance(batch.source, RequestSource):
        return replace(writer, newest_ms=newest_ms)
    return WriterOffset(writer.key, _highest(writer.applied_offset, batch.source.last_offset), newest_ms)


def _statuses(batch: EventBatch, before: Mapping[int, WriterOffset]) -> list[EventStatus]:
    """Skipped for events at or below the applied offset, accepted until proven otherwise."""
    applied = before[batch.source.partition].applied_offset
    if isinstance(batch.source, RequestSource) or applied is None:
        return [EventStatus.ACCEPTED] * len(batch.events)
    return [EventStatus.SKIPPED if offset <= applied else EventStatus.ACCEPTED for offset in batch.source.offsets]


def _new_letters(batch: EventBatch, before: Mapping[int, WriterOffset]) -> list[DeadLetter]:
    """Those of messages that were not applied before."""
    applied = before[batch.source.partition].applied_offset
    return [letter for letter in batch.dead_letters if applied is None or letter.offset > applied]


def _lost(batches: Sequence[EventBatch], last_read: Mapping[int, int | None]) -> PartitionLost:
    lost = "; ".join(
        f"{source.stream}/{source.partition}: offsets {source.first_offset}..{source.last_offset} were not applied: "
        f"the database no longer stands at {last_read[source.partition]}, where this worker last read it"
        for source in (batch.source for batch in batches)
        if isinstance(source, StreamSource) and source.partition in last_read
    )
    return PartitionLost(f"{lost}; another worker owns the partition", partitions=last_read)
