"""Ingest: applies events to user state exactly once, in one transaction per batch.

All writers of user state (HTTP, Kafka, files, dead-letter retries) use it, so that locks are taken in the same order
everywhere, which prevents deadlock:

    (a) the writers' applied offsets, in ascending partition: events at or below the applied offset are skipped, then
        it is compared and set to the batch's last; if it is not the value that this worker last read, another worker
        owns the partition, and the transaction applies nothing
    (b) the known users of the batch, in ascending key; events that are already stored are marked as duplicates and
        change nothing
    (c) the new interactions, inserted in ascending event key; while batches of many hold only new events, (b) does not
        look them up, and a stored one is noticed here: the transaction is rolled back and runs again with the look-up
    (d) the windows of known users
    (e) popularity, item transitions and counts, in the rows of the first writer, which only this transaction has locked
    (f) new users, inserted in ascending id, with their windows
    (g) outcomes: the answers that events are attributed to, in ascending key, and counts of the first writer
    commit; only then does the caller acknowledge

Independent of HTTP, Kafka, files and SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

import numpy as np

from core.conflicts import MAX_CONFLICTS, retried
from core.drift.counting import DriftSampler
from core.drift.segments import EventSegments
from core.errors import PartitionLost, StoreConflict, StoreUnavailable
from core.events.history import History, Window, WindowShape, append
from core.events.interactions import EventTypes, Interaction
from core.ingestion.derivation import Derivation, event_counts
from core.ingestion.offsets import adopt_log
from core.ingestion.resolved_batch import ResolvedBatch
from core.ingestion.sources import EventBatch, IngestResult, RequestSource, Source, StreamSource
from core.outcomes.attribution import Attributor
from core.outcomes.item_counts import item_event_counts
from core.popularity import DEFAULT_HALF_LIFE_MS
from core.ports.store import Store, Transaction
from core.records.statuses import EventStatus
from core.records.stored import MANY_EVENTS, DeadLetter, EventRow, UserState, WriterOffset
from core.transitions.transition import NUM_PREVIOUS, Transition, appended, inserted

_event_key = attrgetter("event_key")
MAX_ITEM_KEYS = 200_000  # cached per process: about 20 MB
COMPACT_EVERY = 4096  # commits of a writer between compactions of its transitions


def _no_extra_writes(_tx: Transaction) -> None:
    """No further writes."""


class Ingestor:
    """Applies batches to a store. One per process, used by one thread at a time."""

    def __init__(
        self,
        store: Store,
        *,
        types: EventTypes,
        shape: WindowShape,
        half_life_ms: float = DEFAULT_HALF_LIFE_MS,
        sampler: DriftSampler | None = None,
        attributor: Attributor | None = None,
        segments: EventSegments | None = None,
    ) -> None:
        """`sampler`: counts and samples for drift monitoring. `attributor`, `segments`: default rules if None."""
        self._store = store
        self._sampler = sampler
        self.attributor = attributor or Attributor(types)
        self.derivation = Derivation(types, shape, half_life_ms, segments or EventSegments())
        self._types = types
        self._shape = shape
        self._window_codes = types.flagged("window")
        self._last_read: dict[tuple[str, int], int | None] = {}
        self._item_keys: dict[str, int] = {}  # of committed items; a key never changes
        self._all_new = True  # the last batch held no known event: many of the next one are not looked up
        self._num_appended: Counter[int] = Counter()  # rows of transitions by writer, since the last compaction

    def clear_caches(self) -> None:
        """Forget item keys and offsets; the next batch of each partition reads its offset from the database."""
        self._last_read.clear()
        self._item_keys.clear()

    def applied_offset(self, stream: str, partition: int) -> int | None:
        """The applied offset of a partition in the database; kept as the value that this worker last read."""
        with self._store.read() as read:
            offset = read.offsets.applied(stream).get(partition)
        self._last_read[stream, partition] = offset
        return offset

    def adopt_log(self, stream: str, log_id: str) -> bool:
        """Let the offsets of a stream belong to the log with this id; True where they were those of another one."""
        return retried(lambda: adopt_log(self._store, stream, log_id))

    def ingest(
        self,
        events: Sequence[Interaction],
        source: Source,
        *,
        dead_letters: Sequence[DeadLetter] = (),
        extra_writes: Callable[[Transaction], None] = _no_extra_writes,
    ) -> IngestResult:
        """Apply a batch and store its dead letters; `extra_writes` run last in the same transaction."""
        return self.ingest_together([EventBatch(events, source, dead_letters)], extra_writes=extra_writes)

    def ingest_together(
        self, batches: Sequence[EventBatch], *, extra_writes: Callable[[Transaction], None] = _no_extra_writes
    ) -> IngestResult:
        """Apply the batches of one request, or of any partitions of one stream, in one transaction.

        Raises `PartitionLost` (acknowledge nothing of the partitions that it names; apply the others without them)
        and `StoreUnavailable` (the outcome is unknown: try again, applied events count once).
        """
        for _ in range(MAX_CONFLICTS):
            try:
                return self._attempt(batches, extra_writes)
            except StoreConflict:
                self._all_new = False
                continue
            except PartitionLost as error:
                for partition in error.partitions:
                    del self._last_read[batches[0].source.stream, partition]
                raise
            except StoreUnavailable:
                self.clear_caches()
                raise
        num_events = sum(len(batch.events) for batch in batches)
        msg = f"{MAX_CONFLICTS} conflicts in a row while applying {num_events} events; send them again"
        raise StoreUnavailable(msg)

    def _attempt(self, batches: Sequence[EventBatch], extra_writes: Callable[[Transaction], None]) -> IngestResult:
        events = [event for batch in batches for event in batch.events]
        is_live = batches[0].source.live
        with self._store.transaction() as tx:
            before = self._advance(tx, batches)  # (a)
            writer = before[min(before)]
            statuses = [status for batch in batches for status in _statuses(batch, before)]
            resolved = ResolvedBatch(  # (b)
                tx,
                events,
                statuses,
                types=self._types,
                item_keys=self._item_keys,
                looks_up=not self._all_new or (is_live and len(events) < MANY_EVENTS),
            )
            with tx.pipelined():
                if resolved.rows:
                    self._apply(tx, writer, resolved, is_live=is_live)
                dead_letters = [dead_letter for batch in batches for dead_letter in _new_dead_letters(batch, before)]
                if dead_letters:
                    tx.dead_letters.add(dead_letters)
                extra_writes(tx)
                tx.commit()
        for source in (batch.source for batch in batches):
            if isinstance(source, StreamSource):
                offset = _highest(before[source.partition].applied_offset, source.last_offset)
                self._last_read[source.stream, source.partition] = offset
        self._all_new = EventStatus.DUPLICATE not in resolved.statuses
        if len(self._item_keys) > MAX_ITEM_KEYS:
            self._item_keys.clear()
        self._item_keys |= resolved.item_keys
        return IngestResult(resolved.statuses, resolved.user_seqs, resolved.states)

    def _apply(self, tx: Transaction, writer: WriterOffset, batch: ResolvedBatch, *, is_live: bool) -> None:
        """(c) to (g); what later statements need is computed while the database executes the earlier ones."""
        tx.events.insert(sorted(batch.rows, key=_event_key))  # (c)
        states, transitions = self._slide(tx, batch)
        batch.states.update(states)
        new = {user_id: state for user_id, state in batch.states.items() if user_id in batch.new_users}
        tx.users.save([state for user_id, state in batch.states.items() if user_id not in new])  # (d)
        self._count(tx, writer, batch.rows)  # (e)
        self._log_transitions(tx, writer, transitions)
        tx.users.insert(new)  # (f)
        if self._sampler is not None:
            self._sampler.note(tx, writer.key, batch.rows, batch.before, live=is_live)
        self.attributor.attribute(tx, writer.key, batch.rows, batch.user_ids)  # (g)

    def _advance(self, tx: Transaction, batches: Sequence[EventBatch]) -> dict[int, WriterOffset]:
        """(a) Advance the offsets of all writers or of none; returns the previous ones by partition."""
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

    def _slide(self, tx: Transaction, batch: ResolvedBatch) -> tuple[dict[str, UserState], list[Transition]]:
        """(d) The new windows of the users with windowed events, and the item transitions that these add or change.

        Windows are appended to, or rebuilt from the interactions after a late event.
        """
        states: dict[str, UserState] = {}
        transitions: list[Transition] = []
        late: dict[int, str] = {}
        windowed = batch.windowed(self._window_codes)
        for user_id, rows in windowed.items():
            state = batch.states[user_id]
            if state.window.accepts(rows[0].time_ms) and state.window.holds_last(NUM_PREVIOUS):
                previous = state.window.history.items[-NUM_PREVIOUS:].tolist()
                transitions += appended(previous, [(row.item_key, row.time_ms) for row in rows])
                states[user_id] = _with_window(state, _appended(state.window, rows, self._shape))
            else:
                late[state.key] = user_id
        if late:
            totals = {key: batch.states[user].window.num_events + len(windowed[user]) for key, user in late.items()}
            for key, history in tx.events.histories(totals, type_codes=self._window_codes).items():
                state, rows = batch.states[late[key]], windowed[late[key]]
                transitions += inserted(history, np.array([row.time_ms for row in rows], np.int64))
                start = self._shape.start(totals[key])
                window = History(history.items[start:], history.times_ms[start:])
                states[late[key]] = _with_window(state, Window(totals[key], window))
        return states, transitions

    def _log_transitions(self, tx: Transaction, writer: WriterOffset, transitions: Sequence[Transition]) -> None:
        """(e) Append to the writer's log, and compact its logs now and then."""
        tx.transitions.add(writer.key, transitions)
        self._num_appended[writer.key] += 1
        if self._num_appended[writer.key] >= COMPACT_EVERY:
            tx.transitions.compact(writer.key)
            tx.popularity.compact(writer.key)
            self._num_appended[writer.key] = 0

    def _count(self, tx: Transaction, writer: WriterOffset, rows: Sequence[EventRow]) -> None:
        """(e) Popularity and event counts, in rows per writer, so that writers do not wait for each other."""
        scores = self.derivation.popularity(rows)
        if scores:
            tx.popularity.add(writer.key, scores)
        tx.event_counts.add(writer.key, event_counts(rows))
        tx.item_counts.add(writer.key, item_event_counts(rows))


