"""The API over a real SQLite file: what was answered is on disk, shared commits included; readers never wait."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from serving_doubles import Api, Shop

from serving.app import create_app
from storage import open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def api(path: Path) -> Iterator[Api]:
    store = open_store(f"sqlite:///{path}")
    with Api(create_app(Shop(store).services)) as api:
        yield api
    store.close()


def select(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_an_answered_event_is_on_disk_for_another_connection(api: Api, path: Path) -> None:
    assert api.post("/v1/interactions", json={"user_id": "u", "item_id": "a"}).json()["accepted"] == 1
    assert select(path, "SELECT count(*) FROM interactions") == [(1,)]


def test_concurrent_events_are_each_stored_once_in_the_order_of_answers(api: Api, path: Path) -> None:
    async def burst() -> list[int]:
        posts = [
            api.client.post("/v1/interactions", json={"event_id": f"e{number}", "user_id": "u", "item_id": "a"})
            for number in range(100)
        ]
        return [reply.json()["results"][0]["user_seq"] for reply in await asyncio.gather(*posts)]

    assert sorted(api.run(burst())) == list(range(1, 101))
    assert select(path, "SELECT count(*), max(user_seq) FROM interactions") == [(100, 100)]


def test_queries_are_answered_while_another_process_holds_the_write_lock(api: Api, path: Path) -> None:
    """And the event that waits for that lock is stored when it is free."""

    async def scenario(connection: sqlite3.Connection) -> tuple[int, bool, int]:
        event = {"user_id": "u", "item_id": "a"}
        posting = asyncio.create_task(api.client.post("/v1/interactions", json=event))
        popular = await api.client.get("/v1/items/popular")
        waited = not posting.done()
        connection.rollback()
        return popular.status_code, waited, (await posting).json()["accepted"]

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert api.run(scenario(connection)) == (200, True, 1)


def test_ready_says_so_when_the_database_cannot_be_written(
    api: Api, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, monkeypatch.context() as patch:
        patch.setattr("serving.routes.status.WRITE_TIMEOUT_S", 0.05)
        connection.execute("BEGIN IMMEDIATE")
        ready = api.get("/ready")
        connection.rollback()
    assert ready.status_code == 503
    assert "no write transaction within" in ready.json()["checks"]["database"]["message"]
    assert api.get("/ready").status_code == 200
