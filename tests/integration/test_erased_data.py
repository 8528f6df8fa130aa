"""What is left of an erased user: the bytes of every file and the columns of every table are searched.

The files are those of the data folder and, on PostgreSQL, of the server's data directory, after what
`docs/operations.md` tells an operator to run.

The user has everything that a user can have, in a shop whose model was trained on their events. What may stay, because
`docs/operations.md` says so, is named in `KEPT`.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import httpx
import pytest
from services import small_shop
from services.database_bytes import PostgresBytes, SqliteBytes, database_bytes
from services.databases import Database
from services.up_process import up
from sqlalchemy import MetaData, create_engine, select

from core.catalogue.items import Item
from core.events.interactions import event_key_of
from core.ingestion.sources import RequestSource
from core.manage import save_items
from core.ports.metadata import Secret
from core.records.outcomes import answer_key_of
from core.records.stored import DeadLetter
from core.saved_snapshots.saved_snapshots import MIN_ITEMS
from storage.codec import user_hash
from tidewise.bootstrap import open_system
from tidewise.demo.demo import fill
from tidewise.settings.schema import CONFIG_NAME

USER, OTHER = "user-0005", "user-0006"  # both are in the shop: the model was trained on them
GUEST = "guest-7c41e09b"
NEVER_STORED = "5eb04d19c7a2638f" * 2  # the id of an answer that no process will store
COUNTED_CITY = "city-58d1f0aa"  # of a field that the settings count by its values
TEXTS = {
    "id": USER,
    "guest's id": GUEST,
    "attribute": "attribute-02be77c1",
    "guest's attribute": "attribute-9d3c5e80",
    "context": "context-4f6a1b2c",
}
EVENTS = ("event-bought", "event-undone", "event-deferred", "event-of-guest")
# Counts by the values of a field that the settings name: what the user added is subtracted, the value's name stays.
COUNTS = ("drift_counts.counts", "drift_buckets.content", "drift_points.segment", "topic_days.segment")
KEPT = {("counted city", *name.split(".")) for name in COUNTS}
DATABASE_FILES = {"tidewise.db", "tidewise.db-wal", "data directory"}
KEPT_IN = DATABASE_FILES | {f"statistics of {name.split('.')[0]}" for name in COUNTS}
Found = set[tuple[str, str, str]]


@dataclass
class SearchedShop:
    """A shop in a folder. `needles`: bytes that only the user has brought, by what they are."""

    folder: Path
    url: str
    needles: dict[str, bytes] = field(default_factory=dict)

    @property
    def database(self) -> SqliteBytes | PostgresBytes:
        return database_bytes(self.url, sqlite=self.folder / "tidewise.db")

    def rows(self) -> Iterator[tuple[str, str, bytes]]:
        """Every value of every table, with table and column."""
        engine = create_engine(self.url)
        tables = MetaData()
        tables.reflect(engine)
        with engine.connect() as connection:
            for table in tables.sorted_tables:
                for row in connection.execute(select(table)).mappings():
                    for name, value in row.items():
                        yield table.name, str(name), value if isinstance(value, bytes) else str(value).encode()
        engine.dispose()

    def in_tables(self) -> Found:
        return {
            (what, table, column)
            for table, column, value in self.rows()
            for what, needle in self.needles.items()
            if needle in value
        }

    def in_files(self) -> Found:
        """The data folder, the server's log beside it, and the files of PostgreSQL."""
        files = [path for path in self.folder.parent.rglob("*") if path.is_file()]
        assert {"up-1.log", "weights.safetensors"} <= {path.name for path in files}
        contents = chain(((path.name, path.read_bytes()) for path in files), self.database.contents())
        return {
            (what, name, "")
            for name, content in contents
            for what, needle in self.needles.items()
            if needle in content or needle.hex().encode() in content
        }


@pytest.fixture
def shop(database: Database, shop_template: Path, tmp_path: Path) -> SearchedShop:
    """The small shop with its model, on each kind of database."""
    folder = tmp_path / "shop" / "data"
    shutil.copytree(shop_template, folder)
    url = f"sqlite:///{folder / 'tidewise.db'}"
    with open_system(small_shop.settings_in(folder)) as system, system.store.read() as read:
        champion = read.models.champion()
    with (folder / CONFIG_NAME).open("a") as config:
        config.write("\n[drift]\nsegments = 'event.city'\n\n[interest]\nsegments = 'event.city'\n")
        if database.url.startswith("postgresql"):
            url = database.url
            config.write(f"\n[database]\nurl = '{url}'\n")
            (folder / "tidewise.db").unlink()
    shop = SearchedShop(folder, url, {what: text.encode() for what, text in TEXTS.items()})
    with open_system(small_shop.settings_in(folder)) as system:
        if url == database.url:
            fill(system, small_shop.simulated())
            assert champion is not None
            with system.store.transaction() as tx:
                tx.models.save(champion)
                tx.commit()
        save_items(system.store, [Item(f"more-{number}") for number in range(MIN_ITEMS)])  # enough for a saved snapshot
        payload = f'{{"user_id": "{USER}", "item_id": 3}}'.encode()
        letters = [DeadLetter("interactions", 0, 1, f"item_id: wanted text, got 3 of {USER}", payload, 1)]
        system.ingestor.ingest([], RequestSource("a worker"), dead_letters=letters)
    return shop