def _highest(applied: int | None, offset: int) -> int:
    return offset if applied is None else max(applied, offset)


def _with_window(state: UserState, window: Window) -> UserState:
    """A copy with another window. `dataclasses.replace` takes five times as long, per user and batch."""
    return UserState(state.key, state.seq, window, state.erased_ms)


def _appended(window: Window, rows: Sequence[EventRow], shape: WindowShape) -> Window:
    items = np.array([row.item_key for row in rows], np.int64)
    times_ms = np.array([row.time_ms for row in rows], np.int64)
    return append(window, items, times_ms, shape)


def _advanced(writer: WriterOffset, batch: EventBatch) -> WriterOffset:
    """The writer's offset and newest event time after the batch; neither decreases."""
    newest_ms = max((event.time_ms for event in batch.events), default=writer.newest_ms)
    if newest_ms is not None and writer.newest_ms is not None:
        newest_ms = max(newest_ms, writer.newest_ms)
    if isinstance(batch.source, RequestSource):
        return replace(writer, newest_ms=newest_ms)
    return WriterOffset(writer.key, _highest(writer.applied_offset, batch.source.last_offset), newest_ms)


def _statuses(batch: EventBatch, before: Mapping[int, WriterOffset]) -> list[EventStatus]:
    """Skipped for events at or below the applied offset; accepted for the others, until `ResolvedBatch` checks them."""
    applied = before[batch.source.partition].applied_offset
    if isinstance(batch.source, RequestSource) or applied is None:
        return [EventStatus.ACCEPTED] * len(batch.events)
    return [EventStatus.SKIPPED if offset <= applied else EventStatus.ACCEPTED for offset in batch.source.offsets]


def _new_dead_letters(batch: EventBatch, before: Mapping[int, WriterOffset]) -> list[DeadLetter]:
    """The dead letters of messages that were not applied before."""
    applied = before[batch.source.partition].applied_offset
    return [dead_letter for dead_letter in batch.dead_letters if applied is None or dead_letter.offset > applied]


def _lost(batches: Sequence[EventBatch], last_read: Mapping[int, int | None]) -> PartitionLost:
    lost = "; ".join(
        f"{source.stream}/{source.partition}: offsets {source.first_offset}..{source.last_offset} were not applied: "
        f"the applied offset is no longer {last_read[source.partition]}, as this worker last read it"
        for source in (batch.source for batch in batches)
        if isinstance(source, StreamSource) and source.partition in last_read
    )
    return PartitionLost(f"{lost}; another worker owns the partition", partitions=last_read)
