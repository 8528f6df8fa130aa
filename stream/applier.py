"""Applies the messages of one partition: decode, call the use case, and settle every error, so that the caller may
acknowledge all of them or none.

    operational (the database is away)      tried again for ever, with growing pauses, until the worker stops
    data (the use case refuses an event)    the batch is halved until the bad event is alone: a dead letter
    fencing (another worker was faster)     nothing is acknowledged; the worker reads again from the database's offset
    fatal (the database is not ours)        nothing is acknowledged; the worker ends

Runs in a thread of its own, never on an event loop. Knows nothing about Faust.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from core.errors import InvalidInput, PartitionLost, StoreConflict, StoreMismatch, StoreUnavailable, StreamUnavailable
from core.ingest import StreamSource
from core.interactions import Interaction
from core.ports import DeadLetter
from stream.codec import Codec, Decoded, Message, encode
from stream.status import Tally

logger = logging.getLogger(__name__)


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
    longest_s: float = 5.0
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

    def apply(self, messages: Sequence[Message]) -> Outcome:
        """Apply all of it or, when the partition is another worker's, nothing."""
        decoded = Decoded()
        for message in messages:
            self.codec.decode(message, decoded)
        first, last = messages[0], messages[-1]
        batch = _Slice(list(zip(decoded.offsets, decoded.events, strict=True)), decoded.dead_letters)
        self._log_refused(decoded.dead_letters)
        try:
            self._apply(first, last.offset, batch)
        except PartitionLost as error:
            logger.warning("%s..%d: nothing applied: %s", first.place, last.offset, error)
            self.tally.num_lost += 1
            return Outcome.LOST
        self.tally.num_messages += len(messages)
        self.tally.num_events += len(decoded.events)
        self.tally.num_dead_letters += len(decoded.dead_letters)
        if last.timestamp_ms is not None:
            self.tally.age_ms = max(0, self.codec.clock.now_ms() - last.timestamp_ms)
        return Outcome.APPLIED

    def _apply(self, first: Message, last_offset: int, batch: _Slice) -> None:
        """One transaction, or several where the use case refuses an event."""
        try:
            self._persist(first, last_offset, batch)
        except (PartitionLost, StoreMismatch, Stopping):
            raise
        except Exception as error:
            if not batch.events:
                raise
            if len(batch.events) == 1:
                self._quarantine(first, last_offset, batch, error)
            else:
                boundary, left, right = batch.halves()
                self._apply(first, boundary, left)
                self._apply(first, last_offset, right)

    def _persist(self, first: Message, last_offset: int, batch: _Slice) -> None:
        """Announce and apply, for as long as what is in the way is not the batch itself."""
        source = StreamSource(first.topic, first.partition, batch.offsets, first.offset, last_offset)
        while True:
            self.heartbeat()
            try:
                if batch.dead_letters:
                    self.announce(batch.dead_letters)  # before the commit: after it nobody would send them again
                self.ingest.ingest([event for _, event in batch.events], source, dead_letters=batch.dead_letters)
            except (StoreUnavailable, StoreConflict, StreamUnavailable) as error:
                self.tally.num_retries += 1
                logger.warning("%s..%d: trying again: %s", first.place, last_offset, error)
                self.backoff.pause()
            else:
                self.backoff.reset()
                return

    def _quarantine(self, first: Message, last_offset: int, batch: _Slice, error: Exception) -> None:
        """The bad event is alone: keep it aside, go on behind it."""
        offset, event = batch.events[0]
        message = Message(first.topic, first.partition, offset, key=None, value=None)
        reason = str(error) if isinstance(error, InvalidInput) else f"{type(error).__name__}: {error}"
        letter = self.codec.dead_letter(message, reason, encode(event))
        logger.error("%s: event %s set aside: %s", message.place, event.event_id, reason)
        self._persist(first, last_offset, _Slice([], [*batch.dead_letters, letter]))
        self.tally.num_dead_letters += 1
        self.tally.num_events -= 1

    def _log_refused(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters[:5]:
            logger.warning("%s/%d@%d: set aside: %s", letter.source, letter.partition, letter.offset, letter.reason)
        if len(letters) > 5:
            logger.warning("and %d more in the same batch", len(letters) - 5)


@dataclass(frozen=True, slots=True)
class _Slice:
    """Events with the offsets of their messages, and the dead letters among them."""

    events: list[tuple[int, Interaction]]
    dead_letters: list[DeadLetter]

    @property
    def offsets(self) -> list[int]:
        return [offset for offset, _ in self.events]

    def halves(self) -> tuple[int, _Slice, _Slice]:
        """Two halves, and the last offset of the left one: complete messages only, so a split array counts as right."""
        middle = len(self.events) // 2
        boundary = self.events[middle][0] - 1
        left = [letter for letter in self.dead_letters if letter.offset <= boundary]
        right = [letter for letter in self.dead_letters if letter.offset > boundary]
        return boundary, _Slice(self.events[:middle], left), _Slice(self.events[middle:], right)
