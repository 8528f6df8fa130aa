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
from core.interactions import Interaction
from core.records import DeadLetter
from stream.kafka.admin import delete_topics, ensure_topics, num_partitions, partition_statuses
from stream.kafka.producer import DeadLetterTopic, EventProducer
from stream.kafka.settings import KafkaSettings
from stream.messages.partitioning import partition_of
from tidewise.processes.kafka import open_log
from tidewise.settings.schema import load_settings

TIME_MS = 1_700_000_000_000


@pytest.fixture
def kafka(broker: Broker) -> Iterator[KafkaSettings]:
    settings = fresh_settings(broker.address, partitions=3)
    yield settings
    delete_topics(settings)


def records(kafka: KafkaSettings, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        topic, bootstrap_servers=list(kafka.servers), auto_offset_reset="earliest", consumer_timeout_ms=10_000
    )
    try:
        return [record for _, record in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def test_topics_are_made_with_the_partitions_asked_for_and_making_them_again_changes_nothing(
    kafka: KafkaSettings,
) -> None:
    assert ensure_topics(kafka) == 3
    assert ensure_topics(kafka) == 3
    assert num_partitions(kafka) == 3


def test_an_api_started_before_its_topic_is_made_says_so_once_and_takes_events_when_it_is(
    kafka: KafkaSettings, caplog: pytest.LogCaptureFixture
) -> None:
    named = {"bootstrap": kafka.servers[0], "topic": kafka.topic}
    settings = load_settings(overrides={f"kafka.{name}": value for name, value in named.items()}, environment={})
    click = Interaction("e1", "ann", "item-1", "click", TIME_MS)
    with ExitStack() as stack, caplog.at_level("WARNING"):
        log = open_log(stack, settings)
        assert log is not None
        with pytest.raises(TopicMissing, match="start a worker"):
            log.publish([click])
        ensure_topics(kafka)
        assert [position.topic for position in log.publish([click])] == [kafka.topic]
    missing = f"topic {kafka.topic} does not exist; start a worker, which makes it"
    assert caplog.messages == [f"events are refused until Kafka takes them: {missing}"]


def test_a_topic_never_shrinks(kafka: KafkaSettings) -> None:
    ensure_topics(kafka)
    with pytest.raises(InvalidSettings, match=r"has 3 partitions and cannot shrink to 2; set kafka.partitions to 3"):
        ensure_topics(replace(kafka, partitions=2))


def test_a_topic_grows_only_when_told_so_because_users_move(kafka: KafkaSettings) -> None:
    ensure_topics(kafka)
    more = replace(kafka, partitions=5)
    with pytest.raises(InvalidSettings, match="has 3 partitions, not 5; adding some moves users between partitions"):
        ensure_topics(more)
    assert ensure_topics(more, grow=True) == 5
    assert num_partitions(kafka) == 5


def test_a_topic_that_does_not_exist_is_named(kafka: KafkaSettings) -> None:
    with pytest.raises(StreamUnavailable, match=f"topic {kafka.topic} does not exist"):
        num_partitions(kafka)


@pytest.mark.parametrize("use", [ensure_topics, EventProducer])
def test_a_broker_that_is_away_is_reported_in_time_with_its_address(use: object) -> None:
    away = KafkaSettings(servers=("127.0.0.1:9", "127.0.0.1:10"), request_timeout_s=1.0)
    started_s = time.monotonic()
    with pytest.raises(StreamUnavailable, match=r"cannot be reached at 127.0.0.1:9 \(.*\), 127.0.0.1:10 \("):
        use(away)  # type: ignore[operator]
    assert time.monotonic() - started_s < 3.0


def test_each_users_events_go_to_the_partition_where_the_worker_expects_them(kafka: KafkaSettings) -> None:
    ensure_topics(kafka)
    events = [Interaction(f"e{n}", f"user-{n}", "lamp", "click", TIME_MS) for n in range(20)]
    with EventProducer(kafka) as producer:
        positions = [pending.result() for pending in [producer.send(event) for event in events]]
    assert [position.partition for position in positions] == [
        partition_of(event.user_id, num_partitions=3) for event in events
    ]
    assert {position.topic for position in positions} == {kafka.topic}


def test_publishing_returns_when_every_event_has_its_place(kafka: KafkaSettings) -> None:
    ensure_topics(kafka)
    events = [Interaction(f"e{n}", "ann", "lamp", "click", TIME_MS + n) for n in range(5)]
    with EventProducer(kafka) as producer:
        assert [position.offset for position in producer.publish(events)] == [0, 1, 2, 3, 4]


def test_the_lag_of_each_partition_is_what_the_database_has_not_applied(kafka: KafkaSettings) -> None:
    ensure_topics(kafka)
    with EventProducer(kafka) as producer:
        home = producer.partition_of("ann")
        producer.publish([Interaction(f"e{n}", "ann", "lamp", "click", TIME_MS + n) for n in range(5)])
    never = partition_statuses(kafka, {})
    assert {partition: status.lag for partition, status in never.items()} == {0: 0, 1: 0, 2: 0} | {home: 5}
    assert partition_statuses(kafka, {home: 3})[home].lag == 1
    assert partition_statuses(kafka, {home: 4})[home].lag == 0


def test_several_events_travel_as_one_message(kafka: KafkaSettings) -> None:
    ensure_topics(kafka)
    events = [Interaction(f"e{n}", "ann", "lamp", "click", TIME_MS + n) for n in range(50)]
    with EventProducer(kafka) as producer:
        home = producer.partition_of("ann")
        assert producer.send_grouped(events, partition=home).result().offset == 0
    (record,) = records(kafka, kafka.topic, 1)
    assert [event["event_id"] for event in orjson.loads(record.value)] == [f"e{n}" for n in range(50)]


def test_a_message_above_the_limit_is_refused_before_it_is_sent(kafka: KafkaSettings) -> None:
    ensure_topics(kafka)
    large = Interaction("e", "ann", "lamp", "click", TIME_MS, context={"note": "x" * (11 << 20)})
    with EventProducer(kafka) as producer, pytest.raises(InvalidEvent, match="group fewer events"):
        producer.send_grouped([large], partition=0)


def test_dead_letters_are_announced_with_their_place_and_reason(kafka: KafkaSettings) -> None:
    ensure_topics(kafka)
    announce = DeadLetterTopic(kafka)
    announce([DeadLetter("interactions", 2, 41, "time: looks like seconds", b'{"time": 17}', TIME_MS)])
    announce.close()
    (record,) = records(kafka, kafka.dead_letter_topic, 1)
    assert record.value == b'{"time": 17}'
    assert dict(record.headers) == {
        "reason": b"time: looks like seconds",
        "topic": b"interactions",
        "partition": b"2",
        "offset": b"41",
        "time_ms": str(TIME_MS).encode(),
    }
