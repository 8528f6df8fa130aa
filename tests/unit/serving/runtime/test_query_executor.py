"""The query executor: too much work is refused at once, and work that waited too long is not begun."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import pytest

from core.errors import Overloaded
from serving.runtime import query_executor
from serving.runtime.query_executor import QueryExecutor


@dataclass
class ManualTime:
    """The module `time` at a moment set by hand."""

    now_s: float = 0.0

    def monotonic(self) -> float:
        return self.now_s


async def waited(moment: ManualTime, seconds: float) -> list[object]:
    """What becomes of work that waits so long behind other work, and whether it was begun."""
    executor = QueryExecutor(num_threads=1, max_waiting=2, max_wait_s=2.0)
    begun, gate, done = threading.Event(), threading.Event(), list[str]()

    def block() -> None:
        begun.set()
        gate.wait()

    first = asyncio.create_task(executor.run(block))
    await asyncio.to_thread(begun.wait)
    second = asyncio.create_task(executor.run(lambda: done.append("second")))
    await asyncio.sleep(0)
    moment.now_s += seconds
    gate.set()
    _, result = await asyncio.gather(first, second, return_exceptions=True)
    await executor.stop()
    return [type(result), done]


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> ManualTime:
    moment = ManualTime()
    monkeypatch.setattr(query_executor, "time", moment)
    return moment


def test_work_that_waited_too_long_is_refused_and_not_begun(moment: ManualTime) -> None:
    assert asyncio.run(waited(moment, 2.5)) == [Overloaded, []]


def test_work_that_waited_shortly_is_done(moment: ManualTime) -> None:
    assert asyncio.run(waited(moment, 1.5)) == [type(None), ["second"]]
