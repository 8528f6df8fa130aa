"""A reconnecting producer of the events' topic, for processes that keep running while Kafka is unavailable.

It connects at the first use, and again after a failure: a producer whose messages have timed out may never recover, and
a new one takes a tenth of a second. Independent of where events come from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Protocol

from core.errors import StreamUnavailable
from core.events.interactions import Interaction
from stream.kafka.producer import EventProducer, Position
from stream.kafka.settings import StreamSettings

logger = logging.getLogger(__name__)

MAX_SINGLE = 16  # larger requests are sent as arrays: a worker's consumer has a cost per message
MAX_GROUP = 500  # events in an array


class Acknowledgement(Protocol):
    """The pending result of sending a message: `stream.kafka.producer.SendFuture`."""

    def result(self) -> Position:
        """Wait until all replicas have the message."""
        ...


class Producer(Protocol):
    """The part of `stream.kafka.producer.EventProducer` that is used here."""

    def partition_of(self, user_id: str) -> int:
        """The partition to which a user belongs."""
        ...

    def send(self, event: Interaction) -> Acknowledgement:
        """Send one event."""
        ...

    def send_grouped(self, events: Sequence[Interaction], *, partition: int) -> Acknowledgement:
        """Send several events of one partition as one message."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...


class KafkaLog:
    """Appends events to the topic, acknowledged by all replicas. Thread-safe."""

    def __init__(
        self, settings: StreamSettings, *, connect: Callable[[StreamSettings], Producer] = EventProducer
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._producer: Producer | None = None
        self._lock = Lock()

    @property
    def name(self) -> str:
        """The topic."""
        return self._settings.topic

    def open(self) -> None:
        """Connect now, so that the first event does not wait for it; raises `StreamUnavailable`."""
        self._connected()

    def publish(self, events: Sequence[Interaction]) -> list[Position]:
        """Send events and wait until all replicas have them; returns their positions, in the same order.

        Raises `StreamUnavailable` when that is not certain for one of them; sending all again is safe (idempotent).
        """
        producer = self._connected()
        try:
            if len(events) <= MAX_SINGLE:
                return [sent.result() for sent in [producer.send(event) for event in events]]
            return _publish_grouped(producer, events)
        except StreamUnavailable:
            self._drop(producer)
            raise

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            _close(producer)

    def _connected(self) -> Producer:
        with self._lock:
            if self._producer is None:
                self._producer = self._connect(self._settings)
            return self._producer

    def _drop(self, producer: Producer) -> None:
        """Replace a failed producer; called by every thread that used it, and only the first call has an effect."""
        with self._lock:
            if self._producer is not producer:
                return
            self._producer = None
        Thread(
            target=_close, args=(producer,), name="closing producer", daemon=True
        ).start()  # closing waits for its timeout


def _close(producer: Producer) -> None:
    try:
        producer.close()
    except StreamUnavailable as error:  # `publish` has raised it already to those whose events were not sent
        logger.warning("a failed producer was not closed cleanly: %s", error)


def _publish_grouped(producer: Producer, events: Sequence[Interaction]) -> list[Position]:
    indices_by_partition: dict[int, list[int]] = {}
    for index, event in enumerate(events):
        indices_by_partition.setdefault(producer.partition_of(event.user_id), []).append(index)
    pending = [
        (group, producer.send_grouped([events[index] for index in group], partition=partition))
        for partition, indices in indices_by_partition.items()
        for group in _groups(indices)
    ]
    positions = {index: position for group, sent in pending for position in [sent.result()] for index in group}
    return [positions[index] for index in range(len(events))]


def _groups(indices: list[int]) -> list[list[int]]:
    return [indices[first : first + MAX_GROUP] for first in range(0, len(indices), MAX_GROUP)]
