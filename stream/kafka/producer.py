"""Kafka producers: events, with each user's events in one partition, in order; and dead letters.

Every message is acknowledged by all replicas. Independent of where events come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from kafka import KafkaProducer

from core.errors import InvalidEvent
from core.events.interactions import Interaction
from core.records.stored import DeadLetter
from stream.kafka.admin import MAX_MESSAGE_BYTES, client_options, kafka_errors, num_partitions, require_broker
from stream.kafka.settings import StreamSettings
from stream.messages.codec import encode, encode_many
from stream.messages.partitioning import partition_of


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a message in Kafka's log."""

    topic: str
    partition: int
    offset: int


class SendFuture:
    """The pending result of sending a message."""

    __slots__ = ("_future", "_settings")

    def __init__(self, settings: StreamSettings, future: Any) -> None:
        self._settings = settings
        self._future = future

    def result(self) -> Position:
        """Wait until all replicas have the message; raises `StreamUnavailable` when that is not certain."""
        with kafka_errors(self._settings, "send"):
            metadata = self._future.get(timeout=self._settings.request_timeout_s)
            return Position(metadata.topic, metadata.partition, metadata.offset)

    def on_failure(self, callback: Callable[[BaseException], None]) -> None:
        """Register a callback for a failure, called in the producer's thread."""
        self._future.add_errback(callback)


class EventProducer:
    """A thread-safe producer of the events' topic. `linger_ms`: how long a message waits to share a request."""

    def __init__(self, settings: StreamSettings, *, linger_ms: int = 0) -> None:
        self._settings = settings
        self.num_partitions = num_partitions(settings)  # the client would request a missing topic until its timeout
        with kafka_errors(settings, "producer"):
            self._producer = KafkaProducer(
                **client_options(settings),
                acks="all",
                enable_idempotence=True,
                linger_ms=linger_ms,
                batch_size=1 << 17,
                max_request_size=MAX_MESSAGE_BYTES,
                max_block_ms=int(settings.request_timeout_s * 1000),
                delivery_timeout_ms=int(settings.request_timeout_s * 1000) + linger_ms,
            )
            try:
                self._producer.partitions_for(settings.topic)  # so that the first event does not wait for metadata
            except BaseException:
                self._producer.close(timeout=0)
                raise

    def send(self, event: Interaction) -> SendFuture:
        """Send one event, without waiting for its result."""
        key = event.user_id.encode()
        with kafka_errors(self._settings, "send"):
            return SendFuture(self._settings, self._producer.send(self._settings.topic, key=key, value=encode(event)))

    def publish(self, events: Sequence[Interaction]) -> list[Position]:
        """Send events and wait until all replicas have them.

        Raises `StreamUnavailable` when that is not certain for one of them; sending all again is safe (idempotent).
        """
        return [future.result() for future in [self.send(event) for event in events]]

    def send_grouped(self, events: Sequence[Interaction], *, partition: int) -> SendFuture:
        """Send several events as one message; every user must belong to `partition` (see `partition_of`)."""
        value = encode_many(events)
        if len(value) > MAX_MESSAGE_BYTES:
            msg = f"message: wanted at most {MAX_MESSAGE_BYTES} bytes, got {len(value)}; group fewer events"
            raise InvalidEvent(msg, field="message")
        with kafka_errors(self._settings, "send"):
            future = self._producer.send(self._settings.topic, value=value, partition=partition)
            return SendFuture(self._settings, future)

    def flush(self) -> None:
        """Wait until every message has been acknowledged or has failed."""
        with kafka_errors(self._settings, "flush"):
            self._producer.flush(timeout=self._settings.request_timeout_s * 2)

    def close(self) -> None:
        """Send pending messages and disconnect; raises `StreamUnavailable` where some could not be sent."""
        with kafka_errors(self._settings, "close"):
            self._producer.close(timeout=self._settings.request_timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def partition_of(self, user_id: str) -> int:
        """The partition of this topic to which a user belongs."""
        return partition_of(user_id, num_partitions=self.num_partitions)


class DeadLetterTopic:
    """A producer of the dead-letter topic: the payload as value, position and reason as headers.

    At least once: a worker killed between sending and commit sends again, with the same headers.
    """

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._producer: KafkaProducer | None = None  # created for the first dead letter; most workers see none

    def __call__(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Send, and return when all replicas have them; raises `StreamUnavailable`."""
        with kafka_errors(self._settings, "dead letters"):
            producer, topic = self._connected(), self._settings.dead_letter_topic
            futures = [
                producer.send(topic, value=dead_letter.payload, headers=_headers(dead_letter))
                for dead_letter in dead_letters
            ]
            for future in futures:
                future.get(timeout=self._settings.request_timeout_s)

    def close(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            self._producer.close(timeout=self._settings.request_timeout_s)

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            require_broker(self._settings)
            self._producer = KafkaProducer(
                **client_options(self._settings), acks="all", linger_ms=5, max_request_size=MAX_MESSAGE_BYTES
            )
        return self._producer


def _headers(dead_letter: DeadLetter) -> list[tuple[str, bytes]]:
    return [
        ("reason", dead_letter.reason.encode(errors="replace")),
        ("topic", dead_letter.source.encode()),
        ("partition", str(dead_letter.partition).encode()),
        ("offset", str(dead_letter.offset).encode()),
        ("time_ms", str(dead_letter.time_ms).encode()),
    ]
