"""Faults while events are sent: a worker suspended past its session, workers that join and leave.

Every event counts exactly once, and everything recovers by itself. A killed broker: test_distributed_api.py.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from services.kafka import Broker
from services.streaming import assert_counted_once, clicks, sending, streaming
from services.workers import SOUGHT, wait_until

REBALANCED = "Successfully synced group"

pytestmark = pytest.mark.slow


def test_a_worker_suspended_past_its_session_changes_nothing_afterwards(
    broker: Broker, sqlite_database: Any, tmp_path: Path
) -> None:
    events = clicks(6_000)
    database = sqlite_database
    with streaming(broker.address, database.url, database.store, tmp_path, num_workers=2) as stream:
        first, zombie = stream.workers
        first.start()
        zombie.start()
        with sending(stream, len(events)):
            wait_until(lambda: SOUGHT in zombie.log, zombie)
            stream.await_events(500)
            num_rebalances = first.log.count(REBALANCED)
            zombie.signal(signal.SIGSTOP)  # perhaps during a transaction, whose locks it then keeps
            wait_until(lambda: first.log.count(REBALANCED) > num_rebalances, first)  # its partition was reassigned
            zombie.signal(signal.SIGCONT)
        stream.await_events(6_000)
        assert zombie.runs()
        assert_counted_once(stream.store, events)


def test_workers_join_and_leave_while_events_are_sent(broker: Broker, sqlite_database: Any, tmp_path: Path) -> None:
    events = clicks(4_000)
    database = sqlite_database
    with streaming(broker.address, database.url, database.store, tmp_path, num_workers=2) as stream:
        staying, leaving = stream.workers
        staying.start()
        with sending(stream, len(events)):
            stream.await_events(500)
            leaving.start()
            wait_until(lambda: SOUGHT in leaving.log, leaving)
            assert leaving.end(by=signal.SIGTERM) == 0
        stream.await_events(4_000, timeout_s=60.0)
        assert_counted_once(stream.store, events)


def test_a_stopped_worker_leaves_its_partitions_within_a_heartbeat(
    broker: Broker, sqlite_database: Any, tmp_path: Path
) -> None:
    database = sqlite_database
    with streaming(broker.address, database.url, database.store, tmp_path, num_workers=2) as stream:
        staying, leaving = stream.workers
        staying.start()
        leaving.start()
        for worker in stream.workers:
            wait_until(lambda worker=worker: SOUGHT in worker.log, worker)  # type: ignore[misc]
        num_rebalances = staying.log.count(REBALANCED)
        assert leaving.end(by=signal.SIGTERM) == 0
        left_s = time.monotonic()
        wait_until(lambda: staying.log.count(REBALANCED) > num_rebalances, staying)
        assert time.monotonic() - left_s < 4.0  # its session would expire after 6 s
        assert "has left" in leaving.log
