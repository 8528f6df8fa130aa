"""Workers that apply nothing: Faust alone, or all of a worker but ingestion. For `benchmarks.streaming`.

    python -m benchmarks.streaming.noop_worker SERVER TOPIC NUM_EVENTS faust|worker

Faust alone is an agent that iterates over the events of its stream, raw bytes, with the settings of a worker. A worker
takes records from Faust's consumer itself, and decodes them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mode.loop

from core.ingestion.sources import EventBatch, IngestResult
from stream.kafka.faust_app import make_app, make_runner, raw_topic
from stream.kafka.settings import StreamSettings, WorkerSettings
from stream.messages.codec import Codec
from stream.worker.worker import StreamWorker


class CountingIngestor:
    """Counts events, and prints the rate after the last one."""

    def __init__(self, num_events: int) -> None:
        self._num_remaining = num_events
        self._num_events = num_events
        self._first_s: float | None = None
        self._offsets: dict[int, int] = {}

    def applied_offset(self, stream: str, partition: int) -> int | None:
        """No offset is ever applied."""
        return self._offsets.get(partition)

    def adopt_log(self, stream: str, log_id: str) -> bool:
        """Every log is the one whose offsets are known."""
        return False

    def ingest_together(self, batches: Sequence[EventBatch]) -> IngestResult:
        """Count events."""
        self._first_s = self._first_s or time.perf_counter()
        self._num_remaining -= sum(len(batch.events) for batch in batches)
        if self._num_remaining <= 0:
            _end(self._num_events / (time.perf_counter() - self._first_s))
        return IngestResult([], [], {})


def iterate(kafka: StreamSettings, num_events: int) -> None:
    """Iterate over a topic in an agent of Faust, and print the rate after the last event."""
    mode.loop.use("uvloop")
    with tempfile.TemporaryDirectory() as folder:
        app = make_app(kafka, WorkerSettings(name="noop"), data_dir=Path(folder))
        app.conf.stream_buffer_maxsize = 65_536  # at 4,096 a full buffer halves the throughput

        async def count(stream: Any) -> None:
            first_s, num_remaining = 0.0, num_events
            async for _event in stream.events():
                first_s = first_s or time.perf_counter()
                num_remaining -= 1
                if not num_remaining:
                    _end(num_events / (time.perf_counter() - first_s))

        app.agent(raw_topic(app, kafka.topic), concurrency=1, name="noop")(count)
        make_runner(app).execute_from_commandline()


def _end(rate: float) -> None:
    sys.stdout.write(f"{rate}\n")
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    """Run until all events were received."""
    server, topic, num_events, how = sys.argv[1:]
    kafka = StreamSettings(servers=(server,), topic=topic, group=f"{topic}-{how}")
    if how == "faust":
        iterate(kafka, int(num_events))
    else:
        ingestor = CountingIngestor(int(num_events))
        StreamWorker(kafka, WorkerSettings(name="noop"), ingestor=ingestor, codec=Codec()).run()


if __name__ == "__main__":
    main()
