"""A short form of `make exactness`: a file with equal times and repeated lines through Kafka into PostgreSQL."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from services.kafka import Broker, fresh_settings

from benchmarks.exactness import EventFile, compare, replay
from benchmarks.streaming.servers import Servers
from stream.kafka.admin import delete_topics

TIME_S = 1_700_000_000


def log_of(path: Path, *, rows: int) -> EventFile:
    """A third of the times differ from their predecessor, and a tenth of the lines repeat it."""
    rng, time_s, lines = random.Random(5), TIME_S, ["user,item,time,quantity"]
    for number in range(rows):
        time_s += rng.randrange(3) // 2
        repeats = number and rng.random() < 0.1
        line = f"user-{rng.randrange(30)},item-{rng.randrange(50)},{time_s},{rng.randrange(9)}.5"
        lines.append(lines[-1] if repeats else line)
    path.write_text("\n".join(lines) + "\n")
    return EventFile(path, ("user", "item", "time", "quantity"))


def test_every_line_is_stored_once_in_order_when_a_worker_is_killed(
    broker: Broker, postgres_database: Any, tmp_path: Path
) -> None:
    file = log_of(tmp_path / "log.csv", rows=6_000)
    url = postgres_database.url.replace("+psycopg", "")
    servers, kafka = Servers(broker.address, url), fresh_settings(broker.address)
    figures = replay(servers, tmp_path, file, topic=kafka.topic, group=5, num_workers=2, num_kills=1)
    delete_topics(kafka)
    assert figures["events"] == 6_000
    differences = compare(file.histories(), url, size=50, step=10)
    assert set(differences.values()) == {0}, differences


def test_the_comparison_reports_missing_changed_and_surplus_rows(
    broker: Broker, postgres_database: Any, tmp_path: Path
) -> None:
    file = log_of(tmp_path / "log.csv", rows=200)
    url = postgres_database.url.replace("+psycopg", "")
    servers, kafka = Servers(broker.address, url), fresh_settings(broker.address)
    replay(servers, tmp_path, file, topic=kafka.topic, group=50, num_workers=1, num_kills=0)
    delete_topics(kafka)
    expected = file.histories()
    expected["user-1"][0] = (0, "another", None)  # changed: the stored row is surplus, the expected one missing
    expected["user-2"].pop()
    differences = compare(expected, url, size=50, step=10)
    assert differences["rows that differ from the file"] == 3
    assert differences["users whose order differs from the file"] == 2
    assert differences["wrong numbers of events"] == 1
    assert differences["wrong windows"] >= 1
    assert differences["transitions that differ from the file"] >= 2
    assert differences["wrong totals"] == 1
