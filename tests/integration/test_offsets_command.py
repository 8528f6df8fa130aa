"""`tidewise offsets` on a real Kafka, where the log and the database do not belong together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from services.kafka import Broker
from services.streaming import SHAPE, Streaming, assert_counted_once, clicks, send, streaming
from typer.testing import CliRunner

from core.events.interactions import EventTypes
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import StreamSource
from stream.messages.partitioning import partition_of
from tidewise.cli import app


@pytest.fixture
def stream(broker: Broker, database: Any, tmp_path: Path) -> Iterator[Streaming]:
    """Ten events of one user in partition 0 or 1 of a fresh topic; the worker is not started."""
    with streaming(broker.address, database.url, database.store, tmp_path) as stream:
        send(stream.kafka, clicks(10, users=1))
        yield stream


PARTITION = partition_of("user-0", num_partitions=2)


def run(stream: Streaming, url: str, *arguments: str, answer: str | None = None) -> Result:
    shape = {"window.size": SHAPE.size, "window.step": SHAPE.step}
    options = {"database.url": url, "kafka.topic": stream.kafka.topic, **shape}
    settings = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    address = ["--kafka", stream.kafka.servers[0]]
    return CliRunner().invoke(app, ["offsets", *arguments, *address, *settings], input=answer)


def set_applied_offset(stream: Streaming, offset: int) -> None:
    """Store an applied offset, without events."""
    ingestor = Ingestor(stream.store, types=EventTypes(), shape=SHAPE)
    ingestor.ingest([], StreamSource(stream.kafka.topic, PARTITION, [], 0, offset))


def show(stream: Streaming, url: str) -> dict[str, Any]:
    result = run(stream, url, "show", "--json")
    partition: dict[str, Any] = json.loads(result.stdout)[PARTITION]
    return partition


def test_a_stopped_worker_continues_at_the_offset_that_was_set(stream: Streaming, database: Any) -> None:
    set_applied_offset(stream, 999)
    stream.worker.start()
    assert stream.worker.wait() != 0
    assert f"`tidewise offsets set --partition {PARTITION} --to earliest`" in stream.worker.log
    assert show(stream, database.url)["problem"] == "the log ends at 10: it is not the log that the database has read"
    result = run(stream, database.url, "set", "--partition", str(PARTITION), "--to", "earliest", "--yes")
    assert result.exit_code == 0, result.output
    assert "10 offsets are read again" in result.stderr
    assert show(stream, database.url)["problem"] is None
    stream.worker.start()
    stream.await_events(10)
    assert_counted_once(stream.store, clicks(10, users=1))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_events_read_again_after_offsets_set_count_once(stream: Streaming, database: Any) -> None:
    stream.worker.start()
    stream.await_events(10)
    result = run(stream, database.url, "set", "--partition", str(PARTITION), "--to", "3", "--yes")
    assert result.exit_code == 0, result.output
    send(stream.kafka, clicks(5, users=1, first=10))
    stream.await_events(15)
    assert_counted_once(stream.store, clicks(15, users=1))
    assert stream.offsets()[PARTITION] == 14


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nothing_changes_without_confirmation(stream: Streaming, database: Any) -> None:
    result = run(stream, database.url, "set", "--partition", str(PARTITION), "--to", "latest", answer="n\n")
    assert result.exit_code == 1
    assert "10 offsets that the log holds are never applied" in result.stderr
    assert "Nothing changed." in result.stderr
    assert stream.offsets() == {}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--partition", "7", "--to", "earliest"), "wanted one of .*, 0 to 1, got 7"),
        (("--partition", str(PARTITION), "--to", "soon"), "wanted earliest, latest or an offset, got 'soon'"),
        (("--partition", str(PARTITION), "--to", "11"), "wanted an offset that the log holds, 0 to 10, got 11"),
    ],
)
def test_invalid_partitions_and_offsets_are_refused(
    stream: Streaming, database: Any, arguments: tuple[str, ...], reason: str
) -> None:
    result = run(stream, database.url, "set", *arguments, "--yes")
    assert result.exception is not None
    with pytest.raises(type(result.exception), match=reason):
        raise result.exception
