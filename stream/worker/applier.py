"""Applies the messages of a worker's partitions: decodes them, calls the use case, and handles every error.

Messages of several partitions share a transaction. Of each partition the caller may acknowledge all messages or none:

    operational (the database is unavailable)   retried with growing pauses until the worker stops
    data (the use case rejects an event)        the batch is split in halves until the bad event is alone: a dead
                                                letter; if event after event fails unexpectedly, the worker ends
    fencing (another worker advanced a          nothing of it is acknowledged, and the worker seeks the database's
    partition)                                  offset again; the other partitions are applied without it
    fatal (the database is another one:         nothing is acknowledged; the worker ends
    `StoreMismatch`)

Runs in a thread of its own, never on an event loop. Independent of Faust.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from core.errors import InvalidInput, PartitionLost, StoreConflict, StoreMismatch, StoreUnavailable, StreamUnavailable
from core.ingestion.sources import EventBatch, IngestResult, StreamSource
from core.records.stored import DeadLetter
from stream.messages.codec import Codec, Decoded, Message, encode
from stream.worker.status import WorkerCounters

logger = logging.getLogger(__name__)
T = TypeVar("T")

PUBLISH_ATTEMPTS = 3  # for the dead-letter topic; the database keeps dead letters in any case
MAX_UNEXPECTED_ERRORS = 20  # valid events in a row that fail: the fault is then in Tidewise, not in the events


class BatchIngestor(Protocol):
    """The use case: `core.ingestion.ingest.Ingestor`."""

    def ingest_together(self, batches: Sequence[EventBatch]) -> IngestResult:
        """Apply events of several partitions and keep dead letters, in one transaction."""
        ...

    def applied_offset(self, stream: str, partition: int) -> int | None:
        """The offset up to which the database has applied a partition."""
        ...

    def adopt_log(self, stream: str, log_id: str) -> bool:
        """Let the offsets of a stream belong to the log with this id; True where they were those of another one."""
        ...


class DeadLetterSink(Protocol):
    """Publishes dead letters, besides the database that keeps them: `stream.kafka.producer.DeadLetterTopic`."""

    def __call__(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Publish; returns when they are acknowledged; raises `StreamUnavailable` when they are not."""
        ...


def publish_nothing(dead_letters: Sequence[DeadLetter]) -> None:
    """No dead-letter topic: the database alone."""


def ignore_commit(result: IngestResult, duration_s: float) -> None:
    """Do nothing after a commit."""


class ShutdownRequested(Exception):
    """The worker is stopping: nothing more is applied or acknowledged."""


@dataclass(slots=True)
class Backoff:
    """Exponentially growing pauses, ended at once when the worker stops."""

    stop: threading.Event
    initial_s: float = 0.1
    max_s: float = 1.0  # an attempt a second is no load for a database, and its return is noticed within a second
    _next_s: float = 0.0

    def pause(self) -> None:
        """Wait; raises `ShutdownRequested` when the worker stops meanwhile."""
        self._next_s = min(max(self.initial_s, self._next_s * 2), self.max_s)
        if self.stop.wait(self._next_s):
            raise ShutdownRequested

    def reset(self) -> None:
        """After a success: start with the initial pause again."""
        self._next_s = 0.0


