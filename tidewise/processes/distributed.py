"""Distributed: the processes that live beside the API when events come through Kafka."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from core.clock import DAY_MS
from core.errors import InvalidSettings, StreamUnavailable
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import EventBatch, IngestResult
from core.interactions import Interaction
from core.recommendation.encoding_queue import EncodingQueue
from tidewise.bootstrap import open_system
from tidewise.process_setup import freeze_gc, use_log_format
from tidewise.processes.encoding import start_worker_encoding
from tidewise.settings.schema import Settings

if TYPE_CHECKING:
    from serving.runtime.services import DeadLetterDecoder
    from stream.kafka.event_log import KafkaLog
    from stream.kafka.settings import KafkaSettings
    from stream.messages.codec import Codec
    from stream.replay import Replayed

logger = logging.getLogger(__name__)

REPLAY_TIMEOUT_S = 30.0  # a broker that restarts is waited for
REPLAY_LINGER_MS = 5
SEND_TIMEOUT_S = 1.5  # a request that cannot be taken in is told so within 2 s


def kafka_settings(settings: Settings) -> KafkaSettings:
    """How to reach Kafka; raises `InvalidSettings` where no broker is named or the extra is not installed."""
    from stream.kafka.settings import KafkaSecurity, KafkaSettings

    given = settings.kafka
    if not given.bootstrap_servers:
        msg = "kafka.bootstrap_servers: wanted the brokers' addresses; give --kafka HOST:PORT"
        raise InvalidSettings(msg)
    return KafkaSettings(
        servers=tuple(part.strip() for part in given.bootstrap_servers.split(",")),
        topic=given.topic,
        dead_letter_topic=given.dead_letter_topic,
        partitions=given.partitions,
        replication=given.replication_factor,
        retention_ms=int(given.retention_days * DAY_MS),
        group=given.group_id,
        security=KafkaSecurity(
            protocol=given.security_protocol,
            mechanism=given.sasl_mechanism,
            username=given.sasl_username,
            password=given.sasl_password.get_secret_value(),
            ca_file=given.ssl_ca_file,
            cert_file=given.ssl_cert_file,
            key_file=given.ssl_key_file,
        ),
    )


def open_log(stack: ExitStack, settings: Settings) -> KafkaLog | None:
    """Where the API sends events, until the stack unwinds; None without Kafka. One that is away may come later."""
    if not settings.kafka.bootstrap_servers:
        return None
    kafka = replace(kafka_settings(settings), request_timeout_s=SEND_TIMEOUT_S)
    try:
        from stream.kafka.event_log import KafkaLog
    except ModuleNotFoundError as error:
        raise _extra_missing("an API before Kafka", error) from error

    log = KafkaLog(kafka)
    stack.callback(log.close)
    try:
        log.open()
    except StreamUnavailable as error:
        logger.warning("events are refused until Kafka takes them: %s", error)
    return log


def letter_desk(settings: Settings) -> DeadLetterDecoder:
    """Who can read the dead letters of the events' topic again."""
    from serving.runtime.services import DeadLetterDecoder

    return DeadLetterDecoder(codec_of(settings).decode_letter, (settings.kafka.topic,))


def log_ends(settings: Settings) -> Callable[[Mapping[int, int]], Mapping[int, tuple[int, int]]]:
    """How far the database is behind the log: asks Kafka at each call."""

    def ends(applied: Mapping[int, int]) -> Mapping[int, tuple[int, int]]:
        from stream.kafka.lag import partition_statuses

        statuses = partition_statuses(replace(kafka_settings(settings), request_timeout_s=SEND_TIMEOUT_S), applied)
        return {part: (one.next_offset or 0, one.log_end or 0) for part, one in statuses.items()}

    return ends


def replay_to_kafka(
    settings: Settings,
    events: Iterable[Interaction],
    *,
    rate: float | None = None,
    speed: float | None = None,
    group: int = 1,
    on_progress: Callable[[int], None] = lambda num_sent: None,
) -> Replayed:
    """Send events to the topic, which is made where it is missing; `rate`: per second; `speed`: of their own times."""
    kafka = replace(kafka_settings(settings), request_timeout_s=REPLAY_TIMEOUT_S)
    try:
        from stream.kafka.producer import EventProducer
        from stream.kafka.topics import ensure_topics
        from stream.replay import FullSpeed, Rate, Replay, TimeLapse
    except ModuleNotFoundError as error:
        raise _extra_missing("a replay through Kafka", error) from error

    pace = Rate(rate) if rate is not None else TimeLapse(speed) if speed is not None else FullSpeed()
    ensure_topics(kafka)
    with EventProducer(kafka, linger_ms=REPLAY_LINGER_MS) as producer:
        return Replay(producer, pace=pace, group=group, on_progress=on_progress).run(events)


