"""Concurrent writers and readers on real connections: no lost updates, no deadlocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace

import pytest
from services.databases import Database
from services.postgres import fresh_database

from core.catalogue.items import Item
from core.errors import StoreConflict
from core.events.history import WindowShape
from core.events.interactions import EventTypes, Interaction
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.ports.store import Store, Transaction
from core.records.stored import UserState
from storage import open_store

USERS = [f"user{number}" for number in range(12)]
WAIT_S = 30


def in_parallel(*tasks: Callable[[], None]) -> None:
    """Run all at once; an error of any is an error of the test."""
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], None]) -> None:
        start.wait(WAIT_S)
        task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        for done in [pool.submit(run, task) for task in tasks]:
            done.result(WAIT_S)


def wait_for_a_lock(database: Database) -> None:
    """Wait until a transaction waits for a lock."""
    deadline_s = time.monotonic() + WAIT_S
    while not database.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
        assert time.monotonic() < deadline_s, "no transaction waits"


def run_transaction(store: Store, work: Callable[[Transaction], object]) -> None:
    """Run a transaction as use cases do: again after each conflict."""
    while True:
        with suppress(StoreConflict), store.transaction() as tx:
            work(tx)
            tx.commit()
            return


def test_concurrent_writers_of_the_same_users_do_not_deadlock(database: Database) -> None:
    rounds = 15

    def step(order: list[str]) -> Callable[[Transaction], None]:
        def work(tx: Transaction) -> None:
            states = tx.users.lock(order)
            tx.items.resolve(order)
            tx.users.save([replace(state, seq=state.seq + 1) for state in states.values()])

        return work

    def writer(order: list[str]) -> Callable[[], None]:
        def run() -> None:
            with closing(open_store(database.url)) as store:
                for _ in range(rounds):
                    run_transaction(store, step(order))

        return run

    in_parallel(writer(USERS), writer(USERS[::-1]), writer(USERS[::2] + USERS[1::2]))
    with database.store.read() as read:
        states = [read.users.find(user) for user in USERS]
        assert read.totals().items == len(USERS)
    assert [state.seq for state in states if state] == [3 * rounds] * len(USERS)


def test_users_created_concurrently_get_one_key(database: Database) -> None:
    results: list[dict[str, UserState]] = []

    def work() -> None:
        run_transaction(database.store, lambda tx: results.append(tx.users.lock(USERS)))

    in_parallel(*[work] * 4)
    assert len({tuple(states[user].key for user in USERS) for states in results}) == 1


def test_creating_the_same_user_concurrently_raises_a_conflict(postgres_database: Database) -> None:
    with closing(open_store(postgres_database.url)) as other, ThreadPoolExecutor(1) as pool:

        def second() -> None:
            with other.transaction() as tx:
                tx.users.lock(["ann"])

        with postgres_database.store.transaction() as tx:
            tx.users.lock(["ann"])
            waiting = pool.submit(second)
            wait_for_a_lock(postgres_database)
            tx.commit()
        with pytest.raises(StoreConflict, match=r"a concurrent transaction won .*uq_users_user_id"):
            waiting.result(WAIT_S)


def test_a_user_erased_during_creation_raises_a_conflict(postgres_database: Database) -> None:
    def erase(tx: Transaction) -> None:
        tx.users.lock(["ann"])
        tx.users.erase("ann", now_ms=5000)

    with closing(open_store(postgres_database.url)) as other, ThreadPoolExecutor(1) as pool:

        def second() -> None:
            with other.transaction() as tx:
                tx.users.lock(["ann"], unless_erased={"ann": 4000})

        with postgres_database.store.transaction() as tx:
            erase(tx)
            waiting = pool.submit(second)
            wait_for_a_lock(postgres_database)
            tx.commit()
        with pytest.raises(StoreConflict, match="another transaction erased a user at the same moment"):
            waiting.result(WAIT_S)


def test_a_second_writer_waits_for_the_lock_of_a_user(database: Database) -> None:
    run_transaction(database.store, lambda tx: tx.users.lock(["ann"]))
    second_began, second_done = threading.Event(), threading.Event()

    def second() -> None:
        second_began.set()
        with database.store.transaction() as tx:
            state = tx.users.lock(["ann"])["ann"]
            tx.users.save([replace(state, seq=state.seq + 1)])
            tx.commit()
        second_done.set()

    with ThreadPoolExecutor(1) as pool:
        with database.store.transaction() as tx:
            state = tx.users.lock(["ann"])["ann"]
            waiting = pool.submit(second)
            assert second_began.wait(WAIT_S)
            assert not second_done.wait(0.2)
            tx.users.save([replace(state, seq=41)])
            tx.commit()
        waiting.result(WAIT_S)
    with database.store.read() as read:
        after = read.users.find("ann")
    assert after is not None
    assert after.seq == 42


def test_only_one_of_several_workers_advances_an_offset(database: Database) -> None:
    with database.store.transaction() as tx:
        source = tx.offsets.lock("interactions", [0])[0]
        tx.commit()
    won: list[bool] = []

    def work() -> None:
        with database.store.transaction() as tx:
            unchanged = tx.offsets.lock("interactions", [0]) == {0: source}
            if unchanged:
                tx.offsets.save([replace(source, applied_offset=10)])
            won.append(unchanged)
            tx.commit()

    in_parallel(work, work, work)
    assert sorted(won) == [False, False, True]


def test_locking_partitions_in_any_order_does_not_deadlock(database: Database) -> None:
    rounds = 15

    def opener(partitions: list[int]) -> Callable[[], None]:
        def work() -> None:
            with closing(open_store(database.url)) as store:
                for _ in range(rounds):
                    with store.transaction() as tx:
                        writers = tx.offsets.lock("interactions", partitions).values()
                        tx.offsets.save([replace(w, applied_offset=(w.applied_offset or 0) + 1) for w in writers])
                        tx.commit()

        return work

    in_parallel(opener([0, 1, 2, 3]), opener([3, 2, 1, 0]), opener([1, 3, 0, 2]))
    with database.store.read() as read:
        assert read.offsets.applied("interactions") == dict.fromkeys(range(4), 3 * rounds)


def test_a_writer_does_not_block_readers(database: Database) -> None:
    with closing(open_store(database.url)) as other, database.store.transaction() as tx:
        tx.users.lock(["ann"])
        with other.read() as read:
            assert read.users.find("ann") is None
            tx.commit()
            assert read.users.find("ann") is None
        with other.read() as read:
            assert read.users.find("ann") is not None


def test_events_sent_by_several_writers_are_stored_once(database: Database) -> None:
    events = [Interaction(f"e{n}", USERS[n % 12], f"item{n % 5}", "click", 1_700_000_000_000 + n) for n in range(240)]
    accepted: list[int] = []

    def writer(name: str) -> Callable[[], None]:
        def work() -> None:
            with closing(open_store(database.url)) as store:
                ingestor = Ingestor(store, types=EventTypes(), shape=WindowShape())
                for start in range(0, len(events), 40):
                    result = ingestor.ingest(events[start : start + 40], RequestSource(name))
                    accepted.append(result.num_accepted)

        return work

    in_parallel(*(writer(f"api-{n}") for n in range(3)))
    assert sum(accepted) == len(events)
    with database.store.read() as read:
        assert read.totals().events == len(events)
        state = read.users.find(USERS[0])
        rows = [row for page in read.events.pages() for row in page if state and row.user_key == state.key]
    assert state is not None
    assert sorted(row.user_seq for row in rows) == list(range(1, 21))
    assert state.seq == 20
    assert state.window.history.items.tolist() == [row.item_key for row in rows]


def test_a_user_erased_while_a_writer_waits_is_created_again(database: Database) -> None:
    with database.store.transaction() as tx:
        state = tx.users.lock(["ann"])["ann"]
        tx.users.save([replace(state, seq=5)])
        tx.commit()
    began = threading.Event()

    def lock_again() -> UserState:
        began.set()
        for _ in range(5):
            try:
                with database.store.transaction() as tx:
                    user = tx.users.lock(["ann"])["ann"]
                    tx.commit()
                    return user
            except StoreConflict:
                continue
        raise AssertionError("never got through")

    with ThreadPoolExecutor(1) as pool:
        with database.store.transaction() as tx:
            assert tx.users.erase("ann", now_ms=9000)
            waiting = pool.submit(lock_again)
            assert began.wait(WAIT_S)
            tx.commit()
        user = waiting.result(WAIT_S)
    assert (user.seq, user.erased_ms) == (5, 9000)
    assert user.key != state.key


def test_concurrent_catalogue_changes_get_different_revisions(database: Database) -> None:
    revisions: list[int] = []

    def work() -> None:
        for _ in range(10):
            with database.store.transaction() as tx:
                revisions.append(tx.items.save([Item("x"), Item("y")], now_ms=1))
                tx.commit()

    in_parallel(work, work, work)
    assert sorted(revisions) == list(range(1, 31))


@pytest.mark.parametrize("num_stores", [4])
def test_a_database_opened_concurrently_is_migrated_once(
    num_stores: int, tmp_path: object, postgres_server: str
) -> None:
    with fresh_database(postgres_server) as url:
        for database_url in (url, f"sqlite:///{tmp_path}/new.db"):
            in_parallel(*[lambda url=database_url: open_store(url).close()] * num_stores)
            with closing(open_store(database_url)) as store, store.read() as read:
                assert read.totals().users == 0
