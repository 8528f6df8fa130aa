"""The events' topic as a log to write to, for processes that must go on while Kafka is away.

It connects at the first use, and anew after a failure: a producer whose messages have timed out may never recover, and
one made while a broker restarts costs a tenth of a second. Knows nothing about who sends events.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Protocol

from core.errors import StreamUnavailable
from core.interactions import Interaction
from stream.kafka.producer import EventProducer, Position
from stream.kafka.settings import KafkaSettings

logger = logging.getLogger(__name__)

MAX_SINGLE = 16  # larger requests go as arrays: what a worker's consumer costs, it costs per message
GROUP = 500


class Pending(Protocol):
    """A message on its way."""

    def result(self) -> Position:
        """Wait until all replicas have it."""
        ...


class Producer(Protocol):
    """What the log needs of `stream.kafka.producer.EventProducer`."""

    def partition_of(self, user_id: str) -> int:
        """The partition to which a user belongs."""
        ...

    def send(self, event: Interaction) -> Pending:
        """Hand one event over."""
        ...

    def send_grouped(self, events: Sequence[Interaction], *, partition: int) -> Pending:
        """Hand several events of one partition over."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class KafkaLog:
    """Adds events to the log, acknowledged by all replicas. Shared by threads."""

    def __init__(
        self, settings: KafkaSettings, *, connect: Callable[[KafkaSettings], Producer] = EventProducer
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
        """Connect now, so that the first event need not wait for it; raises `StreamUnavailable`."""
        self._connected()

    def publish(self, events: Sequence[Interaction]) -> list[Position]:
        """Send events and wait until all replicas have each; positions in the order given.

        Raises `StreamUnavailable` when one is not known to be safe; sending all of them again then counts each once.
        """
        producer = self._connected()
        try:
            if len(events) <= MAX_SINGLE:
                return [pending.result() for pending in [producer.send(event) for event in events]]
            return _publish_grouped(producer, events)
        except StreamUnavailable:
            self._drop(producer)
            raise

    def close(self) -> None:
        """Let go of the connection."""
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
        """The first thread that sees a failure lets the producer go; others that use it fail and come here too."""
        with self._lock:
            if self._producer is not producer:
                return
            self._producer = None
        Thread(target=_close, args=(producer,), name="closing producer", daemon=True).start()  # it takes its timeout


def _close(producer: Producer) -> None:
    try:
        producer.close()
    except StreamUnavailable as error:  # whoever sent what is left has been told already
        logger.warning("a producer was given up: %s", error)


def _publish_grouped(producer: Producer, events: Sequence[Interaction]) -> list[Position]:
    places: dict[int, list[int]] = {}
    for place, event in enumerate(events):
        places.setdefault(producer.partition_of(event.user_id), []).append(place)
    sent = [
        (group, producer.send_grouped([events[place] for place in group], partition=partition))
        for partition, of_partition in places.items()
        for group in _slices(of_partition)
    ]
    positions = {place: position for group, pending in sent for position in [pending.result()] for place in group}
    return [positions[place] for place in range(len(events))]


def _slices(places: list[int]) -> list[list[int]]:
    return [places[first : first + GROUP] for first in range(0, len(places), GROUP)]
