"""A process that is suspended inside a PostgreSQL transaction loses its locks and gets an error when it resumes."""

from __future__ import annotations

import time

import pytest
from services.databases import Database

from core.errors import StoreUnavailable

PATIENCE_S = 20.0


def test_idle_transactions_time_out_after_ten_seconds(postgres_database: Database) -> None:
    with postgres_database.store.transaction() as tx:
        tx._session._cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert tx._session._cursor.fetchone() == ("10s",)


def test_a_timed_out_transaction_fails_and_applies_nothing(postgres_database: Database) -> None:
    def is_connected() -> bool:
        return bool(postgres_database.sql("SELECT 1 FROM pg_stat_activity WHERE pid = :pid", pid=backend))

    with postgres_database.store.transaction() as tx:
        tx.users.lock(["ann"])
        cursor = tx._session._cursor
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
        cursor.execute("SET idle_in_transaction_session_timeout = '10ms'")
        deadline = time.monotonic() + PATIENCE_S
        while is_connected() and time.monotonic() < deadline:
            pass
        with pytest.raises(StoreUnavailable, match=r"suspended|connection was lost|stopping"):
            tx.commit()
    with postgres_database.store.transaction() as tx:
        assert list(tx.users.lock(["ann"])) == ["ann"]
        tx.commit()
    assert postgres_database.sql("SELECT user_id FROM users") == [("ann",)]


def test_a_transaction_that_has_just_written_counts_as_idle(
    postgres_database: Database,
) -> None:
    # In a pipeline the server would wait for more of it, "active" and without any timeout.
    def state_of(backend: int) -> str:
        return str(postgres_database.sql("SELECT state FROM pg_stat_activity WHERE pid = :pid", pid=backend)[0][0])

    with postgres_database.store.transaction() as tx:
        states = tx.users.lock(["ann"])
        tx._session._cursor.execute("SELECT pg_backend_pid()")
        backend = tx._session._cursor.fetchone()[0]
        tx.users.save(list(states.values()))
        deadline = time.monotonic() + PATIENCE_S
        while state_of(backend) != "idle in transaction" and time.monotonic() < deadline:
            pass
        assert state_of(backend) == "idle in transaction"
