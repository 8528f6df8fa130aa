"""`tidewise replay --kafka`: a file's events in a real topic."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.kafka import Broker, fresh_settings
from services.replays import TIME_S, await_message, log_file, messages_in_topic, result_of, start_replay

from stream.kafka.admin import delete_topics
from stream.kafka.settings import StreamSettings
from stream.messages.partitioning import partition_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return log_file(tmp_path)


@pytest.fixture
def kafka(broker: Broker) -> Iterator[StreamSettings]:
    settings = fresh_settings(broker.address, partitions=3)
    yield settings
    delete_topics(settings)


def test_each_users_events_are_sent_in_order_in_one_partition(kafka: StreamSettings, file: Path) -> None:
    figures = result_of(start_replay(kafka, file, "--group", "25"))
    assert (figures["events"], figures["bad_lines"]) == (600, 1)
    by_partition = messages_in_topic(kafka)
    assert figures["messages"] == sum(len(messages) for messages in by_partition.values()) < 60
    for partition, messages in by_partition.items():
        assert all(len(message) <= 25 for message in messages)
        events = [event for message in messages for event in message]
        assert {partition_of(event["user_id"], num_partitions=3) for event in events} <= {partition}
    sent = [event for messages in by_partition.values() for message in messages for event in message]
    assert len({event["event_id"] for event in sent}) == 600
    for user in range(20):
        times = [event["time"] for event in sent if event["user_id"] == f"user-{user}"]
        assert times == [(TIME_S + 2 * n) * 1000 for n in range(user, 600, 20)]


def test_a_time_lapse_divides_the_duration_of_the_log_by_its_speed(kafka: StreamSettings, file: Path) -> None:
    figures = result_of(start_replay(kafka, file, "--speed", "600"))
    assert figures["messages"] == figures["events"] == 600
    assert 2.0 <= figures["seconds"] < 20.0  # 1,198 s in the log


def test_ctrl_c_ends_a_replay_after_the_events_sent_until_then(kafka: StreamSettings, file: Path) -> None:
    process = start_replay(kafka, file, "--rate", "20")
    await_message(kafka)
    process.send_signal(signal.SIGINT)
    figures = result_of(process, code=130)
    assert 0 < figures["events"] < 600
    assert sum(len(messages) for messages in messages_in_topic(kafka).values()) == figures["events"]


def test_an_unreachable_broker_fails_a_replay_at_once(file: Path) -> None:
    process = start_replay(fresh_settings("127.0.0.1:9"), file)
    assert "Kafka cannot be reached at 127.0.0.1:9" in process.communicate(timeout=60)[1]
    assert process.returncode == 1
