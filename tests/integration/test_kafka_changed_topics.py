"""Topics that change while a worker runs: grown, or deleted and made anew. No event is lost or counted twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from signal import SIGTERM

import pytest
from services.databases import Database
from services.kafka import Broker
from services.streaming import Streaming, assert_counted_once, clicks, send, streaming
from services.workers import num_events

from core.errors import TopicMissing
from stream.kafka.admin import delete_topics, ensure_topics, num_partitions
from stream.kafka.producer import EventProducer

BEFORE, AFTER = clicks(60), clicks(200, first=60)  # more than before, so that old offsets lie within the new topic


@pytest.fixture
def stream(broker: Broker, sqlite_database: Database, tmp_path: Path) -> Iterator[Streaming]:
    """A worker that has applied some events."""
    with streaming(broker.address, sqlite_database.url, sqlite_database.store, tmp_path) as stream:
        stream.worker.start()
        send(stream.kafka, BEFORE)
        stream.await_events(len(BEFORE))
        yield stream


def make_topic_anew(stream: Streaming) -> None:
    delete_topics(stream.kafka)
    while exists(stream):
        pass
    ensure_topics(stream.kafka)


def exists(stream: Streaming) -> bool:
    try:
        num_partitions(stream.kafka)
    except TopicMissing:
        return False
    return True


def await_events_with_restarts(stream: Streaming, count: int) -> None:
    """A worker that asks for the topic while there is none ends, and is restarted as by its supervisor."""
    deadline_s = time.monotonic() + 60.0
    while num_events(stream.store) < count:
        assert time.monotonic() < deadline_s, stream.worker.log[-3_000:]
        if not stream.worker.runs():
            stream.worker.start()
        time.sleep(0.1)


def test_a_topic_made_anew_is_applied_by_a_restarted_worker(stream: Streaming) -> None:
    stream.worker.end(by=SIGTERM)
    make_topic_anew(stream)
    send(stream.kafka, AFTER)
    stream.worker.start()
    stream.await_events(len(BEFORE) + len(AFTER))
    assert_counted_once(stream.store, [*BEFORE, *AFTER])
    assert f"topic {stream.kafka.topic} was deleted and made anew: it is read from its start" in stream.worker.log


def test_a_topic_made_anew_under_a_running_worker_is_applied(stream: Streaming) -> None:
    make_topic_anew(stream)
    send(stream.kafka, AFTER)
    await_events_with_restarts(stream, len(BEFORE) + len(AFTER))
    assert_counted_once(stream.store, [*BEFORE, *AFTER])


def test_new_partitions_are_consumed_by_a_running_worker(stream: Streaming) -> None:
    grown = replace(stream.kafka, partitions=3)  # moves users between the old partitions too
    ensure_topics(grown, grow=True)
    send(grown, AFTER)
    stream.await_events(len(BEFORE) + len(AFTER))
    assert_counted_once(stream.store, [*BEFORE, *AFTER])
    assert stream.offsets().keys() == {0, 1, 2}
    with stream.store.read() as read:
        assert read.dead_letters.newest() == []


def test_events_sent_by_the_former_number_of_partitions_are_applied(stream: Streaming) -> None:
    with EventProducer(stream.kafka) as producer:
        ensure_topics(replace(stream.kafka, partitions=3), grow=True)
        for event in AFTER:
            producer.send_grouped([event], partition=producer.partition_of(event.user_id))
    stream.await_events(len(BEFORE) + len(AFTER))
    assert_counted_once(stream.store, [*BEFORE, *AFTER])