@dataclass
class Applier:
    """Applies messages. `max_events`: a transaction with so many events takes no further message.

    `on_commit` gets the result and the duration of each transaction. `reset_watchdog` is called at every attempt:
    waiting for a database is not a stall.
    """

    ingestor: BatchIngestor
    codec: Codec
    backoff: Backoff
    publish: DeadLetterSink = publish_nothing
    on_commit: Callable[[IngestResult, float], None] = ignore_commit
    reset_watchdog: Callable[[], None] = lambda: None
    counters: WorkerCounters = field(default_factory=WorkerCounters)
    max_events: int = 2_000
    _num_unexpected: int = field(default=0, init=False)
    _decoder: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "decoder"), init=False)

    def apply(self, messages: Sequence[Message]) -> set[int]:
        """Apply messages, partition after partition, each in ascending offset, a transaction's worth at a time.

        Returns the partitions that another worker has advanced: their remaining messages were not applied.
        """
        lost: set[int] = set()
        for parts in _prefetched(self._transactions(messages), self._decoder):
            _log_dead_letters([dead_letter for part in parts for dead_letter in part.decoded.dead_letters])
            self._apply(parts, lost)
        applied = [message for message in messages if message.partition not in lost] if lost else messages
        self.counters.num_messages += len(applied)
        newest_ms = max((message.timestamp_ms or 0 for message in applied), default=0)
        if newest_ms:
            self.counters.event_age_ms = max(0, self.codec.clock.now_ms() - newest_ms)
        return lost

    def skip(self, topic: str, partition: int, offsets: range) -> set[int]:
        """Count offsets that hold no message as applied; returns the partition if another worker has advanced it."""
        lost: set[int] = set()
        first = Message(topic, partition, offsets[0], key=None, value=None)
        self._apply([_PartitionPart(first, offsets[-1])], lost)
        return lost

    def _transactions(self, messages: Sequence[Message]) -> Iterator[list[_PartitionPart]]:
        """Decoded messages, grouped by their number of events: a message may hold an array of thousands."""
        parts: list[_PartitionPart] = []
        for message in messages:
            if not parts or parts[-1].first.partition != message.partition:
                parts.append(_PartitionPart(message, message.offset))
            parts[-1].last_offset = message.offset
            self._decode(message, parts[-1].decoded)
            if sum(len(part.decoded.events) for part in parts) >= self.max_events:
                yield parts
                parts = []
        if parts:
            yield parts

    def _decode(self, message: Message, into: Decoded) -> None:
        try:
            self.codec.decode(message, into)
        except Exception as error:  # a fault in Tidewise, but one message must not stop the stream
            logger.exception("%s: the decoder failed", message.position)
            reason = f"value: the decoder failed ({type(error).__name__}: {error}); report it with this payload"
            into.dead_letters.append(self.codec.dead_letter(message, reason, message.value or b""))

    def _apply(self, parts: Sequence[_PartitionPart], lost: set[int]) -> None:
        """One transaction, or several where the use case rejects an event; without lost partitions."""
        kept = [part for part in parts if part.first.partition not in lost]
        if not kept:
            return
        try:
            self._commit(kept)
        except PartitionLost as error:
            logger.warning("not applied: %s", error)
            self.counters.num_lost_batches += len(error.partitions)
            lost |= error.partitions
            self._apply(kept, lost)
        except (StoreMismatch, ShutdownRequested):
            raise
        except Exception as error:
            for smaller in self._split(kept, error):
                self._apply(smaller, lost)

    def _split(self, parts: list[_PartitionPart], error: Exception) -> Sequence[list[_PartitionPart]]:
        """What to apply instead after an error: two halves, or the dead letter of a single event."""
        if len(parts) > 1:
            middle = len(parts) // 2
            return parts[:middle], parts[middle:]
        (part,) = parts
        if not part.decoded.events:
            raise error
        if len(part.decoded.events) > 1:
            return [[half] for half in part.halves()]
        return [[self._dead_lettered(part, error)]]

    def _commit(self, parts: Sequence[_PartitionPart]) -> None:
        """Publish dead letters and commit, retrying operational errors."""
        dead_letters = [dead_letter for part in parts for dead_letter in part.decoded.dead_letters]
        batches = [part.batch for part in parts]
        self._publish(dead_letters)
        while True:
            self.reset_watchdog()
            started_s = time.perf_counter()
            try:
                result = self.ingestor.ingest_together(batches)
            except (StoreUnavailable, StoreConflict) as error:
                self.counters.num_retries += 1
                positions = ", ".join(f"{part.first.position}..{part.last_offset}" for part in parts)
                logger.warning("%s: not applied, retrying: %s", positions, error)
                self.backoff.pause()
            else:
                break
        self.on_commit(result, time.perf_counter() - started_s)
        self.backoff.reset()
        num_events = sum(len(batch.events) for batch in batches)
        self._num_unexpected = 0 if num_events else self._num_unexpected
        self.counters.num_events += num_events
        self.counters.num_dead_letters += len(dead_letters)

    def _publish(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Before the commit: after a crash they would not be published again. The database keeps them in any case."""
        for attempt in range(1, PUBLISH_ATTEMPTS + 1) if dead_letters else ():
            self.reset_watchdog()
            try:
                self.publish(dead_letters)
            except StreamUnavailable as error:
                first = _position(dead_letters[0])
                message = "%s: %d dead letters were not published (attempt %d of %d): %s"
                logger.error(message, first, len(dead_letters), attempt, PUBLISH_ATTEMPTS, error)
                if attempt < PUBLISH_ATTEMPTS:
                    self.backoff.pause()
            else:
                return

    def _dead_lettered(self, part: _PartitionPart, error: Exception) -> _PartitionPart:
        """A part whose only event failed, with a dead letter instead; raises where too many fail unexpectedly."""
        if not isinstance(error, InvalidInput):
            self._num_unexpected += 1
            if self._num_unexpected > MAX_UNEXPECTED_ERRORS:
                raise error
        (event,), (offset,) = part.decoded.events, part.decoded.offsets
        message = Message(part.first.topic, part.first.partition, offset, key=None, value=None)
        reason = str(error) if isinstance(error, InvalidInput) else f"{type(error).__name__}: {error}"
        logger.error("%s: event %s dead-lettered: %s", message.position, event.event_id, reason)
        dead_letter = self.codec.dead_letter(message, reason, encode(event))
        return replace(part, decoded=Decoded(dead_letters=[*part.decoded.dead_letters, dead_letter]))


def _position(dead_letter: DeadLetter) -> str:
    return f"{dead_letter.source}/{dead_letter.partition}@{dead_letter.offset}"


def _log_dead_letters(dead_letters: Sequence[DeadLetter]) -> None:
    for dead_letter in dead_letters[:5]:
        logger.warning("%s: dead-lettered: %s", _position(dead_letter), dead_letter.reason)
    if len(dead_letters) > 5:
        logger.warning("%s..: %d more in the same batch", _position(dead_letters[5]), len(dead_letters) - 5)


def _prefetched(items: Iterator[T], pool: Executor) -> Iterator[T]:
    """The items of an iterator, the next computed in a thread while the caller waits for the database."""
    item = next(items, None)
    while item is not None:
        upcoming = pool.submit(next, items, None)
        yield item
        item = upcoming.result()


@dataclass(slots=True)
class _PartitionPart:
    """One partition's part of a transaction: `decoded`, from the messages `first` to `last_offset`."""

    first: Message
    last_offset: int
    decoded: Decoded = field(default_factory=Decoded)

    @property
    def batch(self) -> EventBatch:
        decoded, first = self.decoded, self.first
        source = StreamSource(first.topic, first.partition, decoded.offsets, first.offset, self.last_offset)
        return EventBatch(decoded.events, source, decoded.dead_letters)

    def halves(self) -> tuple[_PartitionPart, _PartitionPart]:
        """Two halves. If they share an array of events, its message counts as applied only with the right half."""
        decoded = self.decoded
        middle = len(decoded.events) // 2
        boundary = decoded.offsets[middle] - 1
        left = [dead_letter for dead_letter in decoded.dead_letters if dead_letter.offset <= boundary]
        right = [dead_letter for dead_letter in decoded.dead_letters if dead_letter.offset > boundary]
        return (
            _PartitionPart(self.first, boundary, Decoded(decoded.events[:middle], decoded.offsets[:middle], left)),
            _PartitionPart(
                self.first, self.last_offset, Decoded(decoded.events[middle:], decoded.offsets[middle:], right)
            ),
        )
