"""Opening databases: migrations, versions, URLs and error messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from outcome_log import DERIVATION, OutcomeShop, random_steps
from services.databases import Database, missing
from services.postgres import NoPostgres, PostgresServer, private_server
from sqlalchemy import create_engine, event, inspect

from core.catalogue.items import Item
from core.errors import InvalidSettings, StoreError, StoreMismatch, StoreUnavailable
from core.ingestion.verify import verify
from core.records.stored import UserState
from storage import SqlStore, engine, open_store
from storage.migrate import HEAD, MIGRATIONS
from storage.tables import metadata


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_migrations_create_the_tables_of_the_code(database: Database) -> None:
    opened = create_engine(database.url)
    with opened.connect() as connection:
        only = {None, connection.dialect.name}  # `info` of an index names the only database that has it
        here = {"include_object": lambda named, *_: named.info.get("dialect") in only}
        context = MigrationContext.configure(connection, opts={"compare_type": True, **here})
        differences = compare_metadata(context, metadata)
        columns = {name: {c["name"] for c in inspect(connection).get_columns(name)} for name in metadata.tables}
        keys = {name: inspect(connection).get_pk_constraint(name)["constrained_columns"] for name in metadata.tables}
    opened.dispose()
    assert differences == []
    assert columns == {name: {c.name for c in table.columns} for name, table in metadata.tables.items()}
    assert keys == {name: [c.name for c in table.primary_key.columns] for name, table in metadata.tables.items()}


def test_hot_tables_are_clustered_by_their_keys_on_sqlite(sqlite_database: Database) -> None:
    rows = sqlite_database.sql("SELECT name FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%' ORDER BY 1")
    assert {name for (name,) in rows} >= {"interactions", "popularity", "event_counts"}


def test_sqlite_uses_wal_and_full_synchronous_and_the_cache_asked_for(sqlite_database: Database) -> None:
    opened = engine.open_engine(engine.parse_url(sqlite_database.url), create=False, cache_mib=3)
    with opened.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA cache_size").scalar() == -3 * 1024  # KiB
    opened.dispose()


def test_opening_again_keeps_the_data(database: Database) -> None:
    with database.store.transaction() as tx:
        tx.users.lock(["ann"])
        tx.commit()
    with closing(open_store(database.url, create=False)) as store, store.read() as read:
        assert read.users.find("ann") is not None


def test_opening_an_older_database_counts_by_item_and_squares_of_revenue(database: Database) -> None:
    shop = OutcomeShop(database.store)
    shop.apply([step for step in random_steps(Random(3)) if step[0] != "erase"])
    shop.flush()
    shown = [*database.sql("SELECT * FROM item_counts WHERE measure = 3")]
    for table in ("item_counts", "activity_counts"):
        database.sql(f"DROP TABLE {table}")
    database.sql("ALTER TABLE drift_scores DROP COLUMN confidence")
    database.sql("DELETE FROM outcome_counts WHERE measure = 6")
    if database.url.startswith("sqlite"):
        database.sql("DROP INDEX ix_answers_user_id_time_ms_item_keys")
        database.sql("CREATE INDEX ix_answers_user_id_time_ms ON answers (user_id, time_ms)")
    database.sql("UPDATE alembic_version SET version_num = '0029'")
    with closing(open_store(database.url, create=False)) as store, store.read() as read:
        verified = verify(read, DERIVATION, progress=lambda _: None)
    assert shown
    assert verified.num_events > 0
    assert verified.examples == []


def test_a_database_of_a_newer_version_is_refused_unchanged(database: Database) -> None:
    (((before,),)) = database.sql("SELECT version_num FROM alembic_version")
    database.sql("UPDATE alembic_version SET version_num = '9999'")
    try:
        with pytest.raises(
            StoreMismatch, match=r"schema 9999.*supports schemas up to.*install that version, or open another"
        ):
            open_store(database.url)
        assert database.sql("SELECT version_num FROM alembic_version") == [("9999",)]
    finally:
        database.sql("UPDATE alembic_version SET version_num = :before", before=before)


@pytest.mark.usefixtures("real_migrations")
def test_a_failed_migration_is_rolled_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("alembic.runtime.migration.MigrationContext._ensure_version_table", fail)
    url = f"sqlite:///{tmp_path}/new.db"
    with pytest.raises(RuntimeError, match="power cut"):
        open_store(url)
    opened = create_engine(url)
    assert inspect(opened).get_table_names() == []
    opened.dispose()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/db", "wanted sqlite:///path/to/file.db or postgresql"),
        ("tidewise.db", "wanted sqlite:///path/to/file.db or postgresql"),
        ("", "wanted sqlite:///path/to/file.db or postgresql"),
        ("sqlite://", "wanted a file"),
        ("sqlite:///:memory:", "wanted a file"),
    ],
)
def test_an_unsupported_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        open_store(url)


@pytest.mark.parametrize("url", ["mysql://me:secret@host/db", "postgres//me:secret/db"])
def test_the_error_for_a_url_does_not_show_its_password(url: str) -> None:
    with pytest.raises(InvalidSettings) as error:
        open_store(url)
    assert "secret" not in str(error.value)


def test_a_missing_file_is_created_only_with_create(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "none.db"
    with pytest.raises(StoreUnavailable, match=r"no such database; correct the path"):
        open_store(f"sqlite:///{path}", create=False)
    assert not path.exists()
    open_store(f"sqlite:///{path}").close()
    assert path.exists()


def test_a_file_that_is_not_a_database_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100)
    with pytest.raises(StoreError, match=r"damaged or not a database.*restore the last backup"):
        open_store(f"sqlite:///{path}")
    assert path.read_text().startswith("dear diary")


def test_a_locked_database_is_reported_as_locked(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.05)
    with closing(SqlStore(engine.open_engine(engine.parse_url(sqlite_database.url), create=False))) as other:
        with sqlite_database.store.transaction(), pytest.raises(StoreUnavailable, match="another process keeps"):
            other.transaction().__enter__()
        with other.transaction() as tx:
            tx.metadata.save({"free": "again"})


def test_a_current_database_is_opened_while_another_process_writes(sqlite_database: Database) -> None:
    with sqlite_database.store.transaction() as tx:
        with closing(open_store(sqlite_database.url, create=False)) as other, other.read() as read:
            assert read.metadata.all() == tx.metadata.all()
        tx.commit()


def test_a_full_disk_is_reported_and_stored_data_stays(sqlite_database: Database) -> None:
    items = [Item(f"item{n}", text="x" * 5000) for n in range(200)]
    small_disk = engine.open_engine(engine.parse_url(sqlite_database.url), create=False)
    event.listen(small_disk, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 60"))

    def save(store: SqlStore) -> None:
        with store.transaction() as tx:
            tx.items.save(items, now_ms=1)
            tx.commit()

    with (
        closing(SqlStore(small_disk)) as store,
        pytest.raises(StoreUnavailable, match="the disk is full; free some space, then retry"),
    ):
        save(store)
    save(sqlite_database.store)
    with sqlite_database.store.read() as read:
        assert (read.totals().items, read.items.revision()) == (200, 1)


def test_an_exhausted_connection_pool_is_reported(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("POOL_SIZE", 1), ("POOL_OVERFLOW", 0), ("POOL_TIMEOUT_S", 0.05)):
        monkeypatch.setattr(engine, name, value)
    one_connection = SqlStore(engine.open_engine(engine.parse_url(sqlite_database.url), create=False))
    refused = pytest.raises(StoreUnavailable, match="no database connection was free")
    with closing(one_connection) as store, store.read(), refused:
        store.read().__enter__()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server that a test may stop."""
    try:
        with private_server() as server:
            yield server
    except NoPostgres as error:
        missing(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("snapshot", [True, False])
def test_postgresql_is_used_again_after_an_outage(own_server: PostgresServer, *, snapshot: bool) -> None:
    def find_ann(store: SqlStore) -> UserState | None:
        with store.read(snapshot=snapshot) as read:
            return read.users.find("ann")

    with closing(open_store(own_server.url)) as store:
        with store.transaction() as tx:
            tx.users.lock(["ann"])
            tx.commit()
        assert find_ann(store) is not None
        own_server.stop()
        for _ in range(2):
            with pytest.raises(
                StoreUnavailable, match=r"PostgreSQL: .*(check that the server runs|stopping or starting)"
            ):
                find_ann(store)
        own_server.start()
        assert find_ann(store) is not None