def log_bounds_of(settings: Settings) -> dict[int, tuple[int, int]]:
    """For each partition its first offset, and the offset that its next message will get."""
    kafka = kafka_settings(settings)
    try:
        from stream.kafka.lag import log_bounds
    except ModuleNotFoundError as error:
        raise _extra_missing("looking at Kafka's log", error) from error

    return log_bounds(kafka)


def _extra_missing(what: str, error: ModuleNotFoundError) -> InvalidSettings:
    msg = f"{what} needs the kafka extra ({error.name} is missing); install it: pip install 'tidewise[kafka]'"
    return InvalidSettings(msg)


def codec_of(settings: Settings, *, num_partitions: int | None = None) -> Codec:
    """What messages mean by these settings; `num_partitions`: where users of other partitions are to be refused."""
    from stream.messages.codec import Codec
    from stream.messages.fields import FieldMap

    given = settings.kafka
    return Codec(
        types=settings.event_types(),
        fields=FieldMap(paths=given.fields, types=given.types, time_unit=given.time_unit),
        num_partitions=num_partitions,
        max_future_ms=int(settings.events.max_future_s * 1000),
        default_type=settings.events.default_type,
    )


def run_worker(settings: Settings) -> None:
    """Consume interactions from Kafka until SIGINT or SIGTERM; to be called in the main thread."""
    kafka = kafka_settings(settings)
    try:
        from stream.kafka.producer import DeadLetterTopic
        from stream.kafka.settings import WorkerSettings
        from stream.kafka.topics import ensure_topics
        from stream.worker.worker import StreamWorker
        from tidewise.metrics.port import exposed
        from tidewise.metrics.worker import WorkerMetrics
    except ModuleNotFoundError as error:
        raise _extra_missing("the worker", error) from error

    given = settings.kafka
    use_log_format(settings.log.format)
    with ExitStack() as stack:
        system = stack.enter_context(open_system(settings))
        announce = stack.enter_context(closing(DeadLetterTopic(kafka)))
        codec = codec_of(settings, num_partitions=ensure_topics(kafka))
        worker = WorkerSettings(name=given.worker, max_events=given.max_batch_events, within_s=given.linger_ms / 1000)
        follower = start_worker_encoding(stack, settings)
        metrics = WorkerMetrics(follower)
        stack.enter_context(exposed(metrics.registry, settings.metrics))
        ingest = FollowedIngestor(system.ingestor, follower, applied=metrics.applied, full=given.max_batch_events)
        freeze_gc()
        StreamWorker(kafka, worker, ingest=ingest, codec=codec, announce=announce, on_status=metrics.see).run()


class Applied(Protocol):
    """Who is told of commits."""

    def __call__(self, *, num_events: int, took_s: float) -> None:
        """A batch was applied."""
        ...


class FollowedIngestor:
    """An `Ingestor` whose changed users are encoded after each commit; `applied` is told of each.

    `full`: with so many events a transaction is full, so that more of them probably wait.
    """

    def __init__(self, ingestor: Ingestor, follower: EncodingQueue, *, applied: Applied, full: int) -> None:
        self._ingestor = ingestor
        self._follower = follower
        self._full = full
        self._applied = applied

    def applied_offset(self, stream: str, partition: int) -> int | None:
        """The database's offset of a partition."""
        return self._ingestor.applied_offset(stream, partition)

    def forget(self) -> None:
        """Drop what was remembered of partitions."""
        self._ingestor.forget()

    def ingest_together(self, batches: Sequence[EventBatch]) -> IngestResult:
        """Apply batches of several partitions, then mark their users as dirty."""
        started_s = time.perf_counter()
        result = self._ingestor.ingest_together(batches)
        self._applied(num_events=len(result.statuses), took_s=time.perf_counter() - started_s)
        self._follower.submit(result.states.values(), behind=len(result.statuses) >= self._full)
        return result
