"""Upgrades: databases made by older versions keep their data."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from services import postgres
from sqlalchemy import MetaData, create_engine, text
from typer.testing import CliRunner

from core.clock import DAY_MS
from core.errors import StoreMismatch
from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource, StreamSource
from core.learn.cycle import training_state
from core.learn.triggers import TrainingRequest
from core.records.drift import BucketCounts, SampledEvent
from core.records.statuses import ModelStatus
from core.records.stored import WriterPosition
from core.topics import OTHERS
from storage import open_store
from storage.migrate import MIGRATIONS
from tidewise.bootstrap import check_metadata, open_existing
from tidewise.cli import app
from tidewise.settings.schema import Settings, load_settings

# Made by version 0.1 (commit 244b12c): `tidewise import` of 120 events of 8 users and 12 items; then, by its use cases,
# events of two partitions and of requests, a dead letter, categories, an erased user who came back, models, alarms.
SHOP_OF_0_1 = Path(__file__).with_name("version_0_1.sql")
NOW_OF_0_1_MS = 1_701_000_000_000  # of the events by use cases; the user `guest` was erased 6 s later
EVENTS = """SELECT event_key, user_id, item_id, type_code, time_ms, user_seq, value, context, recommendation_id
            FROM interactions JOIN users ON users.key = user_key JOIN items ON items.key = item_key"""
ALARMS = "alarm_id, signal, segment, detected_ms, onset_ms, before, after, cause, model_version, sent_ms, num_attempts"
KEPT = (  # what tables of version 0.1 hold
    EVENTS,
    'SELECT user_id, seq, num_events, "window", erased_ms FROM users',
    "SELECT item_id, title, text, categories, attributes, hidden, in_catalogue, created_ms FROM items",
    "SELECT item_id, revision, updated_ms FROM items",
    "SELECT source, partition, position, reason, payload, time_ms, digest, num_retries FROM dead_letters",
    "SELECT hash, time_ms, last_seq FROM erased_users",
    "SELECT version, path, created_ms, lineage FROM models",
    "SELECT version, previous, kind, decided_by, reason, time_ms FROM promotions",
    "SELECT code, name FROM topics",
    f"SELECT {ALARMS} FROM drift_alarms",
    "SELECT bucket_ms, content FROM drift_buckets",
    "SELECT signal, segment, start_ms, end_ms, num, value, expected FROM drift_points",
    "SELECT role, holder, token FROM leases",
    "SELECT name, value FROM meta WHERE name IN ('erasure_secret', 'clock.mode', 'window')",
    "SELECT version, replace(status, 'lapsed', 'superseded') FROM models",  # as it is called now
    "SELECT event_key, user_key, time_ms, version, rank, loss FROM scores",
    "SELECT stream, partition, applied_offset, newest_ms FROM sources",
)
RENAMED = {"FROM scores": "FROM drift_scores", "FROM sources": "FROM writer_offsets WHERE newest_ms > 0"}


@dataclass
class OldDatabase:
    """A database that is empty until `migrate` makes the tables of an older version."""

    url: str

    def migrate(self, revision: str) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        engine = create_engine(self.url)
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        engine.dispose()

    def sql(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        engine = create_engine(self.url)
        with engine.begin() as connection:
            result = connection.execute(text(statement), parameters)
            rows = [tuple(row) for row in result] if result.returns_rows else []
        engine.dispose()
        return rows

    def copy_rows(self, source: sqlite3.Connection) -> None:
        """Into tables of the same names in PostgreSQL; new keys follow the highest."""
        engine, tables = create_engine(self.url), MetaData()
        with engine.begin() as connection:
            tables.reflect(connection)
            for table in tables.tables.values():
                cursor = source.execute(f"SELECT * FROM {table.name}")
                names = [name for name, *_ in cursor.description]
                connection.execute(table.delete())
                if rows := [dict(zip(names, row, strict=True)) for row in cursor]:
                    connection.execute(table.insert(), rows)
                if "key" in table.c and table.c["key"].identity is not None:
                    sequence = f"pg_get_serial_sequence('{table.name}', 'key')"
                    connection.execute(text(f"SELECT setval({sequence}, max(key)) FROM {table.name}"))
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OldDatabase]:
    if request.param == "sqlite":
        yield OldDatabase(f"sqlite:///{tmp_path}/old.db")
    else:
        with postgres.fresh_database(request.getfixturevalue("postgres_server")) as url:
            yield OldDatabase(url)


def test_categories_that_shared_a_code_get_separate_codes(old_database: OldDatabase) -> None:
    before = {
        "tea": ("Tea", 103),
        "ring": ("Rings", 103),
        "oolong": ("Tea", 103),
        "plain": ("Paper lamps", 255),
        "odd": ("", 0),
    }
    old_database.migrate("0007")
    for key, (name, (category, code)) in enumerate(before.items(), start=1):
        old_database.sql(
            "INSERT INTO items (key, item_id, title, text, categories, attributes, hidden, in_catalogue, revision,"
            " updated_ms, topic) VALUES (:key, :name, '', '', :categories, '{}', FALSE, TRUE, :key, 0, :code)",
            key=key,
            name=name,
            categories=json.dumps([category, "Sale"] if category else []),
            code=code,
        )
    with closing(open_store(old_database.url)) as store, store.read() as read:
        topics = read.drift.topics()
    codes: dict[str, int] = {name: code for name, code in old_database.sql("SELECT item_id, topic FROM items")}
    assert {item: topics.get(code) for item, code in codes.items()} == {
        "tea": "Tea",
        "oolong": "Tea",
        "ring": "Rings",
        "plain": "Paper lamps",
        "odd": None,
    }
    assert (codes["tea"], codes["odd"]) == (103, 0)  # the first category keeps the code; no category, no code
    assert codes["plain"] != OTHERS  # which is the code of topics that are counted together


def test_a_database_of_version_0_1_keeps_its_data(old_database: OldDatabase) -> None:
    old_database.migrate("0008")
    for status, version in (("lapsed", "b"), ("champion", "a"), ("retired", "c")):
        old_database.sql(
            "INSERT INTO models (version, path, status, created_ms, lineage) VALUES (:version, '', :status, 1, '{}')",
            version=version,
            status=status,
        )
    for partition, offset in ((0, 41), (1, None)):
        old_database.sql(
            "INSERT INTO sources (stream, partition, applied_offset, newest_ms) VALUES ('s', :partition, :offset, 9)",
            partition=partition,
            offset=offset,
        )
    old_database.sql("INSERT INTO popularity (source_key, item_key, score) VALUES (2, 5, 1.5)")
    old_database.sql("INSERT INTO event_counts (bucket_ms, source_key, type_code, num) VALUES (0, 2, 1, 7)")
    packed = '[3, 1, 0, {"5": 2}, {}]'
    old_database.sql("INSERT INTO drift_counts (bucket_ms, source_key, counts) VALUES (0, 2, :packed)", packed=packed)
    old_database.sql(
        "INSERT INTO scores (event_key, user_key, time_ms, scored) VALUES (:key, 1, 2, FALSE)", key=b"k" * 16
    )
    with closing(open_store(old_database.url)) as store:
        with store.read() as read:
            assert {model.version: model.status for model in read.models.all()} == {
                "a": ModelStatus.CHAMPION,
                "b": ModelStatus.SUPERSEDED,
                "c": ModelStatus.RETIRED,
            }
            assert read.offsets.positions() == [WriterPosition("s", 0, 41, 9), WriterPosition("s", 1, None, 9)]
            assert [part.tolist() for part in read.popularity.scores()] == [[5], [1.5]]
            assert read.event_counts.total(since_ms=0) == 7
            assert read.event_counts.by_step(step_ms=DAY_MS) == {(0, 1): 7}
            assert read.drift.counts([0]) == {0: BucketCounts(3, 1, 0, Counter({5: 2}))}
            assert read.drift.day_counts(since_ms=0, before_ms=1) == {0: BucketCounts(topics=Counter({5: 2}))}
            assert read.drift.unscored(limit=9) == [SampledEvent(b"k" * 16, 1, 2)]
        with store.transaction() as tx:
            writers = tx.offsets.lock("s", [0, 1, 2])
            assert [writers[partition].key for partition in (0, 1, 2)] == [1, 2, 3]


def test_users_of_older_versions_are_listed_by_their_newest_event(old_database: OldDatabase) -> None:
    old_database.migrate("0025")
    for user_id, times_ms in (("ann", [5]), ("bob", [600_000, 900_000]), ("cid", [])):
        old_database.sql(
            'INSERT INTO users (user_id, seq, num_events, "window") VALUES (:user_id, 1, :num, :window)',
            user_id=user_id,
            num=len(times_ms),
            window=np.array([7] * len(times_ms) + times_ms, "<i8").tobytes(),
        )
    with closing(open_store(old_database.url)) as store, store.read() as read:
        assert [user.user_id for user in read.users.by_activity()] == ["bob", "ann"]


def test_training_requests_and_acknowledged_alarms_survive_the_upgrade(old_database: OldDatabase) -> None:
    request = TrainingRequest("retrain", by="an operator", reason="a new catalogue", time_ms=5)
    old_database.migrate("0009")
    for name, value in (("learn.asked", json.dumps(asdict(request))), ("learn.job", "{}"), ("learn.answered", "8")):
        old_database.sql("INSERT INTO meta (name, value) VALUES (:name, :value)", name=name, value=value)
    old_database.sql(
        "INSERT INTO drift_alarms (alarm_id, signal, segment, detected_ms, onset_ms, before, after, cause,"
        " num_attempts) VALUES ('a', 'new items', '', 8, 7, 0.1, 0.4, '', 0)"
    )
    with closing(open_store(old_database.url)) as store:
        state = training_state(store, type_codes=[0], now_ms=9)
    assert (state.request, state.unfinished, state.alarm) == (request, True, None)


@pytest.mark.parametrize("num_events", [0, 1])
def test_an_upgraded_database_with_events_needs_a_rebuild(old_database: OldDatabase, num_events: int) -> None:
    old_database.migrate("0010")
    for _ in range(num_events):
        old_database.sql(
            "INSERT INTO interactions (event_key, user_key, item_key, type_code, time_ms, user_seq)"
            " VALUES (:key, 1, 1, 0, 1, 1)",
            key=b"k" * 16,
        )
    with closing(open_store(old_database.url)) as store:
        outcome = nullcontext() if not num_events else pytest.raises(StoreMismatch, match="run `tidewise rebuild`")
        with outcome:
            check_metadata(store, Settings())


@pytest.fixture
def rows_of_0_1() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(SHOP_OF_0_1.read_text())
        yield database


@pytest.fixture
def shop_of_0_1(old_database: OldDatabase, rows_of_0_1: sqlite3.Connection, tmp_path: Path) -> Settings:
    """The file itself on SQLite; on PostgreSQL all its rows, in tables made by the migrations of that version."""
    if old_database.url.startswith("sqlite"):
        with closing(sqlite3.connect(old_database.url.removeprefix("sqlite:///"))) as database:
            rows_of_0_1.backup(database)
    else:
        old_database.migrate("0008")
        old_database.copy_rows(rows_of_0_1)
    overrides = {"data.folder": str(tmp_path), "database.url": old_database.url}
    return load_settings(overrides=overrides, environment={})


def test_a_shop_made_by_version_0_1_keeps_all_its_rows(
    shop_of_0_1: Settings, old_database: OldDatabase, rows_of_0_1: sqlite3.Connection
) -> None:
    assert "run `tidewise rebuild`" in run_command("verify", shop_of_0_1, status=1)
    run_command("rebuild", shop_of_0_1)
    for query in KEPT:
        rows = set(rows_of_0_1.execute(query))
        assert rows
        for old, new in RENAMED.items():
            query = query.replace(old, new)
        assert set(old_database.sql(query)) == rows, query
    report = json.loads(run_command("verify", shop_of_0_1, "--json"))
    assert (report["events"], report["users"], report["examples"]) == (127, 10, [])
    assert json.loads(run_command("recommend", shop_of_0_1, "user-1", "--json"))["items"]


def test_a_shop_made_by_version_0_1_takes_events_after_the_upgrade(shop_of_0_1: Settings) -> None:
    run_command("rebuild", shop_of_0_1)
    posted = [
        Interaction("stream-1", "user-0", "item-1", "purchase", NOW_OF_0_1_MS + 2000, 12.5),  # is stored
        Interaction("new-1", "guest", "item-3", "view", NOW_OF_0_1_MS + 5000),  # before the erasure
        Interaction("new-2", "guest", "item-3", "view", NOW_OF_0_1_MS + 9000),
        Interaction("new-3", "a new user", "a new item", "click", NOW_OF_0_1_MS + 9000),
    ]
    consumed = [Interaction(f"new-{offset}", "user-1", "item-0", "like", NOW_OF_0_1_MS + offset) for offset in (42, 43)]
    with open_existing(shop_of_0_1) as system:
        by_request = system.ingestor.ingest(posted, RequestSource("a new writer"))
        by_stream = system.ingestor.ingest(consumed, StreamSource("interactions", 1, range(42, 44), 42, 43))
        with system.store.transaction() as tx:
            [dead_letter] = tx.dead_letters.newest()
            tx.dead_letters.add([replace(dead_letter, key=None)])
            assert tx.dead_letters.newest() == [dead_letter]
            tx.commit()
    assert by_request.statuses == ["duplicate", "erased", "accepted", "accepted"]
    assert by_stream.statuses == ["skipped", "accepted"]
    report = json.loads(run_command("verify", shop_of_0_1, "--json"))
    assert (report["events"], report["users"], report["examples"]) == (130, 11, [])


def run_command(name: str, settings: Settings, *words: str, status: int = 0) -> str:
    options = ["--data", str(settings.data.folder), "--set", f"database.url={settings.database_url()}"]
    outcome = CliRunner().invoke(app, [name, *words, *options])
    assert outcome.exit_code == status, outcome.output
    return outcome.stdout if not status else str(outcome.exception or outcome.output)
