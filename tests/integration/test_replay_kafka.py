"""`tidewise replay --kafka`: a file's events in a real topic."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition
from services.kafka import Broker, fresh_settings

from stream.kafka.admin import delete_topics
from stream.kafka.settings import StreamSettings
from stream.messages.partitioning import partition_of

TIME_S = 1_700_000_000


@pytest.fixture
def kafka(broker: Broker) -> Iterator[StreamSettings]:
    settings = fresh_settings(broker.address, partitions=3)
    yield settings
    delete_topics(settings)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """600 events of 20 users, two seconds apart, and an invalid line."""
    path = tmp_path / "log.csv"
    rows = [f"user-{n % 20},item-{n % 7},{TIME_S + 2 * n}" for n in range(600)]
    path.write_text("\n".join(["user,item,time", *rows, "user-1,,x"]) + "\n")
    return path


def start(kafka: StreamSettings, file: Path, *options: str) -> subprocess.Popen[str]:
    names = {"topic": kafka.topic, "dead_letter_topic": kafka.dead_letter_topic, "partitions": kafka.partitions}
    command = ["replay", str(file), "--columns", "user,item,time", "--time-unit", "s", "--kafka", kafka.servers[0]]
    settings = [part for name, value in names.items() for part in ("--set", f"kafka.{name}={value}")]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tidewise", *command, *settings, "--data", str(file.parent), "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result_of(process: subprocess.Popen[str], *, code: int = 0) -> dict[str, Any]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    result: dict[str, Any] = json.loads(out)
    return result


def messages_in_topic(kafka: StreamSettings) -> dict[int, list[list[dict[str, Any]]]]:
    """The events of each message, by partition."""
    consumer = KafkaConsumer(bootstrap_servers=list(kafka.servers), auto_offset_reset="earliest")
    tps = [TopicPartition(kafka.topic, number) for number in range(kafka.partitions)]
    consumer.assign(tps)
    ends = consumer.end_offsets(tps)
    messages: dict[int, list[list[dict[str, Any]]]] = {tp.partition: [] for tp in tps}
    while any(consumer.position(tp) < ends[tp] for tp in tps):
        for tp, records in consumer.poll(timeout_ms=500).items():
            values = [orjson.loads(record.value) for record in records]
            messages[tp.partition] += [value if isinstance(value, list) else [value] for value in values]
    consumer.close()
    return messages


def test_each_users_events_are_sent_in_order_in_one_partition(kafka: StreamSettings, file: Path) -> None:
    figures = result_of(start(kafka, file, "--group", "25"))
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
    figures = result_of(start(kafka, file, "--speed", "600"))
    assert figures["messages"] == figures["events"] == 600
    assert 2.0 <= figures["seconds"] < 20.0  # 1,198 s in the log


def test_ctrl_c_ends_a_replay_after_the_events_sent_until_then(kafka: StreamSettings, file: Path) -> None:
    process = start(kafka, file, "--rate", "20")
    await_message(kafka)
    process.send_signal(signal.SIGINT)
    figures = result_of(process, code=130)
    assert 0 < figures["events"] < 600
    assert sum(len(messages) for messages in messages_in_topic(kafka).values()) == figures["events"]


def test_a_restarted_broker_delays_a_replay_and_loses_nothing(
    broker: Broker, kafka: StreamSettings, file: Path
) -> None:
    if broker.node is None:
        pytest.skip("a broker named in TIDEWISE_TEST_KAFKA is not killed")
    process = start(kafka, file, "--rate", "200")
    await_message(kafka)
    broker.node.command("kill")
    broker.node.command("start")
    assert result_of(process)["events"] == 600
    sent = [
        event["event_id"] for messages in messages_in_topic(kafka).values() for message in messages for event in message
    ]
    assert sorted(sent) == sorted(set(sent))
    assert len(sent) == 600


def await_message(kafka: StreamSettings) -> None:
    deadline_s = time.monotonic() + 60.0
    while True:
        consumer = KafkaConsumer(bootstrap_servers=list(kafka.servers))
        numbers = consumer.partitions_for_topic(kafka.topic) or set()
        ends = consumer.end_offsets([TopicPartition(kafka.topic, number) for number in numbers]) if numbers else {}
        consumer.close()
        if any(ends.values()):
            return
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_an_unreachable_broker_fails_a_replay_at_once(file: Path) -> None:
    process = start(fresh_settings("127.0.0.1:9"), file)
    assert "Kafka cannot be reached at 127.0.0.1:9" in process.communicate(timeout=60)[1]
    assert process.returncode == 1
