"""`tidewise replay --kafka` as a process, the file that it sends, and what then is in the topic."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
from kafka import KafkaConsumer, TopicPartition

from stream.kafka.settings import StreamSettings

TIME_S = 1_700_000_000
NUM_EVENTS = 600


def log_file(folder: Path) -> Path:
    """600 events of 20 users, two seconds apart, and an invalid line."""
    path = folder / "log.csv"
    rows = [f"user-{n % 20},item-{n % 7},{TIME_S + 2 * n}" for n in range(600)]
    path.write_text("\n".join(["user,item,time", *rows, "user-1,,x"]) + "\n")
    return path


def start_replay(kafka: StreamSettings, file: Path, *options: str) -> subprocess.Popen[str]:
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


def await_message(kafka: StreamSettings) -> None:
    deadline_s = time.monotonic() + 60.0
    with closing(KafkaConsumer(bootstrap_servers=list(kafka.servers))) as consumer:
        while not _has_message(consumer, kafka.topic):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)


def _has_message(consumer: KafkaConsumer, topic: str) -> bool:
    numbers = consumer.partitions_for_topic(topic) or set()
    return any(consumer.end_offsets([TopicPartition(topic, number) for number in numbers]).values() if numbers else ())
