"""A worker's Kafka consumer: starts at the database's offsets, whatever the group's committed offsets are.

Replaces parts of Faust's consumer: what happens at a rebalance, how messages are handed over, how offsets are
committed, and how its client thread handles unavailable brokers. Independent of what messages mean and of where
applied offsets are stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Protocol

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import ConsumerStoppedError, InvalidSessionTimeoutError, KafkaError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition
from faust.exceptions import ConsumerNotStarted
from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.types import ServiceT

from core.errors import InvalidSettings, StreamUnavailable
from stream.kafka.admin import log_bounds, topic_id
from stream.kafka.settings import StreamSettings
from stream.kafka.unpacking import bound_unpacking

logger = logging.getLogger(__name__)

COMMIT_TIMEOUT_S = 5.0
BOUNDS_TIMEOUT_S = 3.0  # a reachable broker answers within milliseconds
FETCH_TIMEOUT_S = 1.0
CHECK_EVERY_S = 1.0

Receive = Callable[[int, Sequence[ConsumerRecord]], Awaitable[None]]  # messages of a partition, in ascending offset


class RebalanceListener(Protocol):
    """Seeks the assigned partitions after a rebalance: `stream.worker.offset_seeker`."""

    def on_partitions_revoked(self) -> None:
        """Partitions are revoked: no message is accepted before the next seek."""
        ...

    def on_partitions_assigned(self) -> None:
        """Partitions are assigned and may be sought."""
        ...

    def on_gap(self, partition: int, start: int, end: int) -> None:
        """The log has no message from offset `start` up to `end`, which is excluded. Called by the client's thread."""
        ...

    def on_refused(self, error: InvalidSettings) -> None:
        """The brokers do not let this worker join its group."""
        ...

    async def seek_assigned(self, consumer: DatabaseOffsetConsumer) -> None:
        """Seek every assigned partition."""
        ...


@dataclass(frozen=True, slots=True)
class _Position:
    """The offset that a client fetches next in a partition. `epoch`: the same object until the client resets it."""

    offset: int
    epoch: object


class ResilientConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's client thread, with commits that may fail and timeouts where a broker does not answer.

    The committed offsets only serve monitoring, so a failed commit never ends the worker; Faust's own thread crashes
    when a rebalance takes the last partition away between two of its steps.

    Its event loop is asyncio's. Where a broker resets connections, uvloop raises RuntimeError at the next write, which
    aiokafka does not expect (aiokafka issue 1038): it can silently end the task that refreshes metadata. After that no
    coordinator is found, no heartbeat is sent and no offset request is answered.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        bound_unpacking()
        super().__init__(*args, thread_loop=asyncio.SelectorEventLoop(), **kwargs)

    async def stop(self) -> None:
        """Stop the thread, then close its loop: Faust closes only loops that it created."""
        await super().stop()
        self.thread_loop.close()

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """As mode's, but a call during or after the stop waits until it is cancelled.

        A rebalance in progress when the worker stops would otherwise seek in a closed loop.
        """
        if self.should_stop:
            await asyncio.Event().wait()
        return await super().call_thread(fun, *args, **kwargs)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        assigned = self.assignment()
        commits = {
            driver.ensure_aiokafka_TP(tp): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in assigned
        }
        if not commits:
            return False
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                await self._ensure_consumer().commit(commits)
        except (TimeoutError, KafkaError) as error:
            positions = ", ".join(f"{tp.topic}/{tp.partition}@{commits[tp].offset}" for tp in commits)
            self.log.warning("%s: group offsets were not committed: %s: %s", positions, type(error).__name__, error)
            return False
        self.tp_last_committed_at.update(dict.fromkeys(commits, monotonic()))
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Log where the client does not fetch; Faust's own also expects messages in its streams."""
        self._verify_aiokafka_event_path(now, tp)

    async def log_bounds(self, partitions: Sequence[TP]) -> Mapping[int, tuple[int, int]]:
        """Log start offset and end offset of each partition."""
        bounds: Mapping[int, tuple[int, int]] = await self.call_thread(self._log_bounds, partitions)
        return bounds

    async def _log_bounds(self, partitions: Sequence[TP]) -> Mapping[int, tuple[int, int]]:
        consumer = self._ensure_consumer()
        async with asyncio.timeout(BOUNDS_TIMEOUT_S):  # not in the caller: Faust's thread runs two calls at a time
            # at once: each waits behind a fetch, which a broker answers after 1.5 s where there is no message
            starts, ends = await asyncio.gather(
                consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
            )
        return {tp.partition: (starts[tp], ends[tp]) for tp in partitions}

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        """As Faust's, which reads committed messages only where it runs transactions of its own."""
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = self._transport.kafka.isolation_level  # noqa: SLF001 - read when the client starts
        return consumer

    @property
    def _transport(self) -> DatabaseOffsetTransport:
        transport = self.consumer.transport
        assert isinstance(transport, DatabaseOffsetTransport)
        return transport

    def group_error(self) -> KafkaError | None:
        """The error that keeps this client from joining its group, if any."""
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 - asking it would clear the error
        error: KafkaError | None = coordinator._pending_exception  # noqa: SLF001
        return error

    def highwater(self, tp: TP) -> int:
        """The end offset as of the last fetch, as far as it may be read; None before the first fetch, as in Faust's."""
        consumer = self._ensure_consumer()
        read_end = consumer.last_stable_offset if self._transport.kafka.reads_committed else consumer.highwater
        end: int = read_end(tp)
        return end

    async def _fetch_records(self, consumer: AIOKafkaConsumer, *args: Any, **kwargs: Any) -> RecordMap:
        """As Faust's, and reports the offsets without a message that the client passed over."""
        before = self._positions(consumer)
        fetched = await super()._fetch_records(consumer, *args, **kwargs)
        for tp, position in self._positions(consumer).items():
            if tp in before and before[tp].epoch is position.epoch:
                start = before[tp].offset
                for offset in (*(record.offset for record in fetched.get(tp, ())), position.offset):
                    if start < offset:
                        self._transport.listener.on_gap(tp.partition, start, offset)
                    start = offset + 1
        return fetched

    def _positions(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, _Position]:
        """Where the client fetches next, by partition; without those for which it does not know."""
        subscription = consumer._subscription.subscription  # noqa: SLF001 - `position` would wait
        assignment = subscription.assignment if subscription else None
        states = {tp: assignment.state_value(tp) for tp in assignment.tps} if assignment else {}
        return {
            tp: _Position(state.position, state._position_fut)  # noqa: SLF001 - replaced where the client resets it
            for tp, state in states.items()
            if state.has_valid_position
        }


