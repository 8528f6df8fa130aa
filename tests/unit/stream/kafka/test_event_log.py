"""The log to write to: positions in the order given, large requests as arrays, a new connection after a failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

import pytest

from core.errors import StreamUnavailable
from core.interactions import Interaction
from stream.kafka.event_log import GROUP, MAX_SINGLE, KafkaLog
from stream.kafka.producer import Position
from stream.kafka.settings import KafkaSettings


def events(count: int) -> list[Interaction]:
    return [Interaction(f"e{n}", f"user-{n % 3}", "item", "click", 1_700_000_000_000) for n in range(count)]


@dataclass
class Sent:
    """A message that is at its place at once, or lost."""

    position: Position | None

    def result(self) -> Position:
        if self.position is None:
            msg = "no broker"
            raise StreamUnavailable(msg)
        return self.position


@dataclass
class FakeProducer:
    """Keeps messages by partition; users are spread over two of them by their last digit."""

    fails: bool = False
    partitions: dict[int, list[list[str]]] = field(default_factory=lambda: {0: [], 1: []})
    closed: Event = field(default_factory=Event)

    def partition_of(self, user_id: str) -> int:
        return int(user_id[-1]) % 2

    def send(self, event: Interaction) -> Sent:
        return self.send_grouped([event], partition=self.partition_of(event.user_id))

    def send_grouped(self, events: Sequence[Interaction], *, partition: int) -> Sent:
        if self.fails:
            return Sent(None)
        messages = self.partitions[partition]
        messages.append([event.event_id for event in events])
        return Sent(Position("events", partition, len(messages) - 1))

    def close(self) -> None:
        self.closed.set()


class Connections:
    """Hands these producers out, one at each connection."""

    def __init__(self, *producers: FakeProducer) -> None:
        self.left = list(producers)

    def __call__(self, settings: KafkaSettings) -> FakeProducer:
        return self.left.pop(0)


def log_over(*producers: FakeProducer) -> KafkaLog:
    return KafkaLog(KafkaSettings(), connect=Connections(*producers))


@pytest.mark.parametrize("count", [1, MAX_SINGLE, MAX_SINGLE + 1, 3 * GROUP])
def test_every_event_stands_where_its_position_says(count: int) -> None:
    producer, sent = FakeProducer(), events(count)
    positions = log_over(producer).publish(sent)
    for event, position in zip(sent, positions, strict=True):
        assert event.event_id in producer.partitions[position.partition][position.offset]


def test_few_events_go_as_messages_of_their_own_and_many_as_arrays() -> None:
    few, many = FakeProducer(), FakeProducer()
    log_over(few).publish(events(MAX_SINGLE))
    log_over(many).publish(events(3 * GROUP))
    assert [len(group) for messages in few.partitions.values() for group in messages] == [1] * MAX_SINGLE
    assert {number: [len(group) for group in groups] for number, groups in many.partitions.items()} == {
        0: [GROUP, GROUP],
        1: [GROUP],
    }


def test_nothing_is_connected_before_the_first_use_and_one_connection_serves_all() -> None:
    connections = Connections(FakeProducer(), FakeProducer())
    log = KafkaLog(KafkaSettings(), connect=connections)
    assert len(connections.left) == 2
    log.publish(events(1))
    log.publish(events(1))
    assert len(connections.left) == 1


def test_after_a_failure_the_next_request_connects_anew() -> None:
    broken, sound = FakeProducer(fails=True), FakeProducer()
    log = log_over(broken, sound)
    with pytest.raises(StreamUnavailable, match="no broker"):
        log.publish(events(1))
    assert broken.closed.wait(5.0)
    assert log.publish(events(1)) == [Position("events", 0, 0)]


def test_closing_lets_go_of_the_connection() -> None:
    producer = FakeProducer()
    log = log_over(producer)
    log.open()
    log.close()
    assert producer.closed.is_set()
