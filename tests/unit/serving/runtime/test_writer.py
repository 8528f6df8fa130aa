"""The writer: concurrent requests share a commit, are answered after it, and fail separately."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import httpx
import pytest
from doubles import MemoryStore, MemoryTransaction
from serving_doubles import NOW_MS, SHAPE, TYPES, Api, Shop

from core.errors import Overloaded, StoreUnavailable
from core.events.interactions import Interaction
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import EventOutcome, IngestResult, RequestSource
from serving.app import create_app
from serving.runtime.writer import Writer


class BlockingStore(MemoryStore):
    """A store whose transactions wait for the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.num_transactions = 0

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        self.num_transactions += 1
        self.begun.set()
        assert self.gate.wait(timeout=30)
        with super().transaction() as tx:
            yield tx


class FailingIngestor(Ingestor):
    """An ingestor that fails on the events of one user."""

    def ingest(self, events: Sequence[Interaction], source: RequestSource) -> IngestResult:  # type: ignore[override]
        if any(event.user_id == "poison" for event in events):
            msg = "some data that the database refuses"
            raise ArithmeticError(msg)
        return super().ingest(events, source)


def interaction(name: str, *, user_id: str = "u") -> Interaction:
    return Interaction(name, user_id, "a", "click", NOW_MS)


def make_writer(
    store: MemoryStore,
    *,
    kind: type[Ingestor] = Ingestor,
    max_group: int = 100,
    max_waiting: int = 100,
    max_wait_s: float = float("inf"),
) -> Writer:
    ingestor = kind(store, types=TYPES, shape=SHAPE)
    return Writer(
        ingestor,
        name="test",
        encode=lambda _: None,
        max_group_events=max_group,
        max_waiting_events=max_waiting,
        max_wait_s=max_wait_s,
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def queued_behind_a_commit(
    store: BlockingStore, writer: Writer, num_jobs: int
) -> list[asyncio.Task[list[EventOutcome]]]:
    """One request whose commit is blocked, and more queued behind it; `store.gate` releases them."""
    first = asyncio.create_task(writer.submit([interaction("first")]))
    await until(store.begun.is_set)
    queued = [asyncio.create_task(writer.submit([interaction(f"e{i}")])) for i in range(num_jobs)]
    await until(lambda: writer.num_waiting == num_jobs)
    return [first, *queued]


def test_requests_that_arrive_during_a_commit_share_the_next_one() -> None:
    async def scenario() -> None:
        store = BlockingStore()
        writer = make_writer(store)
        writer.start()
        tasks = await queued_behind_a_commit(store, writer, 20)
        assert not any(task.done() for task in tasks)
        store.gate.set()
        applied = await asyncio.gather(*tasks)
        await writer.stop()
        assert store.num_transactions == 2
        assert [[outcome.user_seq for outcome in outcomes] for outcomes in applied] == [[seq] for seq in range(1, 22)]

    asyncio.run(scenario())


def test_a_group_holds_no_more_events_than_the_limit() -> None:
    async def scenario() -> None:
        store = BlockingStore()
        writer = make_writer(store, max_group=10)
        writer.start()
        tasks = await queued_behind_a_commit(store, writer, 20)
        store.gate.set()
        await asyncio.gather(*tasks)
        await writer.stop()
        assert store.num_transactions == 3

    asyncio.run(scenario())


def test_no_request_is_answered_before_its_commit() -> None:
    async def scenario() -> None:
        store = BlockingStore()
        writer = make_writer(store)
        writer.start()
        task = asyncio.create_task(writer.submit([interaction("e")]))
        await until(store.begun.is_set)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not task.done()
        store.gate.set()
        await task
        with store.read() as read:
            assert read.totals().events == 1
        await writer.stop()

    asyncio.run(scenario())


def test_other_changes_keep_their_order_among_events() -> None:
    async def scenario() -> None:
        store = BlockingStore()
        writer = make_writer(store)
        writer.start()
        first = asyncio.create_task(writer.submit([interaction("first")]))
        await until(store.begun.is_set)
        seen: list[int] = []

        def count() -> None:
            with store.read() as read:
                seen.append(read.totals().events)

        jobs = [writer.submit([interaction("before")]), writer.run(count), writer.submit([interaction("after")])]
        tasks = [asyncio.create_task(job) for job in jobs]
        await until(lambda: writer.num_waiting == 3)
        store.gate.set()
        await asyncio.gather(first, *tasks)
        await writer.stop()
        assert seen == [2]

    asyncio.run(scenario())


def test_a_failing_request_of_a_group_fails_alone() -> None:
    async def scenario() -> None:
        store = BlockingStore()
        writer = make_writer(store, kind=FailingIngestor)
        writer.start()
        first = asyncio.create_task(writer.submit([interaction("first")]))
        await until(store.begun.is_set)
        users = ["v", "poison", "w"]
        tasks = [asyncio.create_task(writer.submit([interaction(user, user_id=user)])) for user in users]
        await until(lambda: writer.num_waiting == 3)
        store.gate.set()
        results = await asyncio.gather(first, *tasks, return_exceptions=True)
        await writer.stop()
        assert [type(result) for result in results] == [list, list, ArithmeticError, list]

    asyncio.run(scenario())


def test_a_full_queue_rejects_until_it_has_drained() -> None:
    async def scenario() -> None:
        store = BlockingStore()
        writer = make_writer(store, max_waiting=5)
        writer.start()
        tasks = await queued_behind_a_commit(store, writer, 5)
        with pytest.raises(Overloaded, match="5 events are waiting to be written already"):
            await writer.submit([interaction("one too many")])
        store.gate.set()
        await asyncio.gather(*tasks)
        assert [outcome.user_seq for outcome in await writer.submit([interaction("later")])] == [7]
        await writer.stop()

    asyncio.run(scenario())


def test_events_that_wait_too_long_because_groups_are_full_are_refused() -> None:
    async def scenario() -> None:
        store = BlockingStore()
        writer = make_writer(store, max_group=10, max_wait_s=0.0)
        writer.start()
        tasks = await queued_behind_a_commit(store, writer, 25)
        store.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await writer.stop()
        assert [type(result) for result in results] == [list] * 11 + [Overloaded] * 15
        assert writer.num_waiting == 0
        with store.read() as read:
            assert read.totals().events == 11

    asyncio.run(scenario())


def test_events_behind_one_long_commit_are_applied() -> None:
    async def scenario() -> None:
        writer = make_writer(store := BlockingStore(), max_wait_s=0.0)
        writer.start()
        tasks = await queued_behind_a_commit(store, writer, 20)
        store.gate.set()
        assert len(await asyncio.gather(*tasks)) == 21
        await writer.stop()

    asyncio.run(scenario())


def test_stopping_applies_the_queue_and_rejects_new_requests() -> None:
    async def scenario() -> None:
        store = BlockingStore()
        writer = make_writer(store)
        writer.start()
        tasks = await queued_behind_a_commit(store, writer, 3)
        stopping = asyncio.create_task(writer.stop())
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="shutting down"):
            await writer.submit([interaction("too late")])
        store.gate.set()
        assert len(await asyncio.gather(*tasks)) == 4
        await stopping

    asyncio.run(scenario())


