"""Upgrades: databases made by older versions keep their data."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from services import postgres
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from core.clock import DAY_MS
from core.errors import StoreMismatch
from core.learn.cycle import training_state
from core.learn.triggers import TrainingRequest
from core.records.drift import BucketCounts, SampledEvent
from core.records.statuses import ModelStatus
from core.records.stored import WriterPosition
from core.topics import OTHERS
from storage import open_store
from storage.migrate import MIGRATIONS
from tidewise.bootstrap import check_metadata
from tidewise.cli import app
from tidewise.settings.schema import Settings

# Made by `tidewise import` of version 0.1 (commit 244b12c) from 120 events of 8 users and 12 items.
SHOP_OF_0_1 = Path(__file__).with_name("version_0_1.sql")
EVENTS = """SELECT user_id, item_id, type_code, time_ms FROM interactions
            JOIN users ON users.key = user_key JOIN items ON items.key = item_key"""


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


def test_a_shop_made_by_version_0_1_is_upgraded_with_its_events(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "tidewise.db")) as database:
        database.executescript(SHOP_OF_0_1.read_text())
        before = set(database.execute(EVENTS))
    assert "run `tidewise rebuild`" in run_command("verify", tmp_path, status=1)
    run_command("rebuild", tmp_path)
    report = json.loads(run_command("verify", tmp_path, "--json"))
    with closing(sqlite3.connect(tmp_path / "tidewise.db")) as database:
        assert set(database.execute(EVENTS)) == before
    assert (len(before), report["events"], report["users"], report["examples"]) == (120, 120, 8, [])
    assert json.loads(run_command("recommend", tmp_path, "user-1", "--json"))["items"]


def run_command(name: str, folder: Path, *words: str, status: int = 0) -> str:
    outcome = CliRunner().invoke(app, [name, *words, "--data", str(folder)])
    assert outcome.exit_code == status, outcome.output
    return outcome.stdout if not status else str(outcome.exception or outcome.output)
