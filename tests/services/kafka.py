"""A real Kafka for tests: the broker named in TIDEWISE_TEST_KAFKA, else a new one on free loopback ports.

Without Java the tests are skipped, except in CI (CI=true), where they fail.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer
from services.databases import missing
from services.one_per_run import kept, shared_service
from services.secured_listeners import SecuredListeners, secured_listeners

from stream.kafka.admin import delete_topics, ensure_topics
from stream.kafka.settings import KafkaSecurity, StreamSettings

# A broker that lives for minutes spends more on optimising and verifying its code than it saves (4.5 s of CPU until it
# answers, 3.2 without), and needs no parallel collector and no counters for others' tools (1 ms of CPU a second).
SHORT_LIVED_JVM = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)
# A broker that waits most of its life: no record each half second to show that the quorum is well, half the heartbeats,
# no metrics for JMX, and the threads that a few clients need. An idle one takes 26 ms of CPU a second, 42 without.
QUIET = """
metadata.max.idle.interval.ms=0
broker.heartbeat.interval.ms=1000
metric.reporters=
num.network.threads=1
num.io.threads=2
background.threads=2
group.coordinator.threads=1
"""
# Heartbeats tell when a broker is dead; two a second are 8 of the 25 ms of CPU a second that an idle broker takes.
NEVER_KILLED = """
broker.heartbeat.interval.ms=10000
broker.session.timeout.ms=60000
"""
CLASSES = "classes.jsa"  # the archive of a used broker's classes: a broker that starts from it takes a third less
RECIPE = Path(__file__).parents[2] / "scripts" / "kafka.sh"
CACHE = RECIPE.parents[1] / ".cache" / "kafka"


class KafkaNode:
    """A broker that can be killed and restarted."""

    def __init__(self, folder: Path, *, properties: str = "", secured: SecuredListeners | None = None) -> None:
        """`properties`: more lines of its configuration; `secured`: more listeners."""
        self._folder = folder
        self.secured = secured
        port, controller_port = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        listeners = f"CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"
        self._environment = os.environ | {
            "KAFKA_PORT": str(port),
            "KAFKA_CONTROLLER_PORT": str(controller_port),
            "KAFKA_INSTANCE": str(folder / "node"),
            "KAFKA_HEAP": "256m",
            "KAFKA_JVM": SHORT_LIVED_JVM,
            "KAFKA_PROPERTIES": QUIET + properties + (secured.properties(listeners) if secured else ""),
        }

    def command(self, name: str, **variables: str) -> None:
        environment = self._environment | variables
        done = subprocess.run([RECIPE, name], env=environment, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, f"kafka.sh {name}: {done.stderr}"

    @property
    def storage(self) -> Path:
        return self._folder / "node" / "data"

    def start(self, storage: Path) -> None:
        """Start with a copy of formatted storage."""
        shutil.copytree(storage, self.storage, ignore=shutil.ignore_patterns(CLASSES))
        self._environment["KAFKA_JVM"] += f" -XX:SharedArchiveFile={storage / CLASSES}"
        self.command("start")

    def remove(self) -> None:
        """End it and delete its files: nobody needs the snapshots of an orderly stop."""
        self.command("kill")
        shutil.rmtree(self._folder)


@dataclass(frozen=True)
class Broker:
    """A broker for many tests, which use different topics and do not kill it."""

    address: str
    secured: SecuredListeners | None  # of a broker of our own, where there is openssl


@contextmanager
def shared_broker(folder: Path, storage: Callable[[], Path]) -> Iterator[Broker]:
    """The broker that TIDEWISE_TEST_KAFKA names, else one for all processes of the run; `folder` is for its name."""

    def start() -> KafkaNode:
        folder = _node_folder()
        secured = secured_listeners(folder, free_ports(3)) if shutil.which("openssl") else None
        node = KafkaNode(folder, properties=NEVER_KILLED, secured=secured)
        node.start(storage())
        return node

    if address := os.environ.get("TIDEWISE_TEST_KAFKA"):
        yield Broker(address, secured=None)
        return
    with shared_service(folder, start=start, stop=KafkaNode.remove) as node:
        yield Broker(node.address, node.secured)


@contextmanager
def kafka_node(storage: Path, *, properties: str = "", secured: SecuredListeners | None = None) -> Iterator[KafkaNode]:
    """A new broker, while the block runs. `storage`: that of `formatted_storage`; `properties`: see `KafkaNode`."""
    node = KafkaNode(_node_folder(), properties=properties, secured=secured)
    try:
        node.start(storage)
        yield node
    finally:
        node.remove()


def require_kafka() -> None:
    """Skip the test where no broker can be started; fail it in CI."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        missing("needs Java 17 and Maven, or a broker's address in TIDEWISE_TEST_KAFKA")


def formatted_storage() -> Path:
    """The storage of a new broker with an archive of its classes, kept in the checkout: 9 s of CPU to make."""
    require_kafka()
    java = Path(shutil.which("java") or "").resolve().stat()
    made_by = (RECIPE.read_text(), SHORT_LIVED_JVM, os.environ.get("KAFKA_JARS"), java.st_size, java.st_mtime_ns)
    CACHE.mkdir(parents=True, exist_ok=True)
    return kept(CACHE / f"storage-{hashlib.sha256(repr(made_by).encode()).hexdigest()[:12]}", _make_storage)


def _make_storage(folder: Path) -> None:
    node = KafkaNode(_node_folder())
    node.command("format")
    shutil.copytree(node.storage, folder)
    archive = node.storage.with_name(CLASSES)
    node.command("start", KAFKA_JVM=f"{SHORT_LIVED_JVM} -XX:ArchiveClassesAtExit={archive}")
    _use(node.address)
    node.command("stop", KAFKA_STOP_TIMEOUT_S="150")
    shutil.move(archive, folder)
    node.remove()


def _use(address: str) -> None:
    """Have a broker do what tests want of it."""
    kafka = fresh_settings(address)
    ensure_topics(kafka)
    producer = KafkaProducer(bootstrap_servers=address)
    producer.send(kafka.topic, b"{}").get()
    producer.close()
    options = {"group_id": kafka.group, "auto_offset_reset": "earliest", "bootstrap_servers": address}
    consumer = KafkaConsumer(kafka.topic, **options)
    next(consumer)
    consumer.commit()
    consumer.close()
    delete_topics(kafka)


def _node_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="tidewise-kafka-"))


def fresh_settings(
    address: str, *, partitions: int = 2, security: KafkaSecurity | None = None, num_replicas: int = 1
) -> StreamSettings:
    """Settings with new names for the topics and the consumer group; `address`: of one broker, or of several."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    return replace(
        StreamSettings(),
        servers=tuple(address.split(",")),
        topic=name,
        dead_letter_topic=f"{name}.dead-letters",
        group=name,
        partitions=partitions,
        replication=num_replicas,
        min_insync_replicas=max(1, num_replicas - 1),
        security=security or KafkaSecurity(),
    )


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
