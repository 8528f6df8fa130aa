"""A producer process: sends clicks at a rate, and exits with 0 when Kafka has acknowledged all of them.

A process of its own, because kafka-python leaves the sockets of failed connections to the garbage collector, whose
warning would fail an unrelated test. Run as `python sender_process.py SETTINGS_JSON COUNT RATE`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from services.streaming import clicks

    from stream.kafka.producer import EventProducer
    from stream.kafka.settings import KafkaSecurity, StreamSettings
    from stream.replay import Rate, Replay

    options = json.loads(sys.argv[1])
    security = KafkaSecurity(**options["security"])
    servers = tuple(options["servers"])
    kafka = StreamSettings(**(options | {"servers": servers, "security": security, "request_timeout_s": 60.0}))
    with EventProducer(kafka, linger_ms=1) as producer:
        Replay(producer, pace=Rate(float(sys.argv[3]))).run(clicks(int(sys.argv[2])))
