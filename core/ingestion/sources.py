"""The input and output of ingest: event batches, their sources, and the result. Plain values, independent of stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.events.interactions import Interaction
from core.records.statuses import EventStatus
from core.records.stored import DeadLetter, UserState


@dataclass(frozen=True, slots=True)
class StreamSource:
    """Messages of a partition. `offsets`: one per event; `last_offset`: of the last message, with events or not."""

    stream: str
    partition: int
    offsets: Sequence[int]
    first_offset: int
    last_offset: int

    @property
    def live(self) -> bool:
        """Kafka events are live."""
        return True


@dataclass(frozen=True, slots=True)
class RequestSource:
    """Events without offsets; `writer` names the process or the import that applies them.

    `live`: they happen now, so that the current model can be scored on them.
    """

    writer: str
    live: bool = True

    @property
    def stream(self) -> str:
        """The writer is a stream of one partition without offsets."""
        return self.writer

    @property
    def partition(self) -> int:
        """Always 0."""
        return 0


Source = StreamSource | RequestSource


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events of one source in their order, and its dead letters."""

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
    """The result of a batch. `statuses`, `user_seqs`: one per event, in their order.

    `states`: the users that changed, as committed.
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
