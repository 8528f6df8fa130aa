"""Kafka's admin client: topics, log start and end offsets, and leaving the consumer group.

Independent of what messages mean and of databases: applied offsets come in as numbers.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from kafka import KafkaAdminClient, OffsetSpec, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, MemberToRemove
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.protocol.consumer import IsolationLevel

from core.errors import InvalidSettings, StreamUnavailable, TopicMissing
from stream.kafka.settings import StreamSettings
from stream.messages.partitioning import UserPartitions

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 10 * (1 << 20)  # an array of 10,000 events of a kilobyte each
LEAVE_TIMEOUT_S = 3.0  # a supervisor kills a worker that takes long to stop
SHORTEST_SESSION_S = 3.0  # a shorter one takes a worker for dead that computes
USUAL_SESSION_S = 6.0  # the least that brokers allow where nobody has changed it
LEAST_SESSION = "group.min.session.timeout.ms"


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """Progress in one partition. `next_offset` is None until the worker has read the database's offset."""

    next_offset: int | None
    end_offset: int | None

    @property
    def lag(self) -> int:
        """Messages in the log that have not been applied; 0 while an offset is unknown."""
        if self.next_offset is None or self.end_offset is None:
            return 0
        return max(0, self.end_offset - self.next_offset)


def ensure_topics(settings: StreamSettings, *, grow: bool = False) -> int:
    """Create both topics where they are missing; returns the number of partitions of the events' topic.

    An existing topic keeps its messages. Partitions are only added with `grow`, because that moves users to other
    partitions (docs/operations.md says how). Fewer are refused: Kafka cannot remove partitions.
    """
    with connected_admin(settings) as admin:
        _create(admin, settings.topic, settings.partitions, settings)
        _create(admin, settings.dead_letter_topic, 1, settings)
        _warn_of_compaction(admin, settings.topic)
        existing = partitions_of(admin, settings.topic)
        if existing > settings.partitions:
            msg = (
                f"kafka.partitions: topic {settings.topic} has {existing} partitions and cannot shrink to "
                f"{settings.partitions}; set kafka.partitions to {existing}, or use a new topic"
            )
            raise InvalidSettings(msg)
        if existing < settings.partitions:
            if not grow:
                msg = (
                    f"kafka.partitions: topic {settings.topic} has {existing} partitions, not {settings.partitions}; "
                    "adding partitions moves users between them, so stop the producers, wait until the workers' lag "
                    "is 0, and then request it explicitly"
                )
                raise InvalidSettings(msg)
            admin.create_partitions({settings.topic: settings.partitions})
            _await_partitions(admin, settings)
            logger.info("topic %s: grown from %d to %d partitions", settings.topic, existing, settings.partitions)
    return settings.partitions


def ensured_partitions(settings: StreamSettings) -> UserPartitions:
    """Create missing topics as `ensure_topics` does; the partitions of users, also while the topic grows."""

    def recount() -> int:
        try:
            return num_partitions(settings)
        except StreamUnavailable as error:
            logger.warning("topic %s: its number of partitions is not known: %s", settings.topic, error)
            return 0

    return UserPartitions(ensure_topics(settings), recount=recount)


def num_partitions(settings: StreamSettings) -> int:
    """How many partitions the events' topic has; raises `TopicMissing` when it does not exist."""
    with connected_admin(settings) as admin:
        return partitions_of(admin, settings.topic)


def topic_id(settings: StreamSettings) -> str | None:
    """The id of the events' topic; None where brokers have none (before Kafka 2.8); raises `TopicMissing`."""
    with connected_admin(settings) as admin:
        identifier = _described(admin, settings.topic).get("topic_id")
    return None if identifier is None or UUID(str(identifier)).int == 0 else str(identifier)


def delete_topics(settings: StreamSettings) -> None:
    """Delete both topics with all their messages."""
    with connected_admin(settings) as admin:
        existing = set(admin.list_topics())
        names = [name for name in (settings.topic, settings.dead_letter_topic) if name in existing]
        if names:
            admin.delete_topics(names)


def log_bounds(settings: StreamSettings) -> dict[int, tuple[int, int]]:
    """Log start offset and end offset of each partition of the events' topic; the end by the isolation level."""
    level = IsolationLevel.READ_COMMITTED if settings.reads_committed else IsolationLevel.READ_UNCOMMITTED
    with connected_admin(settings) as admin:
        partitions = [TopicPartition(settings.topic, number) for number in range(partitions_of(admin, settings.topic))]
        starts = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
        ends = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST), isolation_level=level)
    return {tp.partition: (starts[tp].offset, ends[tp].offset) for tp in partitions}


def partition_statuses(settings: StreamSettings, applied: Mapping[int, int]) -> dict[int, PartitionStatus]:
    """Progress in each partition of the events' topic, from the database's `applied` offsets.

    A partition without an applied offset is at its log start offset.
    """
    return {
        partition: PartitionStatus(applied[partition] + 1 if partition in applied else start, end)
        for partition, (start, end) in log_bounds(settings).items()
    }


