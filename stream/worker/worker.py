"""One worker process: Faust hands over messages, one use case applies them, then they are acknowledged.

The order, which is what makes every event count exactly once:

    1  a micro-batch is taken without acknowledging it (stream.worker.micro_batch_buffer)
    2  messages that do not follow the database's offset are left out (stream.worker.offset_tracker)
    3  the rest of all partitions is decoded and applied in one transaction with its offsets (stream.worker.applier)
    4  the messages are acknowledged, in order; none of a partition in which another worker was faster
    5  after a rebalance, a lost partition or a gap the log is read again from the database's offset (worker.resume)

Kafka's group offset serves nothing but monitoring. Knows nothing about databases or HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import faust
import mode.loop

from core.errors import StreamError
from stream.kafka.faust_app import ResumingConsumer, ResumingTransport, make_app
from stream.kafka.membership import leave
from stream.kafka.settings import KafkaSettings, WorkerSettings
from stream.messages.codec import Codec, Message
from stream.worker.applier import Applier, Backoff, DeadLetterSink, Ingest, Stopping, announce_nothing
from stream.worker.micro_batch_buffer import MicroBatchBuffer
from stream.worker.offset_tracker import OffsetCheck, OffsetTracker
from stream.worker.resume import Resumer
from stream.worker.stall_detector import StallDetector
from stream.worker.stall_recovery import StallRecovery
from stream.worker.status import PartitionStatus, WorkerStatus
from stream.worker.watchdog import Watchdog, end_process

logger = logging.getLogger(__name__)

STATUS_EVERY_S = 1.0
P = ParamSpec("P")
T = TypeVar("T")


class StreamWorker:
    """Consumes one topic for as long as the process lives. Built by the composition root, run by `run`."""

    def __init__(
        self,
        kafka: KafkaSettings,
        settings: WorkerSettings,
        *,
        ingest: Ingest,
        codec: Codec,
        announce: DeadLetterSink = announce_nothing,
        on_status: Callable[[WorkerStatus], None] = lambda status: None,
    ) -> None:
        self._kafka = kafka
        self._settings = settings
        self._ingest = ingest
        self._on_status = on_status
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="applier")  # one: the use case is for one thread
        self._watchdog = Watchdog(timeout_s=settings.stall_timeout_s)
        self._applier = Applier(
            ingest,
            codec,
            Backoff(self._stop),
            announce=announce,
            heartbeat=self._watchdog.alive,
            max_events=settings.max_events,
        )
        self._arrivals: MicroBatchBuffer[Any] = MicroBatchBuffer(room=settings.max_events, within_s=settings.within_s)
        self._positions = OffsetTracker()
        self._resumer = Resumer(
            kafka.topic,
            positions=self._positions,
            applied_offset=self._applied_offset,
            fail=self._fail,
            alive=self._watchdog.alive,
        )
        self._rescue = StallRecovery(
            kafka.topic,
            resumer=self._resumer,
            positions=self._positions,
            standstill=StallDetector(),
            alive=self._watchdog.alive,
            end=end_process,
        )
        self._in_hand = False  # messages are being applied
        self._failure: BaseException | None = None
        self._runner: faust.Worker | None = None

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; to be called in the main thread.

        Raises what ended it otherwise, such as `OffsetOutOfLog`.
        """
        mode.loop.use("uvloop")  # a fifth faster; every loop made from here on is one, but Kafka's
        with tempfile.TemporaryDirectory(prefix="tidewise-worker-") as folder:
            app = self._build(Path(folder))
            self._runner = faust.Worker(
                app, loop=asyncio.new_event_loop(), quiet=True, redirect_stdouts=False, override_logging=False
            )
            self._runner.spinner = None
            self._watchdog.start()
            try:
                self._execute(self._runner)
            finally:
                self._stop.set()
                self._pool.shutdown()  # a batch that is being applied is finished
                self._watchdog.stop()
        if self._failure is not None:
            raise self._failure
        leave(self._kafka, self._settings.name)  # others take its partitions over at once

    def _build(self, folder: Path) -> faust.App:
        app = make_app(self._kafka, self._settings, data_dir=folder)
        app.transport = ResumingTransport(app, kafka=self._kafka, resumer=self._resumer)
        topic = app.topic(
            self._kafka.topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
        )
        app.agent(topic, concurrency=1, name="interactions")(self._consume)
        app.task(self._apply_arrivals)
        app.task(self._report)
        self._app = app
        return app

    def _execute(self, runner: faust.Worker) -> None:
        try:
            runner.execute_from_commandline()
        except SystemExit as end:
            if end.code and self._failure is None:
                msg = f"the worker ended with exit code {end.code}; the log above says why"
                raise StreamError(msg) from end

    async def _consume(self, stream: Any) -> None:
        """The agent. It acknowledges nothing itself; leaving it would acknowledge what it holds, so it never does."""
        stream.enable_acks = False
        async for event in stream.events():
            await self._arrivals.put(event.message.partition, event)
        await asyncio.Event().wait()

    async def _apply_arrivals(self) -> None:
        """Apply what came, as long as the worker runs; an error ends the worker."""
        try:
            while True:
                arrived = await self._arrivals.take()
                self._in_hand = True
                await self._settle(arrived)
                self._in_hand = False
        except Stopping:
            await asyncio.Event().wait()
        except Exception as error:
            self._fail(error)
            await asyncio.Event().wait()

    async def _settle(self, arrived: Mapping[int, Sequence[Any]]) -> None:
        """Apply what follows the database's offsets, then acknowledge; read again what does not."""
        admitted: dict[int, OffsetCheck] = {}
        messages: list[Message] = []
        for partition, events in sorted(arrived.items()):
            admission = self._positions.admit(partition, [event.message.offset for event in events])
            if admission.missing_from is not None:
                await self._resumer.check(self._consumer, partition, missing_from=admission.missing_from)
            admitted[partition] = admission
            messages += [_message(events[place].message) for place in admission.accepted]
        lost = await self._off_loop(self._applier.apply, messages) if messages else set()
        for partition, admission in admitted.items():
            if partition in lost:
                self._positions.forget(partition)
                continue
            for place in sorted(admission.accepted + admission.applied):
                arrived[partition][place].ack()
        again = lost | {partition for partition, admission in admitted.items() if admission.seek}
        if again:
            await self._resumer.again(self._consumer, again)
        self._watchdog.alive()

    @property
    def _consumer(self) -> ResumingConsumer:
        consumer = self._app.consumer
        assert isinstance(consumer, ResumingConsumer)
        return consumer

    async def _applied_offset(self, partition: int) -> int | None:
        self._watchdog.alive()
        return await self._off_loop(self._ingest.applied_offset, self._kafka.topic, partition)

    async def _off_loop(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what blocks in the one thread that may use the database."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args, **kwargs))

    async def _report(self) -> None:
        """Tell what is going on, and the watchdog when there is nothing to do."""
        while True:
            status = self.status()
            if self._in_hand or len(self._arrivals):
                self._rescue.busy()
            else:
                await self._rescue.look(status, self._consumer)
            self._on_status(status)
            await asyncio.sleep(STATUS_EVERY_S)

    def status(self) -> WorkerStatus:
        """What there is to say now."""
        consumer = self._consumer
        partitions = {
            partition: PartitionStatus(self._positions.next_offset(partition), consumer.log_end(partition))
            for partition in sorted(consumer.assigned())
        }
        return WorkerStatus(self._settings.name, partitions, self._applier.tally)

    def _fail(self, error: BaseException) -> None:
        """Stop the worker because of an error; the first one counts."""
        if self._failure is None:
            logger.critical("worker %s stops: %s", self._settings.name, error)
            self._failure = error
            if self._runner is not None:
                self._stopping = asyncio.ensure_future(self._runner.stop())


def _message(record: Any) -> Message:
    timestamp_s = record.timestamp
    timestamp_ms = None if timestamp_s is None or timestamp_s < 0 else round(timestamp_s * 1000)
    return Message(record.topic, record.partition, record.offset, record.key, record.value, timestamp_ms)
