"""Notices that a topic was deleted and made anew: its offsets begin again, but the database's belong to the old one.

Without this, messages of the new topic would pass as applied up to the old topic's offset. Independent of Faust.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from core.errors import StreamUnavailable, TopicMissing

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 10.0


class IdentifiedLog(Protocol):
    """A topic with an id: `stream.kafka.consumer.DatabaseOffsetConsumer`."""

    async def log_id(self) -> str | None:
        """The topic's id, another one after it was made anew; None where brokers have none (before Kafka 2.8)."""
        ...


class LogIdentity:
    """The log that a worker reads. `adopt`: tells the database its id; True where its offsets were those of another."""

    def __init__(
        self, topic: str, *, adopt: Callable[[str], Awaitable[bool]], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._topic = topic
        self._adopt = adopt
        self._now_s = now_s
        self._id: str | None = None
        self._checked_s = -math.inf

    async def adopt(self, log: IdentifiedLog) -> None:
        """Let the database's offsets belong to the present log; raises `StreamUnavailable` and `StoreUnavailable`."""
        log_id = await log.log_id()
        if log_id is not None and await self._adopt(log_id):
            logger.warning("topic %s was deleted and made anew: it is read from its start", self._topic)
        self._id, self._checked_s = log_id, self._now_s()

    async def is_replaced(self, log: IdentifiedLog) -> bool:
        """Whether the log is another one than the adopted one; asked every 10 s, and False in between."""
        if self._id is None or self._now_s() - self._checked_s < CHECK_EVERY_S:
            return False
        self._checked_s = self._now_s()
        try:
            return await log.log_id() != self._id
        except TopicMissing:  # the seek reports it
            return True
        except StreamUnavailable as error:
            logger.warning("topic %s: Kafka did not return its id: %s", self._topic, error)
            return False