def leave_group(settings: StreamSettings, group_instance_id: str) -> None:
    """Remove a static member from the consumer group, so that others get its partitions before its session expires.

    Its own client does not: a member with a group instance id is expected back. Without Kafka the session expires.
    """
    try:
        with connected_admin(replace(settings, request_timeout_s=LEAVE_TIMEOUT_S)) as admin:
            admin.remove_group_members(settings.group, [MemberToRemove(group_instance_id=group_instance_id)])
    except StreamUnavailable as error:
        logger.warning("consumer group %s: %s could not leave: %s", settings.group, group_instance_id, error)
    else:
        logger.info("consumer group %s: %s has left", settings.group, group_instance_id)


def shortest_session_s(settings: StreamSettings) -> float:
    """The shortest session that every broker allows, in seconds, and at least `SHORTEST_SESSION_S`.

    `USUAL_SESSION_S` where a broker does not tell, which takes the ACL to describe the configuration of the cluster.
    Raises `StreamUnavailable` where Kafka cannot be reached.
    """
    with connected_admin(settings) as admin:
        names = [str(broker["broker_id"]) for broker in admin.describe_cluster()["brokers"]]
        brokers = [ConfigResource(ConfigResourceType.BROKER, name, [LEAST_SESSION]) for name in names]
        described = admin.describe_configs(brokers, config_filter="all")["broker"]
    if any(LEAST_SESSION not in described[name] for name in names):
        logger.info("kafka.session_timeout_s: %g, as the brokers do not tell %s", USUAL_SESSION_S, LEAST_SESSION)
        return USUAL_SESSION_S
    return max(SHORTEST_SESSION_S, *(int(described[name][LEAST_SESSION]["value"]) / 1000 for name in names))


def require_broker(settings: StreamSettings) -> None:
    """Raise `StreamUnavailable` at once when no broker can be reached.

    A kafka-python client waits its whole timeout for an unreachable broker, and leaves sockets open.
    """
    failures = []
    for server in settings.servers:
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=settings.request_timeout_s).close()
        except OSError as error:
            failures.append(f"{server} ({error})")
        else:
            return
    advice = "check that it runs and that kafka.bootstrap_servers names it"
    msg = f"Kafka cannot be reached at {', '.join(failures)}; {advice}"
    raise StreamUnavailable(msg)


def client_options(settings: StreamSettings) -> dict[str, Any]:
    """The options that every kafka-python client shares: brokers, timeouts, security."""
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
def kafka_errors(settings: StreamSettings, operation: str) -> Iterator[None]:
    """Turns the client's errors into `StreamUnavailable`, with the operation, the brokers and what to check."""
    try:
        yield
    except KafkaError as error:
        msg = (
            f"{operation}: Kafka at {', '.join(settings.servers)} failed within {settings.request_timeout_s:g} s "
            f"({type(error).__name__}: {error}); check that the broker runs, that kafka.bootstrap_servers names it, "
            "and the credentials or certificates if it requires them"
        )
        raise StreamUnavailable(msg) from error


@contextmanager
def connected_admin(settings: StreamSettings) -> Iterator[KafkaAdminClient]:
    """An admin client for one block, its errors as `StreamUnavailable`."""
    require_broker(settings)
    with kafka_errors(settings, "admin client"):
        admin = KafkaAdminClient(**client_options(settings))
        try:
            yield admin
        finally:
            admin.close()


def partitions_of(admin: KafkaAdminClient, name: str) -> int:
    """How many partitions a topic has; raises `TopicMissing` when it does not exist."""
    return len(_described(admin, name)["partitions"])


def _await_partitions(admin: KafkaAdminClient, settings: StreamSettings) -> None:
    """Wait until brokers tell of all partitions: a producer that starts before sends to the former ones alone."""
    deadline_s = time.monotonic() + settings.request_timeout_s
    while (known := partitions_of(admin, settings.topic)) < settings.partitions:
        if time.monotonic() > deadline_s:
            msg = f"topic {settings.topic}: wanted {settings.partitions} partitions, brokers still tell of {known}"
            raise StreamUnavailable(msg)
        time.sleep(0.02)


def _described(admin: KafkaAdminClient, name: str) -> Mapping[str, Any]:
    if name not in admin.list_topics():
        msg = f"topic {name} does not exist; start a worker, which creates it"
        raise TopicMissing(msg)
    described: Mapping[str, Any] = admin.describe_topics([name])[0]
    return described


def _warn_of_compaction(admin: KafkaAdminClient, name: str) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, name, ["cleanup.policy"])
    described = admin.describe_configs([resource], config_filter="all")
    [policy] = [configs[name]["cleanup.policy"]["value"] for configs in described.values()]
    if "compact" in policy:
        logger.warning(
            "topic %s is compacted: Kafka deletes all but the newest message of each key, so a worker that is late "
            "misses events; set its cleanup.policy to delete",
            name,
        )


def _create(admin: KafkaAdminClient, name: str, partitions: int, settings: StreamSettings) -> None:
    spec: Mapping[str, Any] = {
        "num_partitions": partitions,
        "replication_factor": settings.replication,
        "configs": {
            "retention.ms": str(settings.retention_ms),
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "min.insync.replicas": str(settings.min_insync_replicas),
        },
    }
    if name in admin.list_topics():
        return
    try:
        admin.create_topics({name: spec}, wait_for_metadata=True)
        logger.info("topic %s: created with %d partitions", name, partitions)
    except TopicAlreadyExistsError:
        admin.wait_for_topics([name])  # another process created it first
