"""A worker's metrics: its status and its commits, as Prometheus scrapes them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.recommendation.user_vectors.encoding_queue import EncodingQueue
from core.records.stored import UserState
from stream.kafka.admin import PartitionStatus
from stream.worker.status import WorkerCounters, WorkerStatus
from tidewise.metrics.worker import WorkerMetrics


def encode_nothing(states: Sequence[UserState]) -> int:
    return len(states)


def idle_queue() -> EncodingQueue:
    return EncodingQueue(encode_nothing, on_error=lambda error: None)


def test_before_the_first_status_counters_are_zero() -> None:
    registry = WorkerMetrics(idle_queue()).registry
    assert registry.get_sample_value("tidewise_worker_events_total") == 0
    age_s = registry.get_sample_value("tidewise_worker_event_age_seconds")
    assert age_s is not None
    assert math.isnan(age_s)


def test_the_newest_status_is_exposed() -> None:
    metrics = WorkerMetrics(idle_queue())
    partitions = {0: PartitionStatus(10, 13), 3: PartitionStatus(None, 5)}
    counters = WorkerCounters(
        num_messages=7, num_events=9, num_dead_letters=2, num_retries=3, num_lost_batches=1, event_age_ms=250
    )
    metrics.set_status(WorkerStatus("worker-1", partitions, counters))
    values = {
        name: metrics.registry.get_sample_value(f"tidewise_worker_{name}")
        for name in (
            "messages_total",
            "events_total",
            "dead_letters_total",
            "retries_total",
            "lost_batches_total",
            "event_age_seconds",
        )
    }
    assert list(values.values()) == [7, 9, 2, 3, 1, 0.25]
    lags = [metrics.registry.get_sample_value("tidewise_worker_lag_messages", {"partition": n}) for n in ("0", "3")]
    assert lags == [3, 0]


def test_commits_are_counted_by_size_and_time() -> None:
    metrics = WorkerMetrics(idle_queue())
    metrics.observe_commit(num_events=40, duration_s=0.004)
    metrics.observe_commit(num_events=2, duration_s=0.4)
    value = metrics.registry.get_sample_value
    assert value("tidewise_worker_batch_events_sum") == 42
    assert value("tidewise_worker_batch_events_bucket", {"le": "2.0"}) == 1
    assert value("tidewise_worker_commit_seconds_bucket", {"le": "0.005"}) == 1
    assert value("tidewise_worker_commit_seconds_count") == 2


def test_users_behind_their_events_are_exposed() -> None:
    queue = idle_queue()
    queue.submit([UserState(1), UserState(2), UserState(1)])
    registry = WorkerMetrics(queue).registry
    assert registry.get_sample_value("tidewise_worker_queued_users") == 2
    assert registry.get_sample_value("tidewise_worker_vectors_encoded_total") == 0
