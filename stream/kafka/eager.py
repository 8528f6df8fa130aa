"""Eager coroutines: they run at once, and a task is created only for those that have to wait.

Faust wraps the hand-over of every message in four tasks, although it practically never waits. Without them a worker
that applies nothing gets 20,500 instead of 10,000 messages through per CPU second. Python 3.12 has eager tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any


class EagerCoroutine:
    """A coroutine whose first step has run. Await it only while `waits`."""

    __slots__ = ("_coroutine", "_step", "waits")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._step: Any = None
        self.waits = True
        try:
            self._step = coroutine.send(None)
        except StopIteration:
            self.waits = False

    def __await__(self) -> Generator[Any, Any, Any]:
        forward: Callable[[Any], Any]
        while True:
            try:
                sent = yield self._step
            except BaseException as error:  # such as a cancellation: passed on to the coroutine
                forward, argument = self._coroutine.throw, error
            else:
                forward, argument = self._coroutine.send, sent
            try:
                self._step = forward(argument)
            except StopIteration as end:
                return end.value

    async def rest(self) -> Any:
        """The remaining steps, as a coroutine."""
        return await self
