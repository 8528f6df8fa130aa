"""Topics: made with the right number of partitions and retention, and never shrunk.

Knows nothing about what messages mean.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from core.errors import InvalidSettings, StreamUnavailable, TopicMissing
from stream.kafka.settings import KafkaSettings

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 10 * (1 << 20)  # an array of 10,000 events of a kilobyte each


def ensure_topics(settings: KafkaSettings, *, grow: bool = False) -> int:
    """Make both topics where they are missing; returns the number of partitions of the events' topic.

    An existing topic keeps its messages. More partitions than it has are added only with `grow`, because they move
    users to other partitions (docs/operations.md says how). Fewer are refused: Kafka cannot take partitions away.
    """
    with connected_admin(settings) as admin:
        _create(admin, settings.topic, settings.partitions, settings)
        _create(admin, settings.dead_letter_topic, 1, settings)
        found = partitions_of(admin, settings.topic)
        if found > settings.partitions:
            msg = (
                f"kafka.partitions: topic {settings.topic} has {found} partitions and cannot shrink to "
                f"{settings.partitions}; set kafka.partitions to {found}, or use a new topic"
            )
            raise InvalidSettings(msg)
        if found < settings.partitions:
            if not grow:
                msg = (
                    f"kafka.partitions: topic {settings.topic} has {found} partitions, not {settings.partitions}; "
                    "adding some moves users between partitions, so stop the producers, let the workers apply what is "
                    "there, and then ask for it explicitly"
                )
                raise InvalidSettings(msg)
            admin.create_partitions({settings.topic: settings.partitions})
            admin.wait_for_topics([settings.topic])
            logger.info("topic %s: grown from %d to %d partitions", settings.topic, found, settings.partitions)
    return settings.partitions


def num_partitions(settings: KafkaSettings) -> int:
    """How many partitions the events' topic has; raises `TopicMissing` when it does not exist."""
    with connected_admin(settings) as admin:
        return partitions_of(admin, settings.topic)


def delete_topics(settings: KafkaSettings) -> None:
    """Delete both topics with everything in them."""
    with connected_admin(settings) as admin:
        present = set(admin.list_topics())
        doomed = [name for name in (settings.topic, settings.dead_letter_topic) if name in present]
        if doomed:
            admin.delete_topics(doomed)


def require_broker(settings: KafkaSettings) -> None:
    """Raise `StreamUnavailable` at once when no broker can be reached.

    A kafka-python client asked to connect to nothing takes its whole timeout to say so, and leaves sockets behind.
    """
    refusals = []
    for server in settings.servers:
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=settings.request_timeout_s).close()
        except OSError as error:
            refusals.append(f"{server} ({error})")
        else:
            return
    advice = "check that it runs and that kafka.bootstrap_servers names it"
    msg = f"Kafka cannot be reached at {', '.join(refusals)}; {advice}"
    raise StreamUnavailable(msg)


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """What every kafka-python client is told: where the brokers are and how long to wait for them."""
    timeout_ms = int(settings.request_timeout_s * 1000)
    security = settings.security
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.servers),
        "client_id": "tidewise",
        "request_timeout_ms": timeout_ms,
        "bootstrap_timeout_ms": timeout_ms,
        "reconnect_backoff_max_ms": 1_000,
        "security_protocol": security.protocol,
    }
    if security.sasl:
        options["sasl_mechanism"] = security.mechanism
        options["sasl_plain_username"] = security.username
        options["sasl_plain_password"] = security.password
    if context := security.tls():
        options["ssl_context"] = context
    return options


@contextmanager
def kafka_errors(settings: KafkaSettings, what: str) -> Iterator[None]:
    """Turns the client's errors into ours, with where and what to do."""
    try:
        yield
    except KafkaError as error:
        msg = (
            f"{what}: Kafka at {', '.join(settings.servers)} did not do it within {settings.request_timeout_s:g} s "
            f"({type(error).__name__}: {error}); check that the broker runs, that kafka.bootstrap_servers names "
            "it, and name and password or certificates if it wants them"
        )
        raise StreamUnavailable(msg) from error


@contextmanager
def connected_admin(settings: KafkaSettings) -> Iterator[KafkaAdminClient]:
    """An admin client for one block, its errors turned into ours."""
    require_broker(settings)
    with kafka_errors(settings, "topics"):
        admin = KafkaAdminClient(**client_options(settings))
        try:
            yield admin
        finally:
            admin.close()


def _create(admin: KafkaAdminClient, name: str, partitions: int, settings: KafkaSettings) -> None:
    spec: Mapping[str, Any] = {
        "num_partitions": partitions,
        "replication_factor": settings.replication,
        "configs": {"retention.ms": str(settings.retention_ms), "max.message.bytes": str(MAX_MESSAGE_BYTES)},
    }
    if name in admin.list_topics():
        return
    try:
        admin.create_topics({name: spec}, wait_for_metadata=True)
        logger.info("topic %s: made with %d partitions", name, partitions)
    except TopicAlreadyExistsError:
        admin.wait_for_topics([name])  # somebody was faster


def partitions_of(admin: KafkaAdminClient, name: str) -> int:
    """How many partitions a topic has; raises `TopicMissing` when it does not exist."""
    if name not in admin.list_topics():
        msg = f"topic {name} does not exist; start a worker, which makes it"
        raise TopicMissing(msg)
    return len(admin.describe_topics([name])[0]["partitions"])
