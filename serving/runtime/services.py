"""The dependencies of the API: use cases, ports and limits, put together by the composition root.

`serving` imports only `core`; it does not know the adapters behind the ports.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from core.access.sign_in import SignIn
from core.clock import Clock, WallClock
from core.events.interactions import EventTypes, Interaction
from core.experiments.current import CurrentExperiments
from core.ingestion.dead_letters import Decode
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import LogPosition
from core.interests.user_interest import Interests
from core.outcomes.answer_log import AnswerLog
from core.outcomes.report import ImpressionSource
from core.ports.store import Store
from core.recommendation.recommender import Recommender
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.stored import DeadLetter, UserState
from core.scenarios.current import CurrentScenarios
from core.users.segments import CurrentSegments


class Snapshots(Protocol):
    """Provides the current serving snapshot: `core.recommendation.snapshots.snapshot_manager.SnapshotManager`."""

    problem: str | None  # why the champion does not serve

    def current(self) -> ServingSnapshot:
        """The current snapshot; raises `NotReady` before the first one."""
        ...


class EventLog(Protocol):
    """The log that workers apply: `stream.kafka.event_log.KafkaLog`. Called by several threads."""

    @property
    def name(self) -> str:
        """The topic, under which the database keeps the applied offset of each partition."""
        ...

    def publish(self, events: Sequence[Interaction]) -> Sequence[LogPosition]:
        """Publish events; returns their positions once all replicas have them; raises `StreamUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request and of the queues.

    `max_bodies_bytes`: of all requests that are being answered.
    `max_group_events`: the most events of one transaction, over all its requests. `max_wait_s`: until a request that
    still waits for others is refused. `send_timeout_s`: how long an
    event log may take to acknowledge. `wait_timeout_s`: how long a request waits until workers have applied its events.
    `activity_period_s`: the period of a sample of `/v1/activity`.
    """

    max_events: int = 10_000
    max_body_bytes: int = 16 * 2**20
    max_bodies_bytes: int = 128 * 2**20
    max_n: int = 500
    max_ids: int = 1_000
    max_future_ms: int = 300_000
    max_group_events: int = 2_000
    max_waiting_events: int = 50_000
    max_waiting_reads: int = 512
    max_wait_s: float = 2.0
    num_readers: int = 4
    send_timeout_s: float = 1.9  # clients learn within 2 s that a log is unavailable
    wait_timeout_s: float = 10.0
    activity_period_s: float = 5.0

    @property
    def max_object_bytes(self) -> int:
        """The largest body of a query or definition: enough for 1,000 ids of 256 bytes with times, escaped."""
        return min(self.max_body_bytes, 2 * 2**20)


@dataclass(frozen=True, slots=True)
class DeadLetterDecoder:
    """Decodes dead letters for a retry: those of `sources`."""

    decode: Decode
    sources: tuple[str, ...] = ()


def _no_encoding(_states: Iterable[UserState]) -> None:
    """Users are encoded when they are read."""


def _no_listener() -> None:
    """The next periodic refresh finds the change."""


def _no_decoder(_dead_letter: DeadLetter) -> tuple[list[Interaction], list[str]]:
    return [], ["no decoder for its source"]


def _no_log(_applied: Mapping[int, int]) -> Mapping[int, tuple[int, int]]:
    return {}


def _zero() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that the routes call.

    `answers` remembers what was recommended. `ingestor` is used by the API's writer thread only. `clock` is "now" for
    answers and for events without a time; `wall` is the wall clock, by which events too far in the future are rejected.
    `encode` gets the users changed by a commit (`EncodingQueue.submit`); `items_changed` and `champion_changed` are
    called after a catalogue change and a promotion (they wake the snapshot refresh). All three are called on the writer
    thread and must return at once. `log`: where events go instead of the writer. `log_end_offsets`: from the applied
    offset of each partition of `log`, the next offset to apply and the log end offset; it may block, and raise
    `StreamUnavailable`. `num_encoded`, `snapshot_age_s`: for metrics, the number of vectors computed and the age of the
    snapshot. `rate_limits`: the folder by which API processes share the limits of keys.
    """

    store: Store
    recommender: Recommender
    interests: Interests
    ingestor: Ingestor
    snapshots: Snapshots
    types: EventTypes
    clock: Clock
    answers: AnswerLog
    scenarios: CurrentScenarios
    experiments: CurrentExperiments
    segments: CurrentSegments
    wall: Clock = field(default_factory=WallClock)
    writer_name: str = "http"
    log: EventLog | None = None
    encode: Callable[[Iterable[UserState]], None] = _no_encoding
    items_changed: Callable[[], None] = _no_listener
    champion_changed: Callable[[], None] = _no_listener
    dead_letter_decoder: DeadLetterDecoder = DeadLetterDecoder(_no_decoder)
    log_end_offsets: Callable[[Mapping[int, int]], Mapping[int, tuple[int, int]]] = _no_log
    num_encoded: Callable[[], int] = _zero
    snapshot_age_s: Callable[[], float] = _zero
    default_type: str = "click"
    exclude_seen: bool = True
    impressions: ImpressionSource = "answers"
    api_key: str | None = None
    write_key: str | None = None
    read_key: str | None = None
    sign_in: SignIn | None = None  # to the dashboard; only with `api_key`
    cursor_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    cors_origins: Sequence[str] = ()  # of web pages that may call the API; only with `api_key`
    limits: Limits = field(default_factory=Limits)
    rate_limits: Path | None = None
    version: str = "0"
    collectors: Sequence[Any] = ()  # more Prometheus collectors of this process
