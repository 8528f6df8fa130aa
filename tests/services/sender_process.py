"""A producer as a process: sends clicks at a rate and exits 0 when Kafka has acknowledged every one.

Of its own process because kafka-python leaves sockets of vain reconnections to the garbage collector, for which the
test that happens to run at that moment would be blamed. Run as `python sender_process.py SETTINGS_JSON COUNT RATE`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from services.streaming import clicks

    from stream.kafka.producer import EventProducer
    from stream.kafka.settings import KafkaSecurity, KafkaSettings
    from stream.replay import Rate, Replay

    given = json.loads(sys.argv[1])
    secrets = KafkaSecurity(**given["security"])
    servers = tuple(given["servers"])
    kafka = KafkaSettings(**(given | {"servers": servers, "security": secrets, "request_timeout_s": 60.0}))
    with EventProducer(kafka, linger_ms=1) as producer:
        Replay(producer, pace=Rate(float(sys.argv[3]))).run(clicks(int(sys.argv[2])))
