"""Overloaded doors: rows of large files that are stored or not, receivers that fail, events that are sent once."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.endurance.overload_import import LargeFile, rows_of, write_large
from benchmarks.endurance.overload_kafka import START_MS, SentEvents
from benchmarks.endurance.overload_webhook import FAILURES, FailingReceiver
from core.records.drift import Alarm
from tidewise.processes.children import free_port
from tidewise.webhook import Webhook, WebhookRefused

ALARM = Alarm("loss//5", "loss", "", 5, 2, 0.2, 0.1, 0.08, 0.12, "a test")
ROWS = [("ann", "tent", 7), ("ann", "tent", 7), ("bob", "lamp", 9)]


@pytest.fixture
def file(tmp_path: Path) -> LargeFile:
    return write_large(ROWS, tmp_path / "0.tsv", times=2)


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE users (key INTEGER PRIMARY KEY, user_id TEXT UNIQUE)")
        made.execute("CREATE TABLE items (key INTEGER PRIMARY KEY, item_id TEXT UNIQUE)")
        made.execute("CREATE TABLE interactions (user_key, item_key, time_ms)")
        yield made


def store(database: sqlite3.Connection, user_id: str, item_id: str, time_s: int) -> None:
    database.execute("INSERT OR IGNORE INTO users (user_id) VALUES (?)", (user_id,))
    database.execute("INSERT OR IGNORE INTO items (item_id) VALUES (?)", (item_id,))
    keys = "(SELECT key FROM users WHERE user_id = ?), (SELECT key FROM items WHERE item_id = ?)"
    database.execute(f"INSERT INTO interactions VALUES ({keys}, ?)", (user_id, item_id, 1000 * time_s))


def written(file: LargeFile) -> list[tuple[str, str, int]]:
    lines = [line.split("\t") for line in file.path.read_text().splitlines()[1:]]
    return [(user, item, int(time_s)) for user, item, time_s in lines]


def test_a_large_file_has_each_row_by_several_users_of_its_own(file: LargeFile, tmp_path: Path) -> None:
    rows = written(file)
    assert len(rows) == file.num_rows == 6
    assert {user for user, _, _ in rows} == {f"{file.users}{copy}-{name}" for copy in (0, 1) for name in ("ann", "bob")}
    assert [row[1:] for row in rows[::2]] == [row[1:] for row in ROWS]
    other = write_large(ROWS, tmp_path / "1.tsv", times=2)
    assert not {user for user, _, _ in rows} & {user for user, _, _ in written(other)}


def test_rows_that_are_not_stored_or_changed_are_told(file: LargeFile, database: sqlite3.Connection) -> None:
    store(database, "someone else", "tent", 7)
    *others, last = written(file)
    for row in others:
        store(database, *row)
    assert file.missing(database) == (1, False)
    store(database, *last[:2], last[2] + 1)
    assert file.missing(database) == (0, False)
    database.execute("DELETE FROM interactions WHERE time_ms = ?", (1000 * (last[2] + 1),))
    store(database, *last)
    assert file.missing(database) == (0, True)


def test_a_compressed_log_is_read_without_its_header(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "log.tsv.gz", "wt") as log:
        log.write("user\titem\ttime\tstars\nann\ttent\t7\t5\n")
    assert list(rows_of(tmp_path / "log.tsv.gz")) == [("ann", "tent", 7)]


def test_traffic_has_each_number_once_in_the_order_of_its_times() -> None:
    [*first], [*second] = (SentEvents(number, 50, 3, ["tent"]).events() for number in (0, 50))
    events = first + second
    assert len({event.event_id for event in events}) == 100
    assert [event.time_ms for event in events] == [START_MS + number for number in range(100)]
    assert len({event.user_id for event in events}) == 3


@pytest.mark.parametrize("manner", FAILURES)
def test_a_receiver_accepts_late_or_not_at_all(manner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.endurance.overload_webhook.SLOW_S", 0.0)
    monkeypatch.setattr("tidewise.webhook.TIMEOUT_S", 0.5)
    receiver = FailingReceiver(free_port(0))
    webhook = Webhook(f"http://127.0.0.1:{receiver.port}/", "a secret of sixteen", allow_private=True)
    with receiver.listening(manner):
        if manner.startswith("accepts"):
            webhook.post(ALARM)
        else:
            with pytest.raises(WebhookRefused):
                webhook.post(ALARM)
    assert receiver.accepted == ({ALARM.alarm_id: 1} if manner.startswith("accepts") else {})
    assert len(receiver.asked_s) == (manner != "away")
