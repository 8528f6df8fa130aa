"""Batched queries: what waits for a thread at the same time is answered by one call, each as if it were alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from core.errors import InvalidInput, StoreUnavailable
from serving.runtime.batched_queries import MAX_BATCH, BatchedQueries
from serving.runtime.query_executor import QueryExecutor


class Squares:
    """Answers with squares, notes each batch, and fails for 0."""

    def __init__(self, error: Exception | None = None) -> None:
        self.batches: list[list[int]] = []
        self.error = error or InvalidInput("0", field="number")

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        if 0 in numbers:
            raise self.error
        return [number**2 for number in numbers]


@asynccontextmanager
async def busy(executor: QueryExecutor) -> AsyncIterator[None]:
    """Its only thread is kept busy by other work until the end of the block."""
    gate = threading.Event()
    other = asyncio.create_task(executor.run(gate.wait))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        gate.set()
        await other


async def answered(squares: Squares, numbers: Sequence[int]) -> list[object]:
    """The answers to queries that wait at the same time, or their errors."""
    executor = QueryExecutor(num_threads=1, max_waiting=100)
    queries = BatchedQueries(executor, squares)
    async with busy(executor):
        tasks = [asyncio.create_task(queries.run(number)) for number in numbers]
        await asyncio.sleep(0)
    results: list[object] = await asyncio.gather(*tasks, return_exceptions=True)
    await executor.stop()
    return results


def test_queries_that_wait_together_are_one_batch() -> None:
    squares = Squares()
    assert asyncio.run(answered(squares, [1, 2, 3])) == [1, 4, 9]
    assert squares.batches == [[1, 2, 3]]


def test_a_batch_is_bounded_and_keeps_the_order() -> None:
    squares, numbers = Squares(), list(range(1, MAX_BATCH + 3))
    assert asyncio.run(answered(squares, numbers)) == [number**2 for number in numbers]
    assert squares.batches == [numbers[:MAX_BATCH], numbers[MAX_BATCH:]]


def test_a_query_that_fails_fails_alone() -> None:
    squares = Squares()
    assert asyncio.run(answered(squares, [1, 0, 3])) == [1, squares.error, 9]
    assert squares.batches == [[1, 0, 3], [1], [0], [3]]


def test_an_unavailable_database_is_asked_once() -> None:
    squares = Squares(StoreUnavailable("gone"))
    assert asyncio.run(answered(squares, [1, 0])) == [squares.error, squares.error]
    assert squares.batches == [[1, 0]]


def test_a_query_whose_client_has_left_is_not_computed() -> None:
    async def scenario() -> int:
        executor = QueryExecutor(num_threads=1, max_waiting=100)
        queries = BatchedQueries(executor, squares)
        async with busy(executor):
            left, stays = (asyncio.create_task(queries.run(number)) for number in (1, 2))
            await asyncio.sleep(0)
            left.cancel()
            with pytest.raises(asyncio.CancelledError):
                await left
        return await stays

    squares = Squares()
    assert asyncio.run(scenario()) == 4
    assert squares.batches == [[2]]


def test_several_threads_answer_each_query_once() -> None:
    async def scenario() -> list[int]:
        queries = BatchedQueries(QueryExecutor(num_threads=4, max_waiting=1000), squares)
        return await asyncio.gather(*(queries.run(number) for number in numbers))

    squares, numbers = Squares(), list(range(1, 301))
    assert asyncio.run(scenario()) == [number**2 for number in numbers]
    assert sorted(number for batch in squares.batches for number in batch) == numbers