def live(shop: SearchedShop, client: httpx.Client) -> None:
    """Let the user and a guest have all that users can have, and make them one."""
    for user_id, who in ((USER, "attribute"), (GUEST, "guest's attribute")):
        put(client, user_id, {"plan" if user_id == USER else "source": TEXTS[who]})
        answer = client.get(f"/v1/users/{user_id}/recommendations", params={"n": 3}).raise_for_status().json()
        shop.needles[f"answer to {user_id}"] = answer_key_of(answer["recommendation_id"]) or b""
        event = {"user_id": user_id, "item_id": answer["items"][0]["item_id"], "type": "purchase", "value": 3.0}
        context = {"note": TEXTS["context"], "city": COUNTED_CITY}
        named = {"recommendation_id": answer["recommendation_id"], "context": context}
        send(client, event | named | {"event_id": EVENTS[0] if user_id == USER else EVENTS[3]})
    send(client, {"event_id": EVENTS[1], "user_id": USER, "item_id": "item-0001", "type": "click"})
    client.delete(f"/v1/interactions/{EVENTS[1]}").raise_for_status()
    deferred = {"event_id": EVENTS[2], "user_id": USER, "item_id": "item-0001", "type": "click"}
    send(client, deferred | {"recommendation_id": NEVER_STORED})
    shop.needles |= {name: event_key_of(name) for name in EVENTS}
    shop.needles |= {"deferred answer": bytes.fromhex(NEVER_STORED), "counted city": COUNTED_CITY.encode()}
    client.post(f"/v1/users/{USER}/merge", json={"from": GUEST}).raise_for_status()
    put(client, OTHER, {"plan": "free"})


def put(client: httpx.Client, user_id: str, attributes: dict[str, str]) -> None:
    client.put(f"/v1/users/{user_id}", json={"attributes": attributes}).raise_for_status()


def send(client: httpx.Client, event: dict[str, object]) -> None:
    assert client.post("/v1/interactions", json=event).raise_for_status().json()["accepted"] == 1


def kinds(found: Iterable[tuple[str, str, str]]) -> set[tuple[str, str]]:
    return {(what, table) for what, table, _ in found}


def test_no_file_and_no_table_holds_anything_of_an_erased_user(shop: SearchedShop) -> None:
    with up(shop.folder) as (process, address), httpx.Client(base_url=address, timeout=30.0) as client:
        live(shop, client)
        answers = {(f"answer to {user_id}", "outcomes") for user_id in (USER, GUEST)}
        process.until(lambda: answers <= kinds(shop.in_tables()))
        assert kinds(shop.in_tables()) >= {
            *(("id", table) for table in ("users", "answers", "dead_letters")),
            *(("guest's id", "users"), ("attribute", "user_attributes"), ("guest's attribute", "user_attributes")),
            *(("context", "interactions"), ("event-bought", "interactions"), ("event-undone", "undone_events")),
            *(("event-of-guest", "outcomes"), ("event-deferred", "deferred_outcomes")),
            *(("deferred answer", "deferred_outcomes"), ("counted city", "topic_days")),
        }, "the search finds what is there"
        process.until(lambda: list(shop.folder.glob("snapshots/*/*")))
        (key,) = {value for table, column, value in shop.rows() if column == "merged_into"} - {b"None"}
        shop.database.settle()
        before = shop.in_files()
        assert {what for what, name, _ in before if name in DATABASE_FILES} == set(shop.needles), "all are found"
        assert shop.url.startswith("sqlite") or ("id", "statistics of answers", "") in before
        client.delete(f"/v1/users/{USER}").raise_for_status()
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
    assert shop.in_tables() <= KEPT
    shop.database.rewrite()
    assert shop.in_files() <= {("counted city", name, "") for name in KEPT_IN}
    stored = list(shop.rows())
    assert key not in {value for _, column, value in stored if column in ("user_key", "merged_into")}
    assert any((table, column, value) == ("users", "user_id", OTHER.encode()) for table, column, value in stored)
    with open_system(small_shop.settings_in(shop.folder)) as system, system.store.read() as read:
        secret = read.metadata.secret(Secret.ERASURE)
    assert secret is not None
    hashes = {value for table, column, value in stored if (table, column) == ("erased_users", "hash")}
    assert hashes == {user_hash(secret, name) for name in (USER, GUEST)}, "of the ids only a keyed hash is left"
