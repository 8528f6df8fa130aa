"""The benchmark of size: what it makes, and how it reads its client's report."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.gorse import record
from benchmarks.scale import floor
from benchmarks.scale.catalogue import moved
from benchmarks.scale.client import WrkReport, parsed
from benchmarks.scale.killed import listeners
from benchmarks.scale.processes import cpu_s, family, memory_bytes, own_memory_bytes
from benchmarks.scale.versions import ratios

REPORT = """
  Latency Distribution
     50%  500.00us
     75%    1.20ms
     90%    2.00ms
     99%    1.10s
  18213 requests in 10.00s, 30.10MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 4
Requests/sec:   1821.30
"""


def test_wrk_reports_rate_percentiles_and_failures() -> None:
    assert parsed(REPORT) == WrkReport(1821.3, 0.5, 1100.0, 7)


def test_moved_vectors_keep_lengths_and_clusters() -> None:
    random = np.random.default_rng(1)
    centres = 10 * random.normal(size=(64, 8))
    table = (centres[random.integers(0, 64, 2_000)] + random.normal(size=(2_000, 8))).astype(np.float32)
    places, vectors = moved(table, 5_000)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.linalg.norm(table[places], axis=1), rel=1e-4)
    distances = np.linalg.norm(vectors - table[places], axis=1)
    assert 0 < np.median(distances) < 3
    assert len(np.unique(vectors, axis=0)) > 4_900


def test_the_floor_answers_with_twenty_items_of_its_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "NUM_USERS", 3)
    floor.make_database(tmp_path / "users.db")
    monkeypatch.setitem(os.environ, floor.DATABASE_VARIABLE, str(tmp_path / "users.db"))
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(floor.create_app()({"type": "http", "path": "/users/2"}, None, send))
    items = json.loads(sent[1]["body"])["items"]
    assert sent[0]["status"] == 200
    assert len(items) == 20
    assert items == sorted(items, key=lambda item: -item["score"])


def test_memory_and_time_count_descendants() -> None:
    own = os.getpid()
    assert own in family(own)
    assert memory_bytes(own) > own_memory_bytes(own) > 10_000_000
    assert cpu_s(own) > 0


def test_gorse_gets_users_items_and_events_in_its_own_terms() -> None:
    assert record("users", ("ann",)) == {"UserId": "ann"}
    assert record("items", ("tent", "Tent", '["camping"]'))["Categories"] == ["camping"]
    event = record("feedback", ("ann", "tent", 1_700_000_000_000))
    assert event["Timestamp"] == "2023-11-14T22:13:20+00:00"
    assert (event["UserId"], event["ItemId"], event["FeedbackType"]) == ("ann", "tent", "click")


def test_the_listeners_of_a_port_are_the_processes_with_its_sockets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert listeners(os.getpid(), port) == [os.getpid()]
    assert listeners(os.getpid(), port) == []


def test_versions_are_compared_by_ratios_of_new_to_old() -> None:
    old = {"rate": 100.0, "p50_ms": 8.0, "p99_ms": 50.0, "cpu_ms": 10.0}
    new = {"rate": 800.0, "p50_ms": 2.0, "p99_ms": 5.0, "cpu_ms": 2.5}
    assert ratios(old, new) == {"rate": 8.0, "p50_ms": 0.25, "p99_ms": 0.1, "cpu_ms": 0.25}
