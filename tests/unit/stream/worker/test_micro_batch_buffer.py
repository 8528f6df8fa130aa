"""Arrivals: everything that came is taken in its order, waiting is short, and whoever brings too much waits."""

from __future__ import annotations

import asyncio

import pytest

from stream.worker.micro_batch_buffer import MicroBatchBuffer

FOREVER_S = 60.0


def arrivals(*, room: int = 3, within_s: float = 0.0) -> MicroBatchBuffer[str]:
    return MicroBatchBuffer(room=room, within_s=within_s)


def test_all_that_came_is_taken_at_once_by_partition_and_in_order() -> None:
    async def scenario() -> tuple[dict[int, list[str]], int]:
        waiting = arrivals()
        for partition, message in [(1, "a"), (0, "b"), (1, "c")]:
            await waiting.put(partition, message)
        return await waiting.take(), len(waiting)

    assert asyncio.run(scenario()) == ({1: ["a", "c"], 0: ["b"]}, 0)


def test_a_full_room_does_not_wait_for_company() -> None:
    async def scenario() -> dict[int, list[str]]:
        waiting = arrivals(within_s=FOREVER_S)
        for message in "abc":
            await waiting.put(0, message)
        return await asyncio.wait_for(waiting.take(), 10.0)

    assert asyncio.run(scenario()) == {0: ["a", "b", "c"]}


def test_what_comes_while_others_wait_for_company_goes_with_them() -> None:
    async def scenario() -> dict[int, list[str]]:
        waiting = arrivals(within_s=FOREVER_S)
        taking = asyncio.ensure_future(waiting.take())
        for message in "abc":
            await waiting.put(0, message)
            await asyncio.sleep(0)
        return await asyncio.wait_for(taking, 10.0)

    assert asyncio.run(scenario()) == {0: ["a", "b", "c"]}


def test_a_lone_message_is_taken_when_nothing_joins_it() -> None:
    async def scenario() -> dict[int, list[str]]:
        waiting = arrivals(within_s=0.001)
        await waiting.put(7, "alone")
        return await waiting.take()

    assert asyncio.run(scenario()) == {7: ["alone"]}


@pytest.mark.parametrize("room", [1, 3])
def test_who_brings_more_than_there_is_room_for_waits_until_what_lies_there_is_taken(room: int) -> None:
    async def scenario() -> tuple[bool, list[str], list[str]]:
        waiting = arrivals(room=room)
        for number in range(room):
            await waiting.put(0, str(number))
        one_more = asyncio.ensure_future(waiting.put(0, "more"))
        await asyncio.sleep(0)
        waited = not one_more.done()
        first = await waiting.take()
        await one_more
        return waited, first[0], (await waiting.take())[0]

    assert asyncio.run(scenario()) == (True, [str(number) for number in range(room)], ["more"])
