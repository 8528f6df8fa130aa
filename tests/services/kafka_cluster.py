"""Three real brokers for tests, configured as in docker-compose.yml: three replicas, a login, passwords from files."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import compose
import compose_kafka
from services.kafka import RECIPE, SHORT_LIVED_JVM, free_ports, require_kafka

from stream.kafka.admin import connected_admin
from stream.kafka.settings import KafkaSecurity, StreamSettings

ROOT = Path(__file__).parents[2]
NUM_BROKERS = 3
START_TIMEOUT_S = 180
# The default of 50 partitions for each internal topic, each with three replicas, is most of the work of a short life.
SMALL = "offsets.topic.num.partitions=4\ntransaction.state.log.num.partitions=4"


class KafkaCluster:
    """Brokers that can be killed and started one by one; numbered from 1, as Kafka numbers them."""

    def __init__(self, folder: Path) -> None:
        secrets = folder / "secrets"
        subprocess.run([ROOT / "scripts" / "secrets.sh", secrets], check=True)
        ports = iter(free_ports(2 * NUM_BROKERS))
        self._brokers = compose_kafka.plan(
            compose.read(ROOT / "docker-compose.yml"),
            num_brokers=NUM_BROKERS,
            folder=folder,
            secrets=secrets,
            port=lambda _preferred: next(ports),
        )
        self.address = ",".join(broker.address for broker in self._brokers)
        password = (secrets / "kafka_password").read_text()
        self.security = KafkaSecurity(protocol="SASL_PLAINTEXT", username="tidewise", password=password)

    def all(self, name: str) -> None:
        """A command of the recipe for all brokers at once: none answers before most of them run."""
        with ThreadPoolExecutor(NUM_BROKERS) as pool:
            list(pool.map(lambda number: self.one(number, name), range(1, NUM_BROKERS + 1)))

    def one(self, number: int, name: str) -> None:
        """A command of the recipe for one broker."""
        variables = {"KAFKA_HEAP": "256m", "KAFKA_JVM": SHORT_LIVED_JVM, "KAFKA_START_TIMEOUT_S": str(START_TIMEOUT_S)}
        own = self._brokers[number - 1].variables
        properties = {"KAFKA_PROPERTIES": f"{own['KAFKA_PROPERTIES']}\n{SMALL}"}
        environment = os.environ | variables | own | properties
        command = [RECIPE, name]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=START_TIMEOUT_S + 60)
        assert done.returncode == 0, f"kafka.sh {name}, broker {number}: {done.stderr}"

    def leader(self, settings: StreamSettings, *, partition: int) -> int:
        """The number of the broker that leads a partition of the topic."""
        with connected_admin(settings) as admin:
            partitions = admin.describe_topics([settings.topic])[0]["partitions"]
        [leader] = [one["leader_id"] for one in partitions if one["partition_index"] == partition]
        return int(leader)


@contextmanager
def kafka_cluster() -> Iterator[KafkaCluster]:
    """Three new brokers, while the block runs."""
    require_kafka()
    with tempfile.TemporaryDirectory(prefix="tidewise-kafka-") as folder:
        cluster = KafkaCluster(Path(folder))
        try:
            cluster.all("start")
            yield cluster
        finally:
            cluster.all("kill")
