"""POST /v1/interactions with an event log: 202 with positions, or outcomes with `wait=applied`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from doubles import MemoryStore
from serving_doubles import NOW_MS, SHAPE, TYPES, Api, Shop

from core.corrections.erase import erase_user
from core.corrections.undo import undo_event
from core.errors import StoreUnavailable, StreamUnavailable
from core.events.interactions import Interaction
from core.ingestion.derivation import Derivation
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import StreamSource
from serving.app import create_app
from serving.runtime.offset_waiter import OffsetWaiter
from serving.runtime.services import Limits


@dataclass(frozen=True)
class LogPosition:
    topic: str
    partition: int
    offset: int


class MemoryLog:
    """A log of one partition that is applied at once, or by hand."""

    name = "events"

    def __init__(self, shop: Shop, *, at_once: bool = True) -> None:
        self.messages: list[Interaction] = []
        self._ingestor = Ingestor(shop.store, types=TYPES, shape=SHAPE)
        self._at_once = at_once
        self._num_applied = 0

    def publish(self, events: Sequence[Interaction]) -> list[LogPosition]:
        first = len(self.messages)
        self.messages += events
        if self._at_once:
            self.apply()
        return [LogPosition(self.name, 0, first + index) for index in range(len(events))]

    def apply(self, *, dead_lettered: str = "") -> None:
        """Apply as a worker does; the event named `dead_lettered` is dead-lettered."""
        unapplied = range(self._num_applied, len(self.messages))
        offsets = [offset for offset in unapplied if self.messages[offset].event_id != dead_lettered]
        source = StreamSource(self.name, 0, offsets, self._num_applied, len(self.messages) - 1)
        self._ingestor.ingest([self.messages[offset] for offset in offsets], source)
        self._num_applied = len(self.messages)


class UnavailableLog:
    """A log that raises, at once or once it `responds`."""

    name = "events"

    def __init__(self, *, silent: bool = False) -> None:
        self.responds = threading.Event()
        if not silent:
            self.responds.set()

    def publish(self, events: Sequence[Interaction]) -> list[LogPosition]:
        self.responds.wait()
        msg = "Kafka cannot be reached at nowhere:9092"
        raise StreamUnavailable(msg)


@pytest.fixture
def log(shop: Shop) -> MemoryLog:
    return MemoryLog(shop)


@pytest.fixture
def api(shop: Shop, log: MemoryLog) -> Iterator[Api]:
    with Api(create_app(shop.with_services(log=log))) as api:
        yield api


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"event_id": f"e{number}", "user_id": "u", "item_id": "a", "time": NOW_MS} | changes


def test_an_event_is_queued_with_its_position(api: Api, log: MemoryLog) -> None:
    reply = api.post("/v1/interactions", json=event())
    assert reply.status_code == 202
    position = {"topic": "events", "partition": 0, "offset": 0}
    assert reply.json()["results"] == [{"status": "queued", "event_id": "e1", "position": position}]
    assert reply.json()["queued"] == 1
    assert [message.event_id for message in log.messages] == ["e1"]


def test_invalid_events_are_rejected_and_not_published(api: Api, log: MemoryLog) -> None:
    reply = api.post("/v1/interactions", json={"events": [event(), event(2, item_id="")]})
    assert (reply.status_code, reply.json()["queued"], reply.json()["rejected"]) == (202, 1, 1)
    assert len(log.messages) == 1


def test_wait_applied_answers_the_outcome_of_each_event(api: Api) -> None:
    api.post("/v1/interactions", json=event(1))
    batch = [event(1), event(2), event(2), event(3, user_id="v")]
    reply = api.post("/v1/interactions?wait=applied", json={"events": batch})
    assert reply.status_code == 200
    assert [(result["status"], result["user_seq"]) for result in reply.json()["results"]] == [
        ("duplicate", 1),
        ("accepted", 2),
        ("duplicate", 2),
        ("accepted", 1),
    ]


def test_the_next_recommendation_knows_events_waited_for(api: Api) -> None:
    api.post("/v1/interactions?wait=applied", json=event())
    assert api.get("/v1/users/u/recommendations").json()["user_seq"] == 1


def test_an_event_before_the_erasure_is_erased(api: Api, shop: Shop) -> None:
    api.post("/v1/interactions", json=event())
    erase_user(shop.store, "u", clock=shop.clock, derivation=Derivation(TYPES, SHAPE))
    reply = api.post("/v1/interactions?wait=applied", json=event())
    assert reply.json()["results"][0]["status"] == "erased"


def test_an_undone_event_is_answered_as_a_duplicate(api: Api, shop: Shop) -> None:
    api.post("/v1/interactions", json=event(1))
    undo_event(shop.store, "e1", Derivation(TYPES, SHAPE))
    reply = api.post("/v1/interactions?wait=applied", json=event(1))
    assert reply.json()["results"][0]["status"] == "duplicate"


def test_a_dead_lettered_event_is_answered_as_rejected(shop: Shop) -> None:
    log = MemoryLog(shop, at_once=False)
    with Api(create_app(shop.with_services(log=log))) as api:

        async def post_and_apply() -> Any:
            waiting = asyncio.create_task(api.client.post("/v1/interactions?wait=applied", json=event()))
            while not log.messages:
                await asyncio.sleep(0)
            log.apply(dead_lettered="e1")
            return await waiting

        result = api.run(post_and_apply()).json()["results"][0]
    assert (result["status"], result["error"]["code"]) == ("rejected", "dead_lettered")
    assert "tidewise dead-letters list" in result["error"]["message"]


def test_a_wait_beyond_the_timeout_is_answered_as_queued(shop: Shop) -> None:
    services = shop.with_services(log=MemoryLog(shop, at_once=False), limits=Limits(wait_timeout_s=0.02))
    with Api(create_app(services)) as api:
        reply = api.post("/v1/interactions?wait=applied", json=event())
    assert reply.status_code == 202
    assert reply.json()["results"][0]["status"] == "queued"
    assert "not applied within the timeout" in reply.json()["note"]


def test_events_whose_outcomes_cannot_be_read_are_answered_as_queued() -> None:
    class LimitedStore(MemoryStore):
        reads_left = 1_000

        def read(self, *, snapshot: bool = True) -> Any:
            self.reads_left -= 1
            if self.reads_left < 0:
                msg = "the database is away"
                raise StoreUnavailable(msg)
            return super().read(snapshot=snapshot)

    store = LimitedStore()
    shop = Shop(store)
    with Api(create_app(shop.with_services(log=MemoryLog(shop), limits=Limits(activity_period_s=3600.0)))) as api:
        store.reads_left = 2  # which events are known, and that these are applied
        reply = api.post("/v1/interactions?wait=applied", json=event())
    assert (reply.status_code, reply.json()["results"][0]["status"]) == (202, "queued")
    assert "the database could not be asked" in reply.json()["note"]


def test_wait_changes_nothing_without_a_log(shop: Shop) -> None:
    with Api(create_app(shop.services)) as api:
        reply = api.post("/v1/interactions?wait=applied", json=event())
    assert (reply.status_code, reply.json()["results"][0]["status"]) == (200, "accepted")


@pytest.mark.parametrize("query", ["wait=forever", "wait=", "await=applied"])
def test_an_unknown_wait_value_is_422(api: Api, log: MemoryLog, query: str) -> None:
    reply = api.post(f"/v1/interactions?{query}", json=event())
    assert reply.status_code == 422
    assert log.messages == []


def test_an_unavailable_log_is_503_with_retry_after(shop: Shop) -> None:
    with Api(create_app(shop.with_services(log=UnavailableLog()))) as api:
        reply = api.post("/v1/interactions", json=event())
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert reply.json()["error"]["code"] == "unavailable"
    assert "Kafka cannot be reached" in reply.json()["error"]["message"]


def test_a_silent_log_is_503_within_the_send_timeout(shop: Shop) -> None:
    log = UnavailableLog(silent=True)
    services = shop.with_services(log=log, limits=Limits(send_timeout_s=0.02))
    with Api(create_app(services)) as api:
        reply = api.post("/v1/interactions", json=event())
        log.responds.set()
    assert reply.status_code == 503
    assert "did not confirm 1 events within 0.02 s; send them again" in reply.json()["error"]["message"]


class CountedOffsets:
    """Offsets that rise by one with each poll; the first `num_failures` polls fail."""

    def __init__(self, *, num_failures: int = 0) -> None:
        self.num_polls = 0
        self._num_failures = num_failures

    def __call__(self) -> dict[int, int]:
        self.num_polls += 1
        if self.num_polls <= self._num_failures:
            msg = "the database is away"
            raise StoreUnavailable(msg)
        return {0: self.num_polls}


def test_one_poll_serves_all_waiting_requests() -> None:
    offsets = CountedOffsets()

    async def wait() -> list[bool]:
        waiter = OffsetWaiter(offsets, poll_s=0.001)
        reached = await asyncio.gather(*(waiter.reached({0: 5}, timeout_s=5.0) for _ in range(100)))
        await waiter.stop()
        return reached

    assert asyncio.run(wait()) == [True] * 100
    assert offsets.num_polls == 5


def test_no_poll_runs_without_waiting_requests() -> None:
    offsets = CountedOffsets()

    async def wait() -> int:
        waiter = OffsetWaiter(offsets, poll_s=0.0)
        await waiter.reached({0: 1}, timeout_s=5.0)
        before = offsets.num_polls
        await asyncio.sleep(0.01)  # the time of several polls
        await waiter.stop()
        return offsets.num_polls - before

    assert asyncio.run(wait()) <= 1


def test_a_partition_without_an_applied_offset_is_not_reached() -> None:
    async def wait() -> bool:
        waiter = OffsetWaiter(CountedOffsets(), poll_s=0.001)
        reached = await waiter.reached({0: 1, 1: 0}, timeout_s=0.02)
        await waiter.stop()
        return reached

    assert asyncio.run(wait()) is False


def test_a_temporarily_unavailable_database_is_polled_again() -> None:
    async def wait() -> bool:
        waiter = OffsetWaiter(CountedOffsets(num_failures=1), poll_s=0.001)
        reached = await waiter.reached({0: 1}, timeout_s=5.0)
        await waiter.stop()
        return reached

    assert asyncio.run(wait()) is True
