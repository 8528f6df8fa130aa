"""Kafka as the processes use it: settings, event log, decoder, replays and offsets, built from Tidewise's settings.

Imports `stream` only when called, because the kafka extra may not be installed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from core.clock import DAY_MS
from core.errors import InvalidSettings, StreamUnavailable
from core.events.interactions import Interaction
from tidewise.settings.schema import Settings

if TYPE_CHECKING:
    from serving.runtime.services import DeadLetterDecoder
    from stream.kafka.event_log import KafkaLog
    from stream.kafka.settings import StreamSettings
    from stream.messages.codec import Codec
    from stream.messages.partitioning import UserPartitions
    from stream.replay import Replayed

logger = logging.getLogger(__name__)

REPLAY_TIMEOUT_S = 30.0  # long enough for a broker to restart
REPLAY_LINGER_MS = 5
SEND_TIMEOUT_S = 1.5  # the API answers that events are not accepted within 2 s


def kafka_settings(settings: Settings) -> StreamSettings:
    """How to reach Kafka; raises `InvalidSettings` where no broker is named."""
    from stream.kafka.settings import KafkaSecurity, StreamSettings

    options = settings.kafka
    if not options.bootstrap_servers:
        msg = "kafka.bootstrap_servers: wanted the brokers' addresses; give --kafka HOST:PORT"
        raise InvalidSettings(msg)
    return StreamSettings(
        servers=tuple(part.strip() for part in options.bootstrap_servers.split(",")),
        topic=options.topic,
        dead_letter_topic=options.dead_letter_topic,
        partitions=options.partitions,
        replication=options.replication_factor,
        min_insync_replicas=options.min_insync_replicas,
        retention_ms=int(options.retention_days * DAY_MS),
        group=options.group_id,
        isolation_level=options.isolation_level,
        security=KafkaSecurity(
            protocol=options.security_protocol,
            mechanism=options.sasl_mechanism,
            username=options.sasl_username,
            password=options.sasl_password.get_secret_value(),
            ca_file=options.ssl_ca_file,
            cert_file=options.ssl_cert_file,
            key_file=options.ssl_key_file,
        ),
    )


def open_log(stack: ExitStack, settings: Settings) -> KafkaLog | None:
    """The log to which the API publishes events, until the stack unwinds; None without Kafka.

    Where Kafka is unavailable the log connects later.
    """
    if not settings.kafka.bootstrap_servers:
        return None
    kafka = replace(kafka_settings(settings), request_timeout_s=SEND_TIMEOUT_S)
    try:
        from stream.kafka.event_log import KafkaLog
    except ModuleNotFoundError as error:
        raise extra_missing("an API with Kafka", error) from error

    log = KafkaLog(kafka)
    stack.callback(log.close)
    try:
        log.open()
    except StreamUnavailable as error:
        logger.warning("events are refused until Kafka is available: %s", error)
    return log


def codec_of(settings: Settings, *, partitions: UserPartitions | None = None) -> Codec:
    """The decoder of the events' topic; `partitions`: to reject events of users of other partitions."""
    from stream.messages.codec import Codec
    from stream.messages.fields import FieldMap

    options = settings.kafka
    return Codec(
        types=settings.event_types(),
        fields=FieldMap(paths=options.fields, types=options.types, time_unit=options.time_unit),
        partitions=partitions,
        max_future_ms=int(settings.events.max_future_s * 1000),
        default_type=settings.events.default_type,
    )


def dead_letter_decoder(settings: Settings) -> DeadLetterDecoder:
    """Decodes the dead letters of the events' topic again."""
    from serving.runtime.services import DeadLetterDecoder

    return DeadLetterDecoder(codec_of(settings).decode_dead_letter, (settings.kafka.topic,))


def end_offsets(settings: Settings) -> Callable[[Mapping[int, int]], Mapping[int, tuple[int, int]]]:
    """A function from applied offsets to the next offset and the end offset of each partition; calls Kafka."""

    def ends(applied: Mapping[int, int]) -> Mapping[int, tuple[int, int]]:
        from stream.kafka.admin import partition_statuses

        statuses = partition_statuses(replace(kafka_settings(settings), request_timeout_s=SEND_TIMEOUT_S), applied)
        return {number: (status.next_offset or 0, status.end_offset or 0) for number, status in statuses.items()}

    return ends


def log_bounds_of(settings: Settings) -> dict[int, tuple[int, int]]:
    """Log start offset and end offset of each partition."""
    kafka = kafka_settings(settings)
    try:
        from stream.kafka.admin import log_bounds
    except ModuleNotFoundError as error:
        raise extra_missing("requesting offsets from Kafka", error) from error

    return log_bounds(kafka)


def replay_to_kafka(
    settings: Settings,
    events: Iterable[Interaction],
    *,
    rate: float | None = None,
    speed: float | None = None,
    group: int = 1,
    on_progress: Callable[[int], None] = lambda num_sent: None,
) -> Replayed:
    """Send events to the topic, which is created where missing.

    `rate`: events per second; `speed`: multiple of the speed at which they happened.
    """
    kafka = replace(kafka_settings(settings), request_timeout_s=REPLAY_TIMEOUT_S)
    try:
        from stream.kafka.admin import ensure_topics
        from stream.kafka.producer import EventProducer
        from stream.replay import FullSpeed, Rate, Replay, TimeLapse
    except ModuleNotFoundError as error:
        raise extra_missing("a replay through Kafka", error) from error

    pace = Rate(rate) if rate is not None else TimeLapse(speed) if speed is not None else FullSpeed()
    ensure_topics(kafka)
    with EventProducer(kafka, linger_ms=REPLAY_LINGER_MS) as producer:
        return Replay(producer, pace=pace, group=group, on_progress=on_progress).run(events)


def extra_missing(feature: str, error: ModuleNotFoundError) -> InvalidSettings:
    """The error for a feature that needs the kafka extra."""
    msg = f"{feature} needs the kafka extra ({error.name} is missing); install it: pip install 'tidewise[kafka]'"
    return InvalidSettings(msg)
