"""One worker as a process, for tests that kill it: real Faust, real ingest, a SQLite file.

Run as `python worker_process.py DATABASE SETTINGS_JSON NAME SESSION_TIMEOUT_S`.
"""

from __future__ import annotations

import json
import logging
import sys

from core.events.history import WindowShape
from core.events.interactions import EventTypes
from core.ingestion.ingest import Ingestor
from storage import open_store
from stream.kafka.admin import ensured_partitions
from stream.kafka.producer import DeadLetterTopic
from stream.kafka.settings import KafkaSecurity, StreamSettings, WorkerSettings
from stream.messages.codec import Codec
from stream.worker.worker import StreamWorker

SHAPE = WindowShape(8, 4)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    url, options = sys.argv[1], json.loads(sys.argv[2])
    kafka = StreamSettings(
        **(options | {"servers": tuple(options["servers"]), "security": KafkaSecurity(**options["security"])})
    )
    types = EventTypes()
    store = open_store(url)
    dead_letter_topic = DeadLetterTopic(kafka)
    try:
        StreamWorker(
            kafka,
            WorkerSettings(name=sys.argv[3], stall_timeout_s=30.0, session_timeout_s=float(sys.argv[4])),
            ingestor=Ingestor(store, types=types, shape=SHAPE),
            codec=Codec(types=types, partitions=ensured_partitions(kafka)),
            publish_dead_letters=dead_letter_topic,
        ).run()
    finally:
        dead_letter_topic.close()
        store.close()


if __name__ == "__main__":
    main()
