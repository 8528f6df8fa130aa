"""One worker process: Faust joins the group, its consumer hands over messages, the use case applies them.

The order that makes every event count exactly once:

    1  a micro-batch is taken from the buffer (stream.worker.micro_batch_buffer)
    2  messages that do not follow the database's offset are left out (stream.worker.offset_tracker)
    3  the rest of all partitions is decoded and applied in one transaction with its offsets (stream.worker.applier)
    4  the group's offsets may follow; not in a partition that another worker has advanced
    5  after a rebalance, a lost partition or a gap, the database's offsets are sought (stream.worker.offset_seeker)

The group's committed offsets only serve monitoring. Independent of databases and HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import faust
import mode.loop
from aiokafka.structs import ConsumerRecord

from core.errors import StreamError
from core.ingestion.sources import IngestResult
from stream.kafka.admin import PartitionStatus, leave_group
from stream.kafka.consumer import DatabaseOffsetConsumer, DatabaseOffsetTransport
from stream.kafka.faust_app import make_app, make_runner, raw_topic
from stream.kafka.settings import StreamSettings, WorkerSettings
from stream.messages.codec import Codec, Message
from stream.worker.applier import (
    Applier,
    Backoff,
    BatchIngestor,
    DeadLetterSink,
    ShutdownRequested,
    ignore_commit,
    publish_nothing,
)
from stream.worker.log_identity import LogIdentity
from stream.worker.micro_batch_buffer import MicroBatchBuffer
from stream.worker.offset_seeker import OffsetSeeker
from stream.worker.offset_tracker import OffsetCheck, OffsetTracker
from stream.worker.stalls import StallDetector, StallRecovery, Watchdog
from stream.worker.status import WorkerStatus

logger = logging.getLogger(__name__)

STATUS_EVERY_S = 1.0
TRANSACTIONS_AHEAD = 4  # in the buffer: all but the first are decoded while the database works
P = ParamSpec("P")
T = TypeVar("T")


class StreamWorker:
    """Consumes one topic until the process is stopped. Built by the composition root, run by `run`.

    `on_commit` is called after each transaction, in the applier's thread; `on_status` every second, on the event loop.
    """

    def __init__(
        self,
        kafka: StreamSettings,
        settings: WorkerSettings,
        *,
        ingestor: BatchIngestor,
        codec: Codec,
        publish_dead_letters: DeadLetterSink = publish_nothing,
        on_commit: Callable[[IngestResult, float], None] = ignore_commit,
        on_status: Callable[[WorkerStatus], None] = lambda status: None,
    ) -> None:
        self._kafka = kafka
        self._settings = settings
        self._ingestor = ingestor
        self._on_status = on_status
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="applier")  # one: the use case is not thread-safe
        self._watchdog = Watchdog(timeout_s=settings.stall_timeout_s)
        self._applier = Applier(
            ingestor,
            codec,
            Backoff(self._stop),
            publish=publish_dead_letters,
            on_commit=on_commit,
            reset_watchdog=self._watchdog.reset,
            max_events=settings.max_events,
        )
        self._buffer: MicroBatchBuffer[ConsumerRecord] = MicroBatchBuffer(
            capacity=TRANSACTIONS_AHEAD * settings.max_events, linger_s=settings.linger_s, size=_num_bytes
        )
        self._offsets = OffsetTracker()
        self._seeker = OffsetSeeker(
            kafka.topic,
            offsets=self._offsets,
            log=LogIdentity(kafka.topic, adopt=self._adopt_log),
            applied_offset=self._applied_offset,
            fail=self._fail,
            reset_watchdog=self._watchdog.reset,
        )
        self._stall_recovery = StallRecovery(
            kafka.topic,
            seeker=self._seeker,
            offsets=self._offsets,
            detector=StallDetector(),
            reset_watchdog=self._watchdog.reset,
        )
        self._is_applying = False
        self._failure: BaseException | None = None
        self._runner: faust.Worker | None = None

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; to be called in the main thread.

        Raises the error that stopped the worker otherwise, such as `OffsetOutOfLog`.
        """
        mode.loop.use("uvloop")  # a fifth faster; used for every loop created from here on but the Kafka client's
        with tempfile.TemporaryDirectory(prefix="tidewise-worker-") as folder:
            app = self._build(Path(folder))
            self._runner = make_runner(app)
            self._watchdog.start()
            try:
                self._execute(self._runner)
            finally:
                self._stop.set()
                self._pool.shutdown()  # waits for the batch that is being applied
                self._watchdog.stop()
        if self._failure is not None:
            raise self._failure
        leave_group(self._kafka, self._settings.name)  # other workers get its partitions at once

    def _build(self, folder: Path) -> faust.App:
        app = make_app(self._kafka, self._settings, data_dir=folder)
        app.transport = DatabaseOffsetTransport(app, kafka=self._kafka, listener=self._seeker, receive=self._buffer.put)
        app.agent(raw_topic(app, self._kafka.topic), concurrency=1, name="interactions")(_subscribe)
        app.task(self._apply_batches)
        app.task(self._report_status)
        self._app = app
        return app

    def _execute(self, runner: faust.Worker) -> None:
        try:
            runner.execute_from_commandline()
        except SystemExit as end:
            if end.code and self._failure is None:
                msg = f"the worker ended with exit code {end.code}; see the log above for the reason"
                raise StreamError(msg) from end

    async def _apply_batches(self) -> None:
        """Apply micro-batches as long as the worker runs; an error ends the worker."""
        try:
            while True:
                records_by_partition = await self._buffer.take()  # 1
                self._is_applying = True
                await self._apply(records_by_partition)
                self._is_applying = False
        except ShutdownRequested:
            await asyncio.Event().wait()
        except Exception as error:
            self._fail(error)
            await asyncio.Event().wait()

    async def _apply(self, records_by_partition: Mapping[int, Sequence[ConsumerRecord]]) -> None:
        """Apply the messages that follow the database's offsets, mark them, and seek where some are missing."""
        checks: dict[int, OffsetCheck] = {}
        messages: list[Message] = []
        for partition, records in sorted(records_by_partition.items()):
            check = self._offsets.check(partition, [record.offset for record in records])  # 2
            checks[partition] = check
            messages += [_message(records[index]) for index in check.accepted]
        lost = await self._off_loop(self._applier.apply, messages) if messages else set()  # 3
        for partition, check in checks.items():
            if partition in lost:
                self._offsets.forget(partition)
            elif applied := check.accepted + check.already_applied:
                newest = max(records_by_partition[partition][index].offset for index in applied)
                self._consumer.mark_applied(partition, newest)  # 4
        to_seek = lost | {partition for partition, check in checks.items() if check.seek}
        if to_seek:
            await self._seeker.seek(self._consumer, to_seek)  # 5
        self._watchdog.reset()

    async def _apply_gaps(self, partitions: Iterable[int]) -> None:
        """Count offsets without a message after the newest one as applied, else the database would show a lag."""
        for partition in partitions:
            gap = self._offsets.take_trailing_gap(partition)
            try:
                lost = await self._off_loop(self._applier.skip, self._kafka.topic, partition, gap) if gap else set()
            except ShutdownRequested:
                return
            except Exception as error:
                self._fail(error)
                return
            if lost:
                self._offsets.forget(partition)
                await self._seeker.seek(self._consumer, lost)

    @property
    def _consumer(self) -> DatabaseOffsetConsumer:
        consumer = self._app.consumer
        assert isinstance(consumer, DatabaseOffsetConsumer)
        return consumer

    async def _applied_offset(self, partition: int) -> int | None:
        self._watchdog.reset()
        return await self._off_loop(self._ingestor.applied_offset, self._kafka.topic, partition)

    async def _adopt_log(self, log_id: str) -> bool:
        return await self._off_loop(self._ingestor.adopt_log, self._kafka.topic, log_id)

    async def _off_loop(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in the only thread that uses the database."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args, **kwargs))

    async def _report_status(self) -> None:
        """Every second: report the status, and check for stalls while nothing is being applied."""
        while True:
            status = self.status()
            self._on_status(status)
            await self._seeker.follow_log(self._consumer)
            if not self._is_busy:
                await self._apply_gaps(status.partitions)
                await self._stall_recovery.request_end_offsets(status.partitions, self._consumer)
            if self._is_busy:
                self._stall_recovery.reset()
            else:
                await self._stall_recovery.check(self.status(), self._consumer)
            await asyncio.sleep(STATUS_EVERY_S)

    @property
    def _is_busy(self) -> bool:
        """Whether messages are being applied, or wait for that."""
        return self._is_applying or len(self._buffer) > 0

    def status(self) -> WorkerStatus:
        """Progress in the assigned partitions, and the counters."""
        consumer = self._consumer
        partitions = {
            partition: PartitionStatus(self._offsets.next_offset(partition), consumer.end_offset(partition))
            for partition in sorted(consumer.assigned_partitions())
        }
        return WorkerStatus(self._settings.name, partitions, self._applier.counters)

    def _fail(self, error: BaseException) -> None:
        """Stop the worker because of an error; `run` raises the first one."""
        if self._failure is None:
            logger.critical("worker %s stops: %s", self._settings.name, error)
            self._failure = error
            if self._runner is not None:
                self._stopping = asyncio.ensure_future(self._runner.stop())


async def _subscribe(_stream: Any) -> None:
    """The agent, for whose topic Faust joins the group; the consumer hands over messages itself."""
    await asyncio.Event().wait()


def _num_bytes(record: ConsumerRecord) -> int:
    return len(record.value or b"")


def _message(record: ConsumerRecord) -> Message:
    timestamp_ms = record.timestamp if record.timestamp is not None and record.timestamp >= 0 else None
    return Message(record.topic, record.partition, record.offset, record.key, record.value, timestamp_ms)
