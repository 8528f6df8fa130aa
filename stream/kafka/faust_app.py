"""Faust, tamed: an app without tables, web server, topics of its own or trust in Kafka's group offsets.

Each setting that differs from Faust's default has its reason beside it. Knows nothing about events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import faust
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from faust.exceptions import ConsumerNotStarted
from faust.tables import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.services import WaitResults

from core.errors import StreamUnavailable
from stream.kafka.consumer_thread import BOUNDS_S, LenientConsumerThread
from stream.kafka.lag import log_bounds
from stream.kafka.settings import KafkaSecurity, KafkaSettings, WorkerSettings
from stream.worker.eager import EagerCoroutine
from stream.worker.resume import Resumer

logger = logging.getLogger(__name__)


def credentials(security: KafkaSecurity) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """What Faust is told of how to prove who we are."""
    context = security.tls()
    if security.sasl:
        name, password = security.username, security.password
        return faust.SASLCredentials(
            username=name, password=password, mechanism=security.mechanism, ssl_context=context
        )
    return faust.SSLCredentials(context) if context else None


def make_app(kafka: KafkaSettings, worker: WorkerSettings, *, data_dir: Path) -> faust.App:
    """A Faust app that consumes one topic as one member of one group."""
    app = faust.App(
        kafka.group,
        broker=[f"kafka://{server}" for server in kafka.servers],
        broker_credentials=credentials(kafka.security),
        datadir=data_dir,
        store="memory://",
        TableManager=NoTables,
        autodiscover=False,
        web_enabled=False,  # it would bind 0.0.0.0, and the second worker of a machine could not start
        topic_disable_leader=True,  # no leader, no topic for electing one
        topic_allow_declare=False,  # stream.kafka.topics makes topics
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=worker.name,  # a restarted worker gets its partitions back in 2 s instead of 5
        broker_session_timeout=6.0,  # a dead worker is noticed after 6 s instead of a minute
        broker_heartbeat_interval=1.5,
        broker_rebalance_timeout=10.0,
        broker_request_timeout=15.0,  # then a silent connection is given up; joining takes as long as a rebalance may
        broker_commit_interval=1.0,
        broker_max_poll_records=500,
        stream_buffer_maxsize=65_536,  # at 4,096 a full buffer halves the throughput
        stream_wait_empty=False,  # the database knows what was applied: nothing to wait for at a rebalance
        stream_recovery_delay=0.0,
        worker_redirect_stdouts=False,
    )
    return app


class NoTables(TableManager):
    """Faust's own waits a second for tables before it lets the worker join its group; there are none."""

    async def on_start(self) -> None:
        """Go on at once."""
        await self._update_channels()
        await self.recovery.start()


class ReadNothing(dict[TP, int | None]):
    """In place of Faust's note of what it has read, by which it drops what is older, in silence.

    The note is kept per message by the loop that hands messages over, and moved back by a seek in another thread: a
    message fetched before the seek and handed over after it would hide everything that was sought. What is old, new or
    missing is told by `stream.worker.offset_tracker` instead.
    """

    def __getitem__(self, partition: TP) -> None:
        """Nothing was read."""

    def __setitem__(self, partition: TP, offset: int | None) -> None:
        """Nothing is noted."""


class ResumingConsumer(driver.Consumer):
    """A consumer that reads from the database's offsets wherever Faust would read from Kafka's group offsets."""

    _thread: LenientConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = ReadNothing()

    def _new_consumer_thread(self) -> LenientConsumerThread:
        return LenientConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _resumer(self) -> Resumer:
        transport: Any = self.transport
        found: Resumer = transport.resumer
        return found

    @property
    def _kafka(self) -> KafkaSettings:
        transport: Any = self.transport
        found: KafkaSettings = transport.kafka
        return found

    @property
    def _topic(self) -> str:
        return self._kafka.topic

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Distrust what is buffered before partitions change hands."""
        self._resumer.revoked()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Nothing flows before the seek, even if Faust has let it since the revocation.

        Where rebalances overlap it does, for the assignment that was overtaken; then, after the seek of the newest, it
        empties its buffers, and what had flowed until then would be gone.
        """
        self.stop_flow()
        self.app.flow_control.suspend()
        self._resumer.assigned()
        await super().on_partitions_assigned(assigned, generation_id)

    def _new_offset(self, tp: TP) -> int | None:
        """The group offset to commit: all before the newest acknowledged message is in the database."""
        acked = self._acked.pop(tp, None)
        self._acked_index.pop(tp, None)
        return max(acked) + 1 if acked else None

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:
        """As Faust's, but a hand-over of a message that need not wait is done without making tasks for it."""
        if len(coros) == 2 and asyncio.iscoroutine(coros[0]) and asyncio.iscoroutine(coros[1]):
            handover, suspended = coros
            eager = EagerCoroutine(handover)
            if not eager.waits:
                suspended.close()
                return WaitResults([handover], [None], False)
            coros = (eager.rest(), suspended)
        return await super().wait_first(*coros, timeout=timeout)

    async def perform_seek(self) -> None:
        """Called by Faust after each rebalance."""
        await self._resumer.resume(self)

    def assigned(self) -> set[int]:
        """The partitions that this worker owns; none before the consumer has started."""
        try:
            return {tp.partition for tp in self.assignment() if tp.topic == self._topic}
        except ConsumerNotStarted:
            return set()

    async def bounds(self, partitions: Iterable[int]) -> Mapping[int, tuple[int, int]]:
        """For each partition its first offset, and the offset that its next message will get."""
        wanted = [self._new_topicpartition(self._topic, partition) for partition in partitions]
        if not wanted:
            return {}
        try:
            async with asyncio.timeout(2 * BOUNDS_S):
                return await self._thread.bounds(wanted)
        except (TimeoutError, KafkaError) as error:
            reason = f"{type(error).__name__}: {error}"
            logger.warning("%s: the bounds of the log are asked on a new connection (%s)", self._topic, reason)
        return await self.bounds_anew()

    async def bounds_anew(self) -> Mapping[int, tuple[int, int]]:
        """The bounds of every partition, asked on a connection that is made for it: none of ours is believed."""
        return await asyncio.to_thread(log_bounds, replace(self._kafka, request_timeout_s=BOUNDS_S))

    def log_end(self, partition: int) -> int | None:
        """The offset that the next message will get, as of the last fetch; None where that is not known."""
        try:
            return self.highwater(self._new_topicpartition(self._topic, partition))
        except KafkaError:  # it was handed to another worker a moment ago
            return None

    def read_to(self, partition: int) -> int | None:
        """The offset behind the last one that the client has taken from Kafka; None where that is not known."""
        return self._thread.read_to(TopicPartition(self._topic, partition))

    async def read_from(self, offsets: Mapping[int, int]) -> None:
        """Read these partitions from these offsets on, and forget acknowledgements of what was read before."""
        wanted = {self._new_topicpartition(self._topic, partition): offset for partition, offset in offsets.items()}
        for tp, offset in wanted.items():
            self._acked.pop(tp, None)
            self._acked_index.pop(tp, None)
            self._committed_offset[tp] = offset or None
        try:
            await self.seek_wait(wanted)
        except (TimeoutError, KafkaError) as error:
            msg = f"{self._topic}: could not move to the database's offsets ({type(error).__name__}: {error})"
            raise StreamUnavailable(msg) from error


class ResumingTransport(driver.Transport):
    """Kafka with a consumer that resumes from the database."""

    Consumer = ResumingConsumer

    def __init__(self, app: faust.App, *, kafka: KafkaSettings, resumer: Resumer) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.kafka = kafka
        self.resumer = resumer
