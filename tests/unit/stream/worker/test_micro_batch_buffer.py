"""The micro-batch buffer: messages keep their order, `take` lingers briefly, and `put` waits while it is full."""

from __future__ import annotations

import asyncio

import pytest

from stream.worker.micro_batch_buffer import MicroBatchBuffer

FOREVER_S = 60.0


def make_buffer(*, capacity: int = 3, linger_s: float = 0.0) -> MicroBatchBuffer[str]:
    return MicroBatchBuffer(capacity=capacity, linger_s=linger_s, size=len)


def test_all_messages_are_taken_by_partition_and_in_order() -> None:
    async def scenario() -> tuple[dict[int, list[str]], int]:
        buffer = make_buffer()
        for partition, message in [(1, "a"), (0, "b"), (1, "c")]:
            await buffer.put(partition, [message])
        return await buffer.take(), len(buffer)

    assert asyncio.run(scenario()) == ({1: ["a", "c"], 0: ["b"]}, 0)


def test_a_full_buffer_is_taken_without_lingering() -> None:
    async def scenario() -> dict[int, list[str]]:
        buffer = make_buffer(linger_s=FOREVER_S)
        for message in "abc":
            await buffer.put(0, [message])
        return await asyncio.wait_for(buffer.take(), 10.0)

    assert asyncio.run(scenario()) == {0: ["a", "b", "c"]}


def test_messages_that_arrive_while_take_lingers_are_included() -> None:
    async def scenario() -> dict[int, list[str]]:
        buffer = make_buffer(linger_s=FOREVER_S)
        taking = asyncio.ensure_future(buffer.take())
        for message in "abc":
            await buffer.put(0, [message])
            await asyncio.sleep(0)
        return await asyncio.wait_for(taking, 10.0)

    assert asyncio.run(scenario()) == {0: ["a", "b", "c"]}


def test_a_single_message_is_taken_after_the_linger() -> None:
    async def scenario() -> dict[int, list[str]]:
        buffer = make_buffer(linger_s=0.001)
        await buffer.put(7, ["alone"])
        return await buffer.take()

    assert asyncio.run(scenario()) == {7: ["alone"]}


@pytest.mark.parametrize("capacity", [1, 3])
def test_put_waits_while_the_buffer_is_full(capacity: int) -> None:
    async def scenario() -> tuple[bool, list[str], list[str]]:
        buffer = make_buffer(capacity=capacity)
        for number in range(capacity):
            await buffer.put(0, [str(number)])
        put_more = asyncio.ensure_future(buffer.put(0, ["more"]))
        await asyncio.sleep(0)
        waited = not put_more.done()
        first = await buffer.take()
        await put_more
        return waited, first[0], (await buffer.take())[0]

    assert asyncio.run(scenario()) == (True, [str(number) for number in range(capacity)], ["more"])


def test_put_waits_while_the_messages_are_large() -> None:
    async def scenario() -> tuple[bool, dict[int, list[str]]]:
        buffer: MicroBatchBuffer[str] = MicroBatchBuffer(capacity=100, linger_s=FOREVER_S, capacity_bytes=10, size=len)
        for message in ("first", "large"):
            await buffer.put(0, [message])
        put_more = asyncio.ensure_future(buffer.put(0, ["more"]))
        await asyncio.sleep(0)
        waited = not put_more.done()
        taken = await asyncio.wait_for(buffer.take(), 10.0)
        await put_more
        return waited, taken

    assert asyncio.run(scenario()) == (True, {0: ["first", "large"]})


def test_the_rest_of_what_is_put_at_once_waits_while_the_buffer_is_full() -> None:
    async def scenario() -> tuple[bool, list[dict[int, list[str]]]]:
        buffer = make_buffer(capacity=2)
        putting = asyncio.ensure_future(buffer.put(4, "abcde"))
        await asyncio.sleep(0)
        waited = not putting.done()
        taken = [await buffer.take() for _ in range(3)]
        await putting
        return waited, taken

    assert asyncio.run(scenario()) == (True, [{4: ["a", "b"]}, {4: ["c", "d"]}, {4: ["e"]}])
