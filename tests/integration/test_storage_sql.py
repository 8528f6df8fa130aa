"""Table contents: written through the store and read with SQL, or the reverse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from services.databases import Database
from sqlalchemy.exc import IntegrityError

from core.catalogue.items import Item
from core.events.history import History, Window
from core.records.stored import DeadLetter, EventRow, ModelRecord
from storage.tables import metadata


def test_windows_are_stored_as_keys_then_times_in_little_endian(database: Database) -> None:
    history = History(np.array([5, 6], np.int64), np.array([1000, 2000], np.int64))
    with database.store.transaction() as tx:
        state = tx.users.lock(["ann"])["ann"]
        tx.users.save([replace(state, seq=9, window=Window(12, history))])
        tx.commit()
    ((seq, num_events, packed),) = database.sql("SELECT seq, num_events, \"window\" FROM users WHERE user_id = 'ann'")
    assert (seq, num_events) == (9, 12)
    assert bytes(packed) == b"".join(number.to_bytes(8, "little") for number in (5, 6, 1000, 2000))


def test_a_user_written_with_sql_is_read_through_the_store(database: Database) -> None:
    packed = b"".join(number.to_bytes(8, "little") for number in (7, 1234))
    database.sql(
        "INSERT INTO users (key, user_id, seq, num_events, \"window\") VALUES (77, 'ann', 3, 1, :packed)", packed=packed
    )
    with database.store.read() as read:
        state = read.users.find("ann")
    assert state is not None
    assert (state.key, state.seq, state.window.num_events) == (77, 3, 1)
    assert (state.window.history.items.tolist(), state.window.history.times_ms.tolist()) == ([7], [1234])


def test_an_event_is_stored_as_a_row_under_its_key(database: Database) -> None:
    row = EventRow(b"k" * 16, 1, 2, 3, 1000, 4, 2.5, {"page": "x"}, "rec")
    with database.store.transaction() as tx:
        tx.events.insert([row])
        tx.commit()
    names = ", ".join(EventRow._fields)
    ((key, *rest),) = database.sql(f"SELECT {names} FROM interactions")
    assert (bytes(key), *rest) == (b"k" * 16, 1, 2, 3, 1000, 4, 2.5, '{"page":"x"}', "rec")


def test_events_written_with_sql_are_read_in_history_order(database: Database) -> None:
    for seq, time_ms in ((1, 30), (2, 10), (3, 20)):
        database.sql(
            "INSERT INTO interactions (event_key, user_key, item_key, type_code, time_ms, user_seq) "
            "VALUES (:key, 1, :seq, 0, :time_ms, :seq)",
            key=bytes([seq]) * 16,
            seq=seq,
            time_ms=time_ms,
        )
    with database.store.read() as read:
        assert read.events.columns(type_codes=[0]).items.tolist() == [2, 3, 1]


def test_the_database_rejects_a_duplicate_event_key(database: Database) -> None:
    insert = (
        "INSERT INTO interactions (event_key, user_key, item_key, type_code, time_ms, user_seq) "
        "VALUES (:key, 1, 1, 0, 1, :seq)"
    )
    database.sql(insert, key=b"k" * 16, seq=1)
    with pytest.raises(IntegrityError):
        database.sql(insert, key=b"k" * 16, seq=2)


def test_the_database_rejects_two_champions(database: Database) -> None:
    with database.store.transaction() as tx:
        tx.models.save(ModelRecord("m1", "p", "champion", 1))
        tx.commit()
    with pytest.raises(IntegrityError):
        database.sql(
            "INSERT INTO models (version, path, status, created_ms, lineage) VALUES ('m2','p','champion',2,'{}')"
        )


def test_event_counts_are_summed_per_bucket_writer_and_type(database: Database) -> None:
    for counts in ({(0, 1): 2, (300_000, 1): 1}, {(0, 1): 3, (0, 2): 1}):
        with database.store.transaction() as tx:
            tx.event_counts.add(7, counts)
            tx.commit()
    with database.store.transaction() as tx:
        tx.event_counts.add(8, {(0, 1): 1})
        tx.commit()
    rows = database.sql("SELECT bucket_ms, writer_key, type_code, num FROM event_counts ORDER BY 1, 2, 3")
    assert rows == [(0, 7, 1, 5), (0, 7, 2, 1), (0, 8, 1, 1), (300_000, 7, 1, 1)]


def test_an_erased_id_is_nowhere_in_the_database(database: Database) -> None:
    with database.store.transaction() as tx:
        state = tx.users.lock(["ann-4711"])["ann-4711"]
        tx.events.insert([EventRow(b"k" * 16, state.key, tx.items.resolve(["x"])["x"], 0, 1, 1, None, None, None)])
        tx.dead_letters.add([DeadLetter("kafka", 0, 1, "bad", b'{"user_id":"ann-4711"}', 1)])
        tx.commit()
    with database.store.transaction() as tx:
        tx.users.erase("ann-4711", now_ms=5000)
        tx.commit()
    rows = [(table, row) for table in metadata.tables for row in database.sql(f'SELECT * FROM "{table}"')]
    assert [
        row for _, row in rows if "ann-4711" in repr([bytes(v) if isinstance(v, memoryview) else v for v in row])
    ] == []
    assert [(row[1], row[2]) for table, row in rows if table == "erased_users"] == [(5000, 0)]


def test_the_erasure_secret_is_stable_and_not_exposed(database: Database) -> None:
    ((secret,),) = database.sql("SELECT value FROM meta WHERE name = 'erasure_secret'")
    database.store.prepare()
    assert database.sql("SELECT value FROM meta WHERE name = 'erasure_secret'") == [(secret,)]
    assert len(secret) == 64
    with database.store.read() as read:
        assert read.metadata.all() == {}


def test_the_key_of_an_erased_user_is_never_reused(database: Database) -> None:
    keys = []
    for _ in range(3):
        with database.store.transaction() as tx:
            keys.append(tx.users.lock(["ann"])["ann"].key)
            tx.users.erase("ann", now_ms=1)
            tx.commit()
    assert len(set(keys)) == 3


def test_null_characters_in_attributes_are_stored(database: Database) -> None:
    item = Item("x", attributes={"note": "a\x00b"})
    with database.store.transaction() as tx:
        tx.items.save([item], now_ms=1)
        tx.commit()
    with database.store.read() as read:
        assert read.items.by_id(["x"])["x"].item == item


def test_histories_and_seen_items_use_the_primary_key(sqlite_database: Database) -> None:
    for select in ("item_key", "item_key, time_ms, user_seq, type_code"):
        ((*_, plan),) = sqlite_database.sql(f"EXPLAIN QUERY PLAN SELECT {select} FROM interactions WHERE user_key = 1")
        assert plan == "SEARCH interactions USING PRIMARY KEY (user_key=?)"
