"""A worker whose use case does nothing: what Faust alone gets through. For `benchmarks.streaming`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from core.ingestion.sources import EventBatch
from stream.kafka.settings import KafkaSettings, WorkerSettings
from stream.messages.codec import Codec
from stream.worker.worker import StreamWorker


class Nothing:
    """Counts events, and prints the rate when the last one has come."""

    def __init__(self, num_events: int) -> None:
        self._left = num_events
        self._num_events = num_events
        self._first_s: float | None = None
        self._offsets: dict[int, int] = {}

    def applied_offset(self, stream: str, partition: int) -> int | None:
        """Nothing was ever applied."""
        return self._offsets.get(partition)

    def forget(self) -> None:
        """Nothing was remembered."""

    def ingest_together(self, batches: Sequence[EventBatch]) -> None:
        """Count."""
        self._first_s = self._first_s or time.perf_counter()
        self._left -= sum(len(batch.events) for batch in batches)
        if self._left <= 0:
            sys.stdout.write(f"{self._num_events / (time.perf_counter() - self._first_s)}\n")
            sys.stdout.flush()
            os._exit(0)


def main() -> None:
    """`python -m benchmarks.streaming.noop_worker SERVER TOPIC NUM_EVENTS`."""
    server, topic, num_events = sys.argv[1:]
    kafka = KafkaSettings(servers=(server,), topic=topic, group=f"{topic}-noop")
    StreamWorker(kafka, WorkerSettings(name="noop"), ingest=Nothing(int(num_events)), codec=Codec()).run()


if __name__ == "__main__":
    main()
