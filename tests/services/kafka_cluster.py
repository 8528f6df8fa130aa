"""Three real brokers for tests, configured as in docker-compose.yml: three replicas, a login, passwords from files."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import compose
import compose_kafka
from services.kafka import CLASSES, QUIET, RECIPE, SHORT_LIVED_JVM, free_ports

from stream.kafka.admin import connected_admin
from stream.kafka.settings import KafkaSecurity, StreamSettings

ROOT = Path(__file__).parents[2]
NUM_BROKERS = 3
START_TIMEOUT_S = 180
# The default of 50 partitions for each internal topic, each with three replicas, is most of the work of a short life.
SMALL = "offsets.topic.num.partitions=4\ntransaction.state.log.num.partitions=4"


class KafkaCluster:
    """Brokers that can be killed and started one by one; numbered from 1, as Kafka numbers them."""

    def __init__(self, folder: Path, storage: Path) -> None:
        """`storage`: that of `formatted_storage`; each broker begins with a copy that bears its number."""
        secrets = folder / "secrets"
        self._jvm = f"{SHORT_LIVED_JVM} -XX:SharedArchiveFile={storage / CLASSES}"
        subprocess.run([ROOT / "scripts" / "secrets.sh", secrets], check=True)
        ports = iter(free_ports(2 * NUM_BROKERS))
        self._brokers = compose_kafka.plan(
            compose.read(ROOT / "docker-compose.yml"),
            num_brokers=NUM_BROKERS,
            folder=folder,
            secrets=secrets,
            port=lambda _preferred: next(ports),
        )
        for number, broker in enumerate(self._brokers, 1):
            copy_storage(storage, broker.variables, number=number)
        self.address = ",".join(broker.address for broker in self._brokers)
        password = (secrets / "kafka_password").read_text()
        self.security = KafkaSecurity(protocol="SASL_PLAINTEXT", username="tidewise", password=password)

    def all(self, name: str) -> None:
        """A command of the recipe for all brokers at once: none answers before most of them run."""
        with ThreadPoolExecutor(NUM_BROKERS) as pool:
            list(pool.map(lambda number: self.one(number, name), range(1, NUM_BROKERS + 1)))

    def one(self, number: int, name: str) -> None:
        """A command of the recipe for one broker."""
        variables = {"KAFKA_HEAP": "256m", "KAFKA_JVM": self._jvm, "KAFKA_START_TIMEOUT_S": str(START_TIMEOUT_S)}
        own = self._brokers[number - 1].variables
        properties = {"KAFKA_PROPERTIES": f"{own['KAFKA_PROPERTIES']}\n{SMALL}\n{QUIET}"}
        environment = os.environ | variables | own | properties
        command = [RECIPE, name]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=START_TIMEOUT_S + 60)
        assert done.returncode == 0, f"kafka.sh {name}, broker {number}: {done.stderr}"

    def leader(self, settings: StreamSettings, *, partition: int, killed: int | None = None) -> int:
        """The number of the broker that leads a partition of the topic, as the others than a killed one say."""
        servers = tuple(broker.address for number, broker in enumerate(self._brokers, 1) if number != killed)
        with connected_admin(replace(settings, servers=servers)) as admin:
            partitions = admin.describe_topics([settings.topic])[0]["partitions"]
        [leader] = [one["leader_id"] for one in partitions if one["partition_index"] == partition]
        return int(leader)


def copy_storage(storage: Path, variables: Mapping[str, str], *, number: int) -> None:
    """Give a broker a copy of formatted storage: formatting its own takes a Java program of 3 s of CPU."""
    data = Path(variables["KAFKA_INSTANCE"]) / "data"
    shutil.copytree(storage, data, ignore=shutil.ignore_patterns(CLASSES))
    directory_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    identity = {"version": "1", "node.id": str(number), "cluster.id": variables["KAFKA_CLUSTER_ID"]}
    lines = [f"{name}={value}\n" for name, value in (identity | {"directory.id": directory_id}).items()]
    (data / "meta.properties").write_text("".join(lines))


@contextmanager
def kafka_cluster(storage: Path) -> Iterator[KafkaCluster]:
    """Three new brokers, while the block runs."""
    with tempfile.TemporaryDirectory(prefix="tidewise-kafka-") as folder:
        cluster = KafkaCluster(Path(folder), storage)
        try:
            cluster.all("start")
            yield cluster
        finally:
            cluster.all("kill")
