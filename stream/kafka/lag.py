"""How far the database is behind the log, asked from any process that can reach Kafka: for metrics and readiness.

Knows nothing about databases: the applied offsets come in as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from kafka import OffsetSpec, TopicPartition

from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import connected_admin, partitions_of
from stream.worker.status import PartitionStatus


def log_bounds(settings: KafkaSettings) -> dict[int, tuple[int, int]]:
    """For each partition of the events' topic its first offset, and the offset that its next message will get."""
    with connected_admin(settings) as admin:
        places = [TopicPartition(settings.topic, number) for number in range(partitions_of(admin, settings.topic))]
        starts = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
        ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    return {place.partition: (starts[place].offset, ends[place].offset) for place in places}


def partition_statuses(settings: KafkaSettings, applied: Mapping[int, int]) -> dict[int, PartitionStatus]:
    """Each partition of the events' topic: where the database stands, where the log ends.

    A partition that was never applied stands at the beginning of the log.
    """
    return {
        partition: PartitionStatus(applied[partition] + 1 if partition in applied else start, end)
        for partition, (start, end) in log_bounds(settings).items()
    }
