"""The threads of the engine: lists of items wait for no other query, and are computed one at a time."""

from __future__ import annotations

import asyncio
import threading
import time

from serving_doubles import NOW_MS, Shop

from core.events.interactions import Interaction
from serving.app import Limits
from serving.runtime.engine import MANY_WAITING, Engine


def test_a_list_of_items_does_not_wait_for_other_queries(shop: Shop) -> None:
    async def scenario() -> str:
        engine, gate = Engine(shop.with_services(limits=Limits(num_readers=1))), threading.Event()
        query = asyncio.create_task(engine.executor.run(gate.wait))
        await asyncio.sleep(0)
        ranked = await engine.ranking.run(lambda: "ranked")
        gate.set()
        await query
        return ranked

    assert asyncio.run(scenario()) == "ranked"


def test_beside_an_embedded_database_one_list_is_computed_at_a_time(shop: Shop) -> None:
    at_once, most = 0, 0

    def rank() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.001)
        at_once -= 1

    async def scenario() -> None:
        engine = Engine(shop.services)
        await asyncio.gather(*(engine.ranking.run(rank) for _ in range(8)))

    assert shop.store.is_embedded
    asyncio.run(scenario())
    assert most == 1


def test_while_many_lists_wait_no_user_is_encoded_ahead(shop: Shop) -> None:
    async def scenario() -> tuple[int, int]:
        engine, gate = Engine(shop.services), threading.Event()
        async with engine.running():
            lists = [asyncio.create_task(engine.ranking.run(gate.wait)) for _ in range(MANY_WAITING + 1)]
            await asyncio.sleep(0)
            await engine.event_sink.submit([Interaction("1", "ann", "a", "click", NOW_MS)], wait=True)
            while_many_wait = len(shop.changed_users)
            gate.set()
            await asyncio.gather(*lists)
            await engine.event_sink.submit([Interaction("2", "bob", "a", "click", NOW_MS)], wait=True)
        return while_many_wait, len(shop.changed_users)

    assert asyncio.run(scenario()) == (0, 1)
