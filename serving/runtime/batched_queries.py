"""Batched queries: those that wait for a thread at the same time are answered by one call."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Generic, TypeVar

from core.errors import Overloaded, StoreUnavailable
from serving.runtime.query_executor import QueryExecutor

Q = TypeVar("Q")
R = TypeVar("R")
MAX_BATCH = 16  # more hardly lower the cost of one, and the first waits for all


@dataclass(slots=True)
class _Waiting(Generic[Q, R]):
    """A query in the queue. Its answer is cancelled where its client leaves before it is taken."""

    query: Q
    answer: Future[R] = field(default_factory=Future)
    is_taken: bool = False
    since_s: float = field(default_factory=time.monotonic)


class BatchedQueries(Generic[Q, R]):
    """Queries of one kind on the threads of an executor, up to `MAX_BATCH` in one turn.

    `answer_all` returns the answers in the order of the queries. Where it fails for several of them, each is asked
    alone, so that no query fails because of another.
    """

    def __init__(self, executor: QueryExecutor, answer_all: Callable[[Sequence[Q]], Sequence[R]]) -> None:
        self._executor = executor
        self._answer_all = answer_all
        self._queue: deque[_Waiting[Q, R]] = deque()
        self._taking = Lock()

    async def run(self, query: Q) -> R:
        """The answer to a query; raises `Overloaded` as the executor's `run` does."""
        waiting = _Waiting[Q, R](query)
        self._queue.append(waiting)
        try:
            return await self._executor.run_whenever(partial(self._answer, waiting))
        finally:
            waiting.answer.cancel()

    def _answer(self, own: _Waiting[Q, R]) -> R:
        """In a query's turn: the answer that an earlier turn found, else this turn answers it with those behind it."""
        while batch := self._next_batch(own):
            self._answer_batch(batch)
        return own.answer.result()

    def _next_batch(self, own: _Waiting[Q, R]) -> list[_Waiting[Q, R]]:
        """The oldest queries of the queue that have not waited too long; none once `own` is taken."""
        batch: list[_Waiting[Q, R]] = []
        with self._taking:
            while not own.is_taken or (batch and len(batch) < MAX_BATCH and self._queue):
                waiting = self._queue.popleft()
                waiting.is_taken = True
                if self._is_wanted(waiting):
                    batch.append(waiting)
        return batch

    def _is_wanted(self, waiting: _Waiting[Q, R]) -> bool:
        """Whether its client still waits, and has not waited too long, which it is told."""
        if not waiting.answer.set_running_or_notify_cancel():
            return False
        try:
            self._executor.check_in_time(waiting.since_s)
        except Overloaded as error:
            waiting.answer.set_exception(error)
            return False
        return True

    def _answer_batch(self, batch: Sequence[_Waiting[Q, R]]) -> None:
        try:
            answers = self._answer_all([waiting.query for waiting in batch])
        except Exception as error:
            if len(batch) == 1 or isinstance(error, StoreUnavailable):
                for waiting in batch:
                    waiting.answer.set_exception(error)
            else:
                for waiting in batch:
                    self._answer_batch([waiting])
            return
        for waiting, answer in zip(batch, answers, strict=True):
            waiting.answer.set_result(answer)
