"""Three brokers, as docker-compose.yml configures them: the loss of one loses no event and stops nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from services.kafka_cluster import kafka_cluster
from services.streaming import assert_counted_once, clicks, sending, streaming

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_killed_leader_delays_events_and_loses_none(
    kafka_storage: Callable[[], Path], sqlite_database: Any, tmp_path: Path
) -> None:
    events = clicks(1_600)
    with (
        kafka_cluster(kafka_storage()) as cluster,
        streaming(
            cluster.address,
            sqlite_database.url,
            sqlite_database.store,
            tmp_path,
            security=cluster.security,
            num_replicas=3,
        ) as stream,
    ):
        stream.worker.start()
        with sending(stream, len(events), rate=200):
            stream.await_events(400, timeout_s=180.0)
            killed = cluster.leader(stream.kafka, partition=0)
            cluster.one(killed, "kill")
            stream.await_events(len(events), timeout_s=180.0)  # all others while it is down
            assert cluster.leader(stream.kafka, partition=0, killed=killed) in {1, 2, 3} - {killed}
        assert_counted_once(stream.store, events)
        cluster.one(killed, "start")
