"""Where a process is suspended or a network silent: PostgreSQL and Tidewise let go of each other."""

from __future__ import annotations

import os
import socket
import time
from contextlib import closing

import pytest
from services.databases import Database

from core.errors import StoreUnavailable
from core.ports.store import Store
from storage import engine, open_store

PATIENCE_S = 20.0
IDLE = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"


def wait_for(database: Database, *, num_idle: int) -> None:
    """Until so many transactions are open and idle."""
    deadline = time.monotonic() + PATIENCE_S
    while len(database.sql(IDLE)) != num_idle:
        assert time.monotonic() < deadline, f"wanted {num_idle} idle transactions, got {len(database.sql(IDLE))}"


def test_idle_transactions_time_out_after_ten_seconds(postgres_database: Database) -> None:
    opened = engine.open_engine(engine.parse_url(postgres_database.url), create=False)
    with opened.connect() as connection:
        assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "10s"
    opened.dispose()


def test_a_connection_without_acknowledgements_is_lost_after_ten_seconds(postgres_database: Database) -> None:
    opened = engine.open_engine(engine.parse_url(postgres_database.url), create=False)
    with opened.connect() as connection:
        descriptor = connection.connection.driver_connection.fileno()  # type: ignore[union-attr]
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            assert copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
            assert copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
    opened.dispose()


def test_a_timed_out_transaction_fails_and_applies_nothing(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "IDLE_TRANSACTION_TIMEOUT_S", 1)
    with closing(open_store(postgres_database.url)) as store:
        with store.transaction() as tx:
            tx.users.lock(["ann"])
            wait_for(postgres_database, num_idle=1)
            wait_for(postgres_database, num_idle=0)
            with pytest.raises(StoreUnavailable, match=r"suspended|connection was lost|stopping"):
                tx.commit()
        with store.transaction() as tx:
            assert list(tx.users.lock(["ann"])) == ["ann"]
            tx.commit()
    assert postgres_database.sql("SELECT user_id FROM users") == [("ann",)]


def test_a_transaction_that_has_just_written_counts_as_idle(postgres_database: Database) -> None:
    with postgres_database.store.transaction() as tx:
        tx.users.save(list(tx.users.lock(["ann"]).values()))
        wait_for(postgres_database, num_idle=1)


def test_a_pipelined_transaction_counts_as_idle(postgres_database: Database) -> None:
    # Without a Sync after each statement the server would wait for more: "active", and without any timeout.
    with postgres_database.store.transaction() as tx, tx.pipelined():
        tx.users.save(list(tx.users.lock(["ann"]).values()))
        tx.event_counts.add(1, {(0, 0): 1})
        wait_for(postgres_database, num_idle=1)


def test_a_timed_out_pipelined_transaction_applies_nothing(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit_too_late(store: Store) -> None:
        with store.transaction() as tx, tx.pipelined():
            tx.event_counts.add(1, {(0, 0): 1})
            wait_for(postgres_database, num_idle=1)
            wait_for(postgres_database, num_idle=0)
            tx.commit()

    monkeypatch.setattr(engine, "IDLE_TRANSACTION_TIMEOUT_S", 1)
    with closing(open_store(postgres_database.url)) as store:
        with pytest.raises(StoreUnavailable, match=r"suspended|connection was lost|stopping"):
            commit_too_late(store)
        with store.read() as read:
            assert read.event_counts.total(since_ms=0) == 0
