"""A worker that applies nothing, to measure the throughput of Faust alone. For `benchmarks.streaming`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from core.ingestion.sources import EventBatch, IngestResult
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
            sys.stdout.write(f"{self._num_events / (time.perf_counter() - self._first_s)}\n")
            sys.stdout.flush()
            os._exit(0)
        return IngestResult([], [], {})


def main() -> None:
    """`python -m benchmarks.streaming.noop_worker SERVER TOPIC NUM_EVENTS`."""
    server, topic, num_events = sys.argv[1:]
    kafka = StreamSettings(servers=(server,), topic=topic, group=f"{topic}-noop")
    StreamWorker(kafka, WorkerSettings(name="noop"), ingestor=CountingIngestor(int(num_events)), codec=Codec()).run()


if __name__ == "__main__":
    main()
