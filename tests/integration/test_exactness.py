"""A short slice of `make exactness`: a file with ties and true repeats through Kafka into PostgreSQL, row by row."""

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
    """Hardly more than one time in three is new, and one line in ten is the one before it again."""
    source, at, lines = random.Random(5), TIME_S, ["user,item,time,quantity"]
    for number in range(rows):
        at += source.randrange(3) // 2
        again = number and source.random() < 0.1
        line = f"user-{source.randrange(30)},item-{source.randrange(50)},{at},{source.randrange(9)}.5"
        lines.append(lines[-1] if again else line)
    path.write_text("\n".join(lines) + "\n")
    return EventFile(path, ("user", "item", "time", "quantity"))


def test_every_line_of_a_file_is_stored_once_in_its_order_although_a_worker_is_killed(
    broker: Broker, postgres_database: Any, tmp_path: Path
) -> None:
    file = log_of(tmp_path / "log.csv", rows=6_000)
    url = postgres_database.url.replace("+psycopg", "")
    at, kafka = Servers(broker.address, url), fresh_settings(broker.address)
    figures = replay(at, tmp_path, file, topic=kafka.topic, group=5, num_workers=2, num_kills=1)
    delete_topics(kafka)
    assert figures["events"] == 6_000
    differences = compare(file.histories(), url, size=50, step=10)
    assert set(differences.values()) == {0}, differences


def test_the_comparison_finds_what_is_missing_changed_and_too_much(
    broker: Broker, postgres_database: Any, tmp_path: Path
) -> None:
    file = log_of(tmp_path / "log.csv", rows=200)
    url = postgres_database.url.replace("+psycopg", "")
    at, kafka = Servers(broker.address, url), fresh_settings(broker.address)
    replay(at, tmp_path, file, topic=kafka.topic, group=50, num_workers=1, num_kills=0)
    delete_topics(kafka)
    expected = file.histories()
    expected["user-1"][0] = (0, "another", None)  # changed: the old one too much, the new one missing
    expected["user-2"].pop()
    differences = compare(expected, url, size=50, step=10)
    assert differences["rows that are not the file's"] == 3
    assert differences["users whose order is not the file's"] == 2
    assert differences["wrong numbers of events"] == 1
    assert differences["wrong windows"] >= 1
    assert differences["wrong totals"] == 1
