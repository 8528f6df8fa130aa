"""What the HTTP layer is given: the use cases, ports and limits that the composition root has put together.

Knows nothing about how they are made; `serving` imports `core` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.clock import Clock, WallClock
from core.ingestion.dead_letters import Decode
from core.ingestion.ingest import Ingestor
from core.interactions import EventTypes, Interaction
from core.interests.user_interest import Interests
from core.ports import DeadLetter, Store, UserState
from core.recommendation.recommender import Recommender
from core.recommendation.snapshot import ServingSnapshot


class Snapshots(Protocol):
    """Where the current snapshot comes from: `core.recommendation.snapshot.SnapshotManager`."""

    problem: str | None  # why the champion does not serve

    def current(self) -> ServingSnapshot:
        """The snapshot that answers now; raises `NotReady` before the first one."""
        ...


class LogPosition(Protocol):
    """Where an event stands in the log."""

    @property
    def topic(self) -> str:
        """The log's name."""
        ...

    @property
    def partition(self) -> int:
        """The part of the log that holds its user."""
        ...

    @property
    def offset(self) -> int:
        """The place of its message there."""
        ...


class EventLog(Protocol):
    """The log that workers apply: `stream.kafka.event_log.KafkaLog`. Called by several threads."""

    @property
    def name(self) -> str:
        """Under which the database keeps how far it has applied each partition."""
        ...

    def publish(self, events: Sequence[Interaction]) -> Sequence[LogPosition]:
        """Add events; returns their positions once all replicas have them; raises `StreamUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may ask for, and how much may wait.

    `max_group_events`: how many events, of however many requests, share one transaction. `send_timeout_s`: how long an
    event log may take to confirm. `wait_timeout_s`: how long workers may take where a request waits for them.
    `pulse_s`: the period of a sample of `/v1/activity`.
    """

    max_events: int = 10_000
    max_body_bytes: int = 16 * 2**20
    max_n: int = 500
    max_ids: int = 1_000
    max_future_ms: int = 300_000
    max_group_events: int = 2_000
    max_waiting_events: int = 50_000
    max_waiting_reads: int = 512
    num_readers: int = 4
    send_timeout_s: float = 1.9  # a log that is away is told within 2 s
    wait_timeout_s: float = 10.0
    pulse_s: float = 5.0


@dataclass(frozen=True, slots=True)
class DeadLetterDecoder:
    """Who can read dead letters again: the sources whose letters `decode` understands."""

    decode: Decode
    sources: tuple[str, ...] = ()


def _nobody_follows(_states: Iterable[UserState]) -> None:
    """The null follower: every user is encoded when they are read."""


def _nobody_listens() -> None:
    """The null listener of catalogue changes: the next regular refresh finds them."""


def _cannot_read(_letter: DeadLetter) -> tuple[list[Interaction], list[str]]:
    """The null decoder: of letters from nowhere."""
    return [], ["nothing here can read it again"]


def _no_log(_applied: Mapping[int, int]) -> Mapping[int, tuple[int, int]]:
    """The null log: it has no partitions."""
    return {}


def _nothing() -> int:
    """The null count, and the null age."""
    return 0


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that the routes call.

    `ingestor` is used by the API's writer thread alone. `clock` says what "now" is for answers and for events without
    a time; how far in the future an event lies is judged by `wall`. `follow` gets the users changed by a commit
    (`EncodingQueue.submit`); `items_changed` is called after the catalogue changed (wake the refresh of the snapshot).
    Both are called on the writer thread and must return at once. `log`: where events go instead of the writer.
    `letters`: who can read dead letters again. `log_ends`: from the applied offset of each partition of `log`, the next
    offset to apply and the end of the log; it may block, and raise `StreamUnavailable`.
    `num_encoded`, `snapshot_age_s`: for metrics, how many vectors were computed and when snapshots were last renewed.
    """

    store: Store
    recommender: Recommender
    interests: Interests
    ingestor: Ingestor
    snapshots: Snapshots
    types: EventTypes
    clock: Clock
    wall: Clock = field(default_factory=WallClock)
    writer_name: str = "http"
    log: EventLog | None = None
    follow: Callable[[Iterable[UserState]], None] = _nobody_follows
    items_changed: Callable[[], None] = _nobody_listens
    letters: DeadLetterDecoder = DeadLetterDecoder(_cannot_read)
    log_ends: Callable[[Mapping[int, int]], Mapping[int, tuple[int, int]]] = _no_log
    num_encoded: Callable[[], int] = _nothing
    snapshot_age_s: Callable[[], float] = _nothing
    default_type: str = "click"
    exclude_seen: bool = True
    api_key: str | None = None
    write_key: str | None = None
    read_key: str | None = None
    limits: Limits = field(default_factory=Limits)
    version: str = "0"
    collectors: Sequence[Any] = ()  # of Prometheus, for what else this process does
