"""Applies the messages of one partition: decode, call the use case, and settle every error, so that the caller may
acknowledge all of them or none.

    operational (the database is away)      tried again for ever, with growing pauses, until the worker stops
    data (the use case refuses an event)    the batch is halved until the bad event is alone: a dead letter;
                                            if event after event fails and none says why, the worker ends
    fencing (another worker was faster)     nothing is acknowledged; the worker reads again from the database's offset
    fatal (the database is not ours)        nothing is acknowledged; the worker ends

Runs in a thread of its own, never on an event loop. Knows nothing about Faust.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from itertools import zip_longest
from typing import Protocol, TypeVar

from core.errors import InvalidInput, PartitionLost, StoreConflict, StoreMismatch, StoreUnavailable, StreamUnavailable
from core.ingest import StreamSource
from core.interactions import Interaction
from core.ports import DeadLetter
from stream.codec import Codec, Decoded, Message, encode
from stream.status import Tally

logger = logging.getLogger(__name__)
T = TypeVar("T")

ANNOUNCEMENTS = 3  # tries to put dead letters on their topic; the database keeps them anyhow
MAX_UNEXPLAINED = 20  # so many events in a row with an error that names no fault of theirs: the fault is ours


class Ingest(Protocol):
    """The use case: `core.ingest.Ingestor`."""

    def ingest(
        self, events: Sequence[Interaction], source: StreamSource, *, dead_letters: Sequence[DeadLetter] = ()
    ) -> object:
        """Apply events and keep dead letters, in one transaction."""
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


class Outcome(Enum):
    """What to do with the messages: acknowledge all of them, or start again at the database's offset."""

    APPLIED = auto()
    LOST = auto()


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
    """Applies batches of messages, each of one partition, in ascending offset.

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

    def apply(self, messages: Sequence[Message]) -> Outcome:
        """Apply messages in their order, a transaction's worth at a time.

        LOST: the partition is another worker's by now, and what is left was not applied.
        """
        try:
            for batch in _one_ahead(self._batches(messages), self._decoder):
                self._log_refused(batch.dead_letters)
                self._apply(batch)
                self._count(batch)
        except PartitionLost as error:
            logger.warning("%s and what follows: not applied: %s", messages[0].place, error)
            self.tally.num_lost += 1
            return Outcome.LOST
        self.tally.num_messages += len(messages)
        if messages[-1].timestamp_ms is not None:
            self.tally.age_ms = max(0, self.codec.clock.now_ms() - messages[-1].timestamp_ms)
        return Outcome.APPLIED

    def _batches(self, messages: Sequence[Message]) -> Iterator[_Batch]:
        """Whole messages, decoded, until a transaction holds enough events: arrays would make it long otherwise."""
        first, decoded = messages[0], Decoded()
        for message, following in zip_longest(messages, messages[1:]):
            self._decode(message, decoded)
            if following is None or len(decoded.events) >= self.max_events:
                events = list(zip(decoded.offsets, decoded.events, strict=True))
                yield _Batch(first, message.offset, events, decoded.dead_letters)
                first, decoded = following, Decoded()

    def _decode(self, message: Message, into: Decoded) -> None:
        try:
            self.codec.decode(message, into)
        except Exception as error:  # a fault of ours, but one message must not stop the stream
            logger.exception("%s: the decoder failed", message.place)
            reason = f"value: the decoder failed ({type(error).__name__}: {error}); report it with this payload"
            into.dead_letters.append(self.codec.dead_letter(message, reason, message.value or b""))

    def _apply(self, batch: _Batch) -> None:
        """One transaction, or several where the use case refuses an event."""
        try:
            self._persist(batch)
        except (PartitionLost, StoreMismatch, Stopping):
            raise
        except Exception as error:
            if not batch.events:
                raise
            if len(batch.events) == 1:
                self._quarantine(batch, error)
            else:
                for half in batch.halves():
                    self._apply(half)

    def _persist(self, batch: _Batch) -> None:
        """Announce and apply, for as long as what is in the way is not the batch itself."""
        self._announce(batch.dead_letters)
        while True:
            self.heartbeat()
            try:
                self.ingest.ingest([event for _, event in batch.events], batch.source, dead_letters=batch.dead_letters)
            except (StoreUnavailable, StoreConflict) as error:
                self.tally.num_retries += 1
                logger.warning("%s..%d: trying again: %s", batch.first.place, batch.last_offset, error)
                self.backoff.pause()
            else:
                self.backoff.reset()
                self._num_unexplained = 0 if batch.events else self._num_unexplained
                return

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

    def _quarantine(self, batch: _Batch, error: Exception) -> None:
        """The bad event is alone: keep it aside, go on behind it. Unless every event is bad: then it is our fault."""
        if not isinstance(error, InvalidInput):
            self._num_unexplained += 1
            if self._num_unexplained > MAX_UNEXPLAINED:
                raise error
        offset, event = batch.events[0]
        message = Message(batch.first.topic, batch.first.partition, offset, key=None, value=None)
        reason = str(error) if isinstance(error, InvalidInput) else f"{type(error).__name__}: {error}"
        logger.error("%s: event %s set aside: %s", message.place, event.event_id, reason)
        letter = self.codec.dead_letter(message, reason, encode(event))
        self._persist(replace(batch, events=[], dead_letters=[*batch.dead_letters, letter]))
        self.tally.num_dead_letters += 1
        self.tally.num_events -= 1

    def _count(self, batch: _Batch) -> None:
        self.tally.num_events += len(batch.events)
        self.tally.num_dead_letters += len(batch.dead_letters)

    def _log_refused(self, letters: Sequence[DeadLetter]) -> None:
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


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one transaction is to apply: events with the offsets of their messages, and the dead letters among them."""

    first: Message
    last_offset: int
    events: list[tuple[int, Interaction]]
    dead_letters: list[DeadLetter]

    @property
    def source(self) -> StreamSource:
        offsets = [offset for offset, _ in self.events]
        return StreamSource(self.first.topic, self.first.partition, offsets, self.first.offset, self.last_offset)

    def halves(self) -> tuple[_Batch, _Batch]:
        """Two halves. The left one's last offset counts complete messages only: of a split array, none."""
        middle = len(self.events) // 2
        boundary = self.events[middle][0] - 1
        left = [letter for letter in self.dead_letters if letter.offset <= boundary]
        right = [letter for letter in self.dead_letters if letter.offset > boundary]
        return (
            _Batch(self.first, boundary, self.events[:middle], left),
            _Batch(self.first, self.last_offset, self.events[middle:], right),
        )
