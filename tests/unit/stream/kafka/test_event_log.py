"""The reconnecting producer: positions in order, arrays for large requests, reconnection after a failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

import pytest

from core.errors import StreamUnavailable
from core.events.interactions import Interaction
from stream.kafka.event_log import MAX_GROUP, MAX_SINGLE, KafkaLog
from stream.kafka.producer import Position
from stream.kafka.settings import StreamSettings


def events(count: int) -> list[Interaction]:
    return [Interaction(f"e{n}", f"user-{n % 3}", "item", "click", 1_700_000_000_000) for n in range(count)]


@dataclass
class FakeAcknowledgement:
    """The result of a message: its position, or a failure."""

    position: Position | None

    def result(self) -> Position:
        if self.position is None:
            msg = "no broker"
            raise StreamUnavailable(msg)
        return self.position


@dataclass
class FakeProducer:
    """Keeps messages by partition: two partitions, by the last digit of the user."""

    fails: bool = False
    partitions: dict[int, list[list[str]]] = field(default_factory=lambda: {0: [], 1: []})
    closed: Event = field(default_factory=Event)

    def partition_of(self, user_id: str) -> int:
        return int(user_id[-1]) % 2

    def send(self, event: Interaction) -> FakeAcknowledgement:
        return self.send_grouped([event], partition=self.partition_of(event.user_id))

    def send_grouped(self, events: Sequence[Interaction], *, partition: int) -> FakeAcknowledgement:
        if self.fails:
            return FakeAcknowledgement(None)
        messages = self.partitions[partition]
        messages.append([event.event_id for event in events])
        return FakeAcknowledgement(Position("events", partition, len(messages) - 1))

    def close(self) -> None:
        self.closed.set()


class Connections:
    """Returns one of these producers per connection."""

    def __init__(self, *producers: FakeProducer) -> None:
        self.remaining = list(producers)

    def __call__(self, settings: StreamSettings) -> FakeProducer:
        return self.remaining.pop(0)


def log_over(*producers: FakeProducer) -> KafkaLog:
    return KafkaLog(StreamSettings(), connect=Connections(*producers))


@pytest.mark.parametrize("count", [1, MAX_SINGLE, MAX_SINGLE + 1, 3 * MAX_GROUP])
def test_every_event_is_at_its_returned_position(count: int) -> None:
    producer, sent = FakeProducer(), events(count)
    positions = log_over(producer).publish(sent)
    for event, position in zip(sent, positions, strict=True):
        assert event.event_id in producer.partitions[position.partition][position.offset]


def test_few_events_are_sent_as_single_messages_and_many_as_arrays() -> None:
    few, many = FakeProducer(), FakeProducer()
    log_over(few).publish(events(MAX_SINGLE))
    log_over(many).publish(events(3 * MAX_GROUP))
    assert [len(group) for messages in few.partitions.values() for group in messages] == [1] * MAX_SINGLE
    assert {number: [len(group) for group in groups] for number, groups in many.partitions.items()} == {
        0: [MAX_GROUP, MAX_GROUP],
        1: [MAX_GROUP],
    }


def test_one_connection_is_made_at_the_first_use() -> None:
    connections = Connections(FakeProducer(), FakeProducer())
    log = KafkaLog(StreamSettings(), connect=connections)
    assert len(connections.remaining) == 2
    log.publish(events(1))
    log.publish(events(1))
    assert len(connections.remaining) == 1


def test_the_next_request_after_a_failure_reconnects() -> None:
    failing, working = FakeProducer(fails=True), FakeProducer()
    log = log_over(failing, working)
    with pytest.raises(StreamUnavailable, match="no broker"):
        log.publish(events(1))
    assert failing.closed.wait(5.0)
    assert log.publish(events(1)) == [Position("events", 0, 0)]


def test_closing_disconnects() -> None:
    producer = FakeProducer()
    log = log_over(producer)
    log.open()
    log.close()
    assert producer.closed.is_set()