class DatabaseOffsetConsumer(driver.Consumer):
    """A consumer that seeks to the database's offsets wherever Faust would use the group's committed offsets."""

    _thread: ResilientConsumerThread

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Hand over what is fetched, until the consumer or the fetcher stops. Called by Faust.

        Faust's own passes each message through a topic, a channel and a stream, at 30 us of CPU, and silently drops
        messages by a record of read offsets that a seek does not reset in time. Here `stream.worker.offset_tracker`
        finds duplicates and gaps.
        """
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._hand_over()
                await asyncio.sleep(0)
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.transport.app.should_stop:
                raise

    async def _hand_over(self) -> None:
        """Fetch once; what a rebalance overtakes is left, for its seek comes before what is fetched again."""
        fetched, active = await self._wait_next_records(FETCH_TIMEOUT_S)
        if self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        generation = self.app.consumer_generation_id
        for tp, records in (fetched or {}).items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            if records and (active is None or tp in active):
                await self.wait_first(self._received(tp.partition, records), self.suspend_flow.wait())

    async def _received(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        await self.app.flow_control.acquire()
        await self._transport.receive(partition, records)

    def mark_applied(self, partition: int, offset: int) -> None:
        """Everything up to this offset is in the database: the offset of the group may follow."""
        self._acked[self._new_topicpartition(self._topic, partition)] = [offset]

    def _new_consumer_thread(self) -> ResilientConsumerThread:
        return ResilientConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _transport(self) -> DatabaseOffsetTransport:
        transport = self.transport
        assert isinstance(transport, DatabaseOffsetTransport)
        return transport

    @property
    def _topic(self) -> str:
        return self._transport.kafka.topic

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Invalidate buffered messages before partitions are revoked."""
        self._transport.listener.on_partitions_revoked()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Suspend the flow until the seek, even where Faust resumed it after the revocation.

        Faust does so where rebalances overlap, for the superseded assignment. What is handed over before the seek of
        the newest one is refused, and fetched in vain.
        """
        self.stop_flow()
        self.app.flow_control.suspend()
        self._transport.listener.on_partitions_assigned()
        await super().on_partitions_assigned(assigned, generation_id)

    def _new_offset(self, tp: TP) -> int | None:
        """The offset to commit, behind the newest message that is in the database."""
        applied = self._acked.pop(tp, None)
        return max(applied) + 1 if applied else None

    async def perform_seek(self) -> None:
        """Called by Faust after each rebalance."""
        await self._transport.listener.seek_assigned(self)

    @Service.task
    async def _check_session(self) -> None:
        """Report a refused session once: Faust never asks for errors of the group, and the client tries no more."""
        async for _ in self.itertimer(CHECK_EVERY_S, name="session"):
            if isinstance(self._thread.group_error(), InvalidSessionTimeoutError):
                seconds = self.app.conf.broker_session_timeout
                msg = (
                    f"kafka.session_timeout_s: the brokers refuse {seconds:g} s, which must lie between their "
                    "group.min.session.timeout.ms (6000 by default) and group.max.session.timeout.ms; change the "
                    "setting, or that of all brokers and restart them"
                )
                self._transport.listener.on_refused(InvalidSettings(msg))
                return

    def assigned_partitions(self) -> set[int]:
        """The partitions assigned to this worker; none before the consumer has started."""
        try:
            return {tp.partition for tp in self.assignment() if tp.topic == self._topic}
        except ConsumerNotStarted:
            return set()

    async def log_bounds(self, partitions: Iterable[int]) -> Mapping[int, tuple[int, int]]:
        """Log start offset and end offset of each partition."""
        tps = [self._new_topicpartition(self._topic, partition) for partition in partitions]
        if not tps:
            return {}
        try:
            async with asyncio.timeout(2 * BOUNDS_TIMEOUT_S):
                return await self._thread.log_bounds(tps)
        except (TimeoutError, KafkaError) as error:
            reason = f"{type(error).__name__}: {error}"
            logger.warning("%s: requesting log start and end offsets on a new connection (%s)", self._topic, reason)
        return await self.log_bounds_on_new_connection()

    async def log_id(self) -> str | None:
        """The topic's id, which another topic of its name does not have; None where brokers have none."""
        return await asyncio.to_thread(topic_id, self._impatient)

    async def log_bounds_on_new_connection(self) -> Mapping[int, tuple[int, int]]:
        """Log start offset and end offset of every partition, independent of the state of this consumer's client."""
        return await asyncio.to_thread(log_bounds, self._impatient)

    @property
    def _impatient(self) -> StreamSettings:
        return replace(self._transport.kafka, request_timeout_s=BOUNDS_TIMEOUT_S)

    def end_offset(self, partition: int) -> int | None:
        """The end offset as of the last fetch; None where it is not known."""
        try:
            return self.highwater(self._new_topicpartition(self._topic, partition))
        except KafkaError:  # the partition was reassigned a moment ago
            return None

    async def seek_to(self, offsets: Mapping[int, int]) -> None:
        """Continue at these offsets (by partition), and forget what was applied before."""
        tps = {self._new_topicpartition(self._topic, partition): offset for partition, offset in offsets.items()}
        for tp, offset in tps.items():
            self._acked.pop(tp, None)
            self._committed_offset[tp] = offset or None
        try:
            await self.seek_wait(tps)
        except (TimeoutError, KafkaError) as error:
            positions = ", ".join(f"{self._topic}/{partition}@{offset}" for partition, offset in offsets.items())
            msg = f"{positions}: the seek failed ({type(error).__name__}: {error})"
            raise StreamUnavailable(msg) from error


class DatabaseOffsetTransport(driver.Transport):
    """Faust's Kafka transport with a `DatabaseOffsetConsumer`."""

    Consumer = DatabaseOffsetConsumer

    def __init__(self, app: faust.App, *, kafka: StreamSettings, listener: RebalanceListener, receive: Receive) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.kafka = kafka
        self.listener = listener
        self.receive = receive
