"""Sends events to Kafka: acknowledged by all replicas, each user's events in one partition, in order.

Knows nothing about who made the events or what becomes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from kafka import KafkaProducer

from core.errors import InvalidEvent
from core.interactions import Interaction
from core.records import DeadLetter
from stream.kafka.partitioning import partition_of
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import MAX_MESSAGE_BYTES, client_options, kafka_errors, num_partitions, require_broker
from stream.messages.codec import encode, encode_many


@dataclass(frozen=True, slots=True)
class Position:
    """Where a message stands in the log."""

    topic: str
    partition: int
    offset: int


class Pending:
    """A message on its way."""

    __slots__ = ("_future", "_settings")

    def __init__(self, settings: KafkaSettings, future: Any) -> None:
        self._settings = settings
        self._future = future

    def result(self) -> Position:
        """Wait until all replicas have it; raises `StreamUnavailable` when that is not known to have happened."""
        with kafka_errors(self._settings, "send"):
            done = self._future.get(timeout=self._settings.request_timeout_s)
            return Position(done.topic, done.partition, done.offset)

    def on_failure(self, call: Callable[[BaseException], None]) -> None:
        """Call back (from the producer's thread) when the message fails."""
        self._future.add_errback(call)


class EventProducer:
    """A producer of the events' topic. May be shared by threads. `linger_ms`: how long a message waits for company."""

    def __init__(self, settings: KafkaSettings, *, linger_ms: int = 0) -> None:
        self._settings = settings
        self.num_partitions = num_partitions(settings)  # the client would ask for a missing topic until its time is up
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
                self._producer.partitions_for(settings.topic)  # so that the first event need not wait for it
            except BaseException:
                self._producer.close(timeout=0)
                raise

    def send(self, event: Interaction) -> Pending:
        """Hand one event over; the result can be waited for."""
        key = event.user_id.encode()
        with kafka_errors(self._settings, "send"):
            return Pending(self._settings, self._producer.send(self._settings.topic, key=key, value=encode(event)))

    def publish(self, events: Sequence[Interaction]) -> list[Position]:
        """Send events and wait until all replicas have each.

        Raises `StreamUnavailable` when one is not known to be safe; sending all of them again then counts each once.
        """
        return [pending.result() for pending in [self.send(event) for event in events]]

    def send_grouped(self, events: Sequence[Interaction], *, partition: int) -> Pending:
        """Hand several events over as one message; every user must belong to `partition` (see `grouped`)."""
        value = encode_many(events)
        if len(value) > MAX_MESSAGE_BYTES:
            msg = f"message: wanted at most {MAX_MESSAGE_BYTES} bytes, got {len(value)}; group fewer events"
            raise InvalidEvent(msg, field="message")
        with kafka_errors(self._settings, "send"):
            return Pending(self._settings, self._producer.send(self._settings.topic, value=value, partition=partition))

    def flush(self) -> None:
        """Wait until everything handed over has been acknowledged or has failed."""
        with kafka_errors(self._settings, "flush"):
            self._producer.flush(timeout=self._settings.request_timeout_s * 2)

    def close(self) -> None:
        """Send what is left and let go of the connection; raises `StreamUnavailable` where some could not be sent."""
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
    """Announces dead letters on their topic: the payload as value, place and reason as headers.

    At least once: a worker killed between announcement and commit announces again, with the same headers.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: KafkaProducer | None = None  # made when the first dead letter comes; most workers see none

    def __call__(self, letters: Sequence[DeadLetter]) -> None:
        """Announce, and return when all replicas have them; raises `StreamUnavailable`."""
        with kafka_errors(self._settings, "dead letters"):
            producer = self._connected()
            futures = [
                producer.send(self._settings.dead_letter_topic, value=letter.payload, headers=_headers(letter))
                for letter in letters
            ]
            for future in futures:
                future.get(timeout=self._settings.request_timeout_s)

    def close(self) -> None:
        """Let go of the connection."""
        if self._producer is not None:
            self._producer.close(timeout=self._settings.request_timeout_s)

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            require_broker(self._settings)
            self._producer = KafkaProducer(
                **client_options(self._settings), acks="all", linger_ms=5, max_request_size=MAX_MESSAGE_BYTES
            )
        return self._producer


def _headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    return [
        ("reason", letter.reason.encode(errors="replace")),
        ("topic", letter.source.encode()),
        ("partition", str(letter.partition).encode()),
        ("offset", str(letter.offset).encode()),
        ("time_ms", str(letter.time_ms).encode()),
    ]
