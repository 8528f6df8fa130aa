"""Where events come from, how they are handed to ingest, and what became of them: plain values.

Independent of stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.interactions import Interaction
from core.records import DeadLetter, UserState
from core.statuses import EventStatus


@dataclass(frozen=True, slots=True)
class StreamSource:
    """Messages of one partition. `offsets`: of each event; `last_offset`: of the last message, even one without any."""

    stream: str
    partition: int
    offsets: Sequence[int]
    first_offset: int
    last_offset: int

    @property
    def live(self) -> bool:
        """They happen now."""
        return True


@dataclass(frozen=True, slots=True)
class RequestSource:
    """Events without offsets; `writer` names who applies them (a process, an import).

    `live`: they happen now, so that it makes sense to ask how the model of this moment would have placed them.
    """

    writer: str
    live: bool = True

    @property
    def stream(self) -> str:
        """A writer of requests is a stream of one partition that keeps no offset."""
        return self.writer

    @property
    def partition(self) -> int:
        """Always the first."""
        return 0


Source = StreamSource | RequestSource


@dataclass(frozen=True, slots=True)
class EventBatch:
    """What one source brings: events in their order, and input that is to be kept aside."""

    events: Sequence[Interaction]
    source: Source
    dead_letters: Sequence[DeadLetter] = ()


class LogPosition(Protocol):
    """The position of a message in the event log."""

    @property
    def topic(self) -> str:
        """The log's name."""
        ...

    @property
    def partition(self) -> int:
        """The partition of its user."""
        ...

    @property
    def offset(self) -> int:
        """Its offset in the partition."""
        ...


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """What became of one event. `user_seq`: the user's sequence number after it, 0 where unknown."""

    status: EventStatus
    user_seq: int = 0
    position: LogPosition | None = None


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of events. `statuses`, `user_seqs`: one per event, in the order given.

    `states`: the users who changed, as they stand after the commit.
    """

    statuses: list[EventStatus]
    user_seqs: list[int]
    states: dict[str, UserState]

    @property
    def num_accepted(self) -> int:
        """How many events were new."""
        return self.statuses.count(EventStatus.ACCEPTED)

    def outcomes(self, start: int, end: int) -> list[EventOutcome]:
        """The outcomes of some of the events: of one request of several that were applied together."""
        return list(map(EventOutcome, self.statuses[start:end], self.user_seqs[start:end]))
