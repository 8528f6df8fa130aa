"""Applies the messages of a worker's partitions: decode, call the use case, and settle every error, so that the caller
may acknowledge all of a partition or nothing of it. What came from several partitions shares a transaction.

    operational (the database is away)      tried again for ever, with growing pauses, until the worker stops
    data (the use case refuses an event)    what came together is halved until the bad event is alone: a dead letter;
                                            if event after event fails and none says why, the worker ends
    fencing (another worker was faster)     nothing of that partition is acknowledged, and the worker reads it again
                                            from the database's offset; the others are applied without it
    fatal (the database is not ours)        nothing is acknowledged; the worker ends

Runs in a thread of its own, never on an event loop. Knows nothing about Faust.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from core.errors import InvalidInput, PartitionLost, StoreConflict, StoreMismatch, StoreUnavailable, StreamUnavailable
from core.ingestion.sources import EventBatch, StreamSource
from core.records import DeadLetter
from stream.messages.codec import Codec, Decoded, Message, encode
from stream.worker.status import Tally

logger = logging.getLogger(__name__)
T = TypeVar("T")

ANNOUNCEMENTS = 3  # tries to put dead letters on their topic; the database keeps them anyhow
MAX_UNEXPLAINED = 20  # so many events in a row with an error that names no fault of theirs: the fault is ours


class Ingest(Protocol):
    """The use case: `core.ingestion.ingest.Ingestor`."""

    def ingest_together(self, batches: Sequence[EventBatch]) -> object:
        """Apply events of several partitions and keep dead letters, in one transaction."""
        ...

    def forget(self) -> None:
        """Drop remembered offsets."""
        ...

    def applied_offset(self, stream: str, partition: int) -> int | None:
        """The offset up to which the database has applied a partition."""
        ...


class DeadLetterSink(Protocol):
    """Where dead letters are announced, besides the database that keeps them."""

    def __call__(self, letters: Sequence[DeadLetter]) -> None:
        """Announce; returns when they are safe; raises `StreamUnavailable` when they are not."""
        ...


def announce_nothing(letters: Sequence[DeadLetter]) -> None:
    """No topic for dead letters: the table alone."""


class Stopping(Exception):
    """The worker is stopping: nothing more is applied, nothing is acknowledged."""


@dataclass(slots=True)
class Backoff:
    """Growing pauses that end at once when the worker stops."""

    stop: threading.Event
    first_s: float = 0.1
    longest_s: float = 1.0  # one attempt a second costs a database nothing, and its return is noticed within that
    _next_s: float = 0.0

    def pause(self) -> None:
        """Wait; raises `Stopping` when the worker stops meanwhile."""
        self._next_s = min(max(self.first_s, self._next_s * 2), self.longest_s)
        if self.stop.wait(self._next_s):
            raise Stopping

    def reset(self) -> None:
        """It worked: the next pause is short again."""
        self._next_s = 0.0


@dataclass
class Applier:
    """Applies messages. `max_events`: with so many a transaction is full; a message is never divided, though.

    `heartbeat` is called at every attempt, so that waiting for a database is told from being stuck.
    """

    ingest: Ingest
    codec: Codec
    backoff: Backoff
    announce: DeadLetterSink = announce_nothing
    heartbeat: Callable[[], None] = lambda: None
    tally: Tally = field(default_factory=Tally)
    max_events: int = 2_000
    _num_unexplained: int = field(default=0, init=False)
    _decoder: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "decoder"), init=False)

    def apply(self, messages: Sequence[Message]) -> set[int]:
        """Apply messages, partition after partition, each in ascending offset, a transaction's worth at a time.

        Returns the partitions that are another worker's by now: what was left of them was not applied.
        """
        lost: set[int] = set()
        for parts in _one_ahead(self._rounds(messages), self._decoder):
            _log_refused([letter for part in parts for letter in part.decoded.dead_letters])
            self._apply(parts, lost)
        applied = [message for message in messages if message.partition not in lost] if lost else messages
        self.tally.num_messages += len(applied)
        newest_ms = max((message.timestamp_ms or 0 for message in applied), default=0)
        if newest_ms:
            self.tally.age_ms = max(0, self.codec.clock.now_ms() - newest_ms)
        return lost

    def _rounds(self, messages: Sequence[Message]) -> Iterator[list[_Part]]:
        """Whole messages, decoded, until a transaction holds enough events: arrays would make it long otherwise."""
        parts: list[_Part] = []
        for message in messages:
            if not parts or parts[-1].first.partition != message.partition:
                parts.append(_Part(message, message.offset))
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
        except Exception as error:  # a fault of ours, but one message must not stop the stream
            logger.exception("%s: the decoder failed", message.place)
            reason = f"value: the decoder failed ({type(error).__name__}: {error}); report it with this payload"
            into.dead_letters.append(self.codec.dead_letter(message, reason, message.value or b""))

    def _apply(self, parts: Sequence[_Part], lost: set[int]) -> None:
        """One transaction, or several where the use case refuses an event; without what is lost."""
        kept = [part for part in parts if part.first.partition not in lost]
        if not kept:
            return
        try:
            self._persist(kept)
        except PartitionLost as error:
            logger.warning("not applied: %s", error)
            self.tally.num_lost += len(error.partitions)
            lost |= error.partitions
            self._apply(kept, lost)
        except (StoreMismatch, Stopping):
            raise
        except Exception as error:
            for smaller in self._divided(kept, error):
                self._apply(smaller, lost)

    def _divided(self, parts: list[_Part], error: Exception) -> Sequence[list[_Part]]:
        """What to try instead after an error: halves, or the letter of the one event that is left."""
        if len(parts) > 1:
            middle = len(parts) // 2
            return parts[:middle], parts[middle:]
        (part,) = parts
        if not part.decoded.events:
            raise error
        if len(part.decoded.events) > 1:
            return [[half] for half in part.halves()]
        return [[self._quarantined(part, error)]]

    def _persist(self, parts: Sequence[_Part]) -> None:
        """Announce and apply, for as long as what is in the way is not the batch itself."""
        letters = [letter for part in parts for letter in part.decoded.dead_letters]
        batches = [part.batch for part in parts]
        self._announce(letters)
        while True:
            self.heartbeat()
            try:
                self.ingest.ingest_together(batches)
            except (StoreUnavailable, StoreConflict) as error:
                self.tally.num_retries += 1
                places = ", ".join(f"{part.first.place}..{part.last_offset}" for part in parts)
                logger.warning("%s: trying again: %s", places, error)
                self.backoff.pause()
            else:
                break
        self.backoff.reset()
        num_events = sum(len(batch.events) for batch in batches)
        self._num_unexplained = 0 if num_events else self._num_unexplained
        self.tally.num_events += num_events
        self.tally.num_dead_letters += len(letters)

    def _announce(self, letters: Sequence[DeadLetter]) -> None:
        """Before the commit: after it nobody would send them again. The database keeps them in any case."""
        for attempt in range(1, ANNOUNCEMENTS + 1) if letters else ():
            self.heartbeat()
            try:
                self.announce(letters)
            except StreamUnavailable as error:
                logger.error("dead letters were not announced (attempt %d of %d): %s", attempt, ANNOUNCEMENTS, error)
                if attempt < ANNOUNCEMENTS:
                    self.backoff.pause()
            else:
                return

    def _quarantined(self, part: _Part, error: Exception) -> _Part:
        """The bad event is alone: a dead letter in its place. Unless every event is bad: then it is our fault."""
        if not isinstance(error, InvalidInput):
            self._num_unexplained += 1
            if self._num_unexplained > MAX_UNEXPLAINED:
                raise error
        (event,), (offset,) = part.decoded.events, part.decoded.offsets
        message = Message(part.first.topic, part.first.partition, offset, key=None, value=None)
        reason = str(error) if isinstance(error, InvalidInput) else f"{type(error).__name__}: {error}"
        logger.error("%s: event %s set aside: %s", message.place, event.event_id, reason)
        letter = self.codec.dead_letter(message, reason, encode(event))
        return replace(part, decoded=Decoded(dead_letters=[*part.decoded.dead_letters, letter]))


def _log_refused(letters: Sequence[DeadLetter]) -> None:
    for letter in letters[:5]:
        logger.warning("%s/%d@%d: set aside: %s", letter.source, letter.partition, letter.offset, letter.reason)
    if len(letters) > 5:
        logger.warning("and %d more in the same batch", len(letters) - 5)


def _one_ahead(items: Iterator[T], pool: Executor) -> Iterator[T]:
    """The items of an iterator; the next is made in a thread while one is in use: it waits for the database anyhow."""
    item = next(items, None)
    while item is not None:
        coming = pool.submit(next, items, None)
        yield item
        item = coming.result()


@dataclass(slots=True)
class _Part:
    """What one partition brings to a transaction: `decoded`, from the messages `first` to `last_offset`."""

    first: Message
    last_offset: int
    decoded: Decoded = field(default_factory=Decoded)

    @property
    def batch(self) -> EventBatch:
        held = self.decoded
        place = (self.first.topic, self.first.partition, held.offsets, self.first.offset, self.last_offset)
        return EventBatch(held.events, StreamSource(*place), held.dead_letters)

    def halves(self) -> tuple[_Part, _Part]:
        """Two halves. The left one's last offset counts complete messages only: of a split array, none."""
        held = self.decoded
        middle = len(held.events) // 2
        boundary = held.offsets[middle] - 1
        left = [letter for letter in held.dead_letters if letter.offset <= boundary]
        right = [letter for letter in held.dead_letters if letter.offset > boundary]
        return (
            _Part(self.first, boundary, Decoded(held.events[:middle], held.offsets[:middle], left)),
            _Part(self.first, self.last_offset, Decoded(held.events[middle:], held.offsets[middle:], right)),
        )