def test_events_of_a_disconnected_client_are_applied() -> None:
    async def scenario() -> None:
        store = BlockingStore()
        writer = make_writer(store)
        writer.start()
        tasks = await queued_behind_a_commit(store, writer, 2)
        tasks[1].cancel()
        store.gate.set()
        await asyncio.gather(tasks[0], tasks[2])
        await writer.stop()
        with store.read() as read:
            assert read.totals().events == 3

    asyncio.run(scenario())


def test_a_failing_encoder_does_not_fail_a_committed_request() -> None:
    def fail(_states: object) -> None:
        raise OSError

    shop = Shop()
    with Api(create_app(shop.with_services(encode=fail))) as api:
        reply = api.post("/v1/interactions", json={"user_id": "u", "item_id": "a"})
    assert reply.json()["accepted"] == 1


def test_an_unavailable_database_is_503_with_retry_after() -> None:
    class AwayStore(MemoryStore):
        away = False

        @contextmanager
        def transaction(self) -> Iterator[MemoryTransaction]:
            if self.away:
                msg = "the disk is full; make room"
                raise StoreUnavailable(msg)
            with super().transaction() as tx:
                yield tx

    store = AwayStore()
    shop = Shop(store)
    store.away = True
    with Api(create_app(shop.services)) as api:
        reply = api.post("/v1/interactions", json={"user_id": "u", "item_id": "a"})
        ready = api.get("/ready")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert reply.json()["error"] == {"code": "unavailable", "message": "the disk is full; make room"}
    assert ready.status_code == 503
    assert ready.json()["checks"]["database"] == {
        "ok": False,
        "message": "the disk is full; make room",
    }


def test_http_requests_share_commits() -> None:
    store = BlockingStore()
    store.gate.set()
    app = create_app(Shop(store).services)

    async def burst(api: Api) -> list[int]:
        def post(number: int) -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(
                api.client.post("/v1/interactions", json={"user_id": f"u{number}", "item_id": "a"})
            )

        store.gate.clear()
        store.begun.clear()
        store.num_transactions = 0
        tasks = [post(0)]
        await until(store.begun.is_set)
        tasks += [post(number) for number in range(1, 50)]
        await until(lambda: app.state.engine.writer.num_waiting == 49)
        store.gate.set()
        return [reply.status_code for reply in await asyncio.gather(*tasks)]

    with Api(app) as api:
        assert api.run(burst(api)) == [200] * 50
    assert store.num_transactions == 2
