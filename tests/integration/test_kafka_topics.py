"""Topics, producer and dead-letter topic against a real Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import orjson
import pytest
from kafka import KafkaConsumer
from services.kafka import Broker, fresh_settings

from core.errors import InvalidEvent, InvalidSettings, StreamUnavailable, TopicMissing
from core.events.interactions import Interaction
from core.records.stored import DeadLetter
from stream.kafka.admin import delete_topics, ensure_topics, num_partitions, partition_statuses
from stream.kafka.producer import DeadLetterTopic, EventProducer
from stream.kafka.settings import StreamSettings
from stream.messages.partitioning import partition_of
from tidewise.processes.kafka import open_log
from tidewise.settings.schema import load_settings

TIME_MS = 1_700_000_000_000


@pytest.fixture
def kafka(broker: Broker) -> Iterator[StreamSettings]:
    settings = fresh_settings(broker.address, partitions=3)
    yield settings
    delete_topics(settings)


def records(kafka: StreamSettings, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        topic, bootstrap_servers=list(kafka.servers), auto_offset_reset="earliest", consumer_timeout_ms=10_000
    )
    try:
        return [record for _, record in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def test_topics_are_created_once_with_the_requested_partitions(
    kafka: StreamSettings,
) -> None:
    assert ensure_topics(kafka) == 3
    assert ensure_topics(kafka) == 3
    assert num_partitions(kafka) == 3


def test_an_api_started_before_its_topic_publishes_once_it_exists(
    kafka: StreamSettings, caplog: pytest.LogCaptureFixture
) -> None:
    named = {"bootstrap_servers": kafka.servers[0], "topic": kafka.topic}
    settings = load_settings(overrides={f"kafka.{name}": value for name, value in named.items()}, environment={})
    click = Interaction("e1", "ann", "item-1", "click", TIME_MS)
    with ExitStack() as stack, caplog.at_level("WARNING"):
        log = open_log(stack, settings)
        assert log is not None
        with pytest.raises(TopicMissing, match="start a worker"):
            log.publish([click])
        ensure_topics(kafka)
        assert [position.topic for position in log.publish([click])] == [kafka.topic]
    missing = f"topic {kafka.topic} does not exist; start a worker, which creates it"
    ours = [record.message for record in caplog.records if record.name.startswith("tidewise")]
    assert ours == [f"events are refused until Kafka is available: {missing}"]


def test_a_topic_never_shrinks(kafka: StreamSettings) -> None:
    ensure_topics(kafka)
    with pytest.raises(InvalidSettings, match=r"has 3 partitions and cannot shrink to 2; set kafka.partitions to 3"):
        ensure_topics(replace(kafka, partitions=2))


def test_a_topic_grows_only_on_request(kafka: StreamSettings) -> None:
    ensure_topics(kafka)
    more = replace(kafka, partitions=5)
    with pytest.raises(InvalidSettings, match="has 3 partitions, not 5; adding partitions moves users between them"):
        ensure_topics(more)
    assert ensure_topics(more, grow=True) == 5
    assert num_partitions(kafka) == 5


def test_a_topic_that_does_not_exist_is_named(kafka: StreamSettings) -> None:
    with pytest.raises(StreamUnavailable, match=f"topic {kafka.topic} does not exist"):
        num_partitions(kafka)


@pytest.mark.parametrize("use", [ensure_topics, EventProducer])
def test_an_unreachable_broker_is_reported_at_once_with_its_address(use: object) -> None:
    unreachable = StreamSettings(servers=("127.0.0.1:9", "127.0.0.1:10"), request_timeout_s=1.0)
    started_s = time.monotonic()
    with pytest.raises(StreamUnavailable, match=r"cannot be reached at 127.0.0.1:9 \(.*\), 127.0.0.1:10 \("):
        use(unreachable)  # type: ignore[operator]
    assert time.monotonic() - started_s < 3.0


def test_events_are_sent_to_the_partition_of_their_user(kafka: StreamSettings) -> None:
    ensure_topics(kafka)
    events = [Interaction(f"e{n}", f"user-{n}", "lamp", "click", TIME_MS) for n in range(20)]
    with EventProducer(kafka) as producer:
        positions = [sent.result() for sent in [producer.send(event) for event in events]]
    assert [position.partition for position in positions] == [
        partition_of(event.user_id, num_partitions=3) for event in events
    ]
    assert {position.topic for position in positions} == {kafka.topic}


def test_publishing_returns_the_offsets_of_the_events(kafka: StreamSettings) -> None:
    ensure_topics(kafka)
    events = [Interaction(f"e{n}", "ann", "lamp", "click", TIME_MS + n) for n in range(5)]
    with EventProducer(kafka) as producer:
        assert [position.offset for position in producer.publish(events)] == [0, 1, 2, 3, 4]


def test_the_lag_counts_messages_that_the_database_has_not_applied(kafka: StreamSettings) -> None:
    ensure_topics(kafka)
    with EventProducer(kafka) as producer:
        partition = producer.partition_of("ann")
        producer.publish([Interaction(f"e{n}", "ann", "lamp", "click", TIME_MS + n) for n in range(5)])
    statuses = partition_statuses(kafka, {})
    assert {number: status.lag for number, status in statuses.items()} == {0: 0, 1: 0, 2: 0} | {partition: 5}
    assert partition_statuses(kafka, {partition: 3})[partition].lag == 1
    assert partition_statuses(kafka, {partition: 4})[partition].lag == 0


def test_grouped_events_are_sent_as_one_message(kafka: StreamSettings) -> None:
    ensure_topics(kafka)
    events = [Interaction(f"e{n}", "ann", "lamp", "click", TIME_MS + n) for n in range(50)]
    with EventProducer(kafka) as producer:
        partition = producer.partition_of("ann")
        assert producer.send_grouped(events, partition=partition).result().offset == 0
    (record,) = records(kafka, kafka.topic, 1)
    assert [event["event_id"] for event in orjson.loads(record.value)] == [f"e{n}" for n in range(50)]


def test_a_message_above_the_size_limit_is_refused_before_sending(kafka: StreamSettings) -> None:
    ensure_topics(kafka)
    large = Interaction("e", "ann", "lamp", "click", TIME_MS, context={"note": "x" * (11 << 20)})
    with EventProducer(kafka) as producer, pytest.raises(InvalidEvent, match="group fewer events"):
        producer.send_grouped([large], partition=0)


def test_dead_letters_are_published_with_their_position_and_reason(kafka: StreamSettings) -> None:
    ensure_topics(kafka)
    dead_letter_topic = DeadLetterTopic(kafka)
    dead_letter_topic([DeadLetter("interactions", 2, 41, "time: looks like seconds", b'{"time": 17}', TIME_MS)])
    dead_letter_topic.close()
    (record,) = records(kafka, kafka.dead_letter_topic, 1)
    assert record.value == b'{"time": 17}'
    assert dict(record.headers) == {
        "reason": b"time: looks like seconds",
        "topic": b"interactions",
        "partition": b"2",
        "offset": b"41",
        "time_ms": str(TIME_MS).encode(),
    }
