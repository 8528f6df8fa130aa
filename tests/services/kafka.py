"""A real Kafka for tests: the broker named in TIDEWISE_TEST_KAFKA, else a new one on free loopback ports.

Without Java the tests are skipped, except in CI (CI=true), where they fail.
"""

from __future__ import annotations

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

import pytest

from stream.kafka.settings import KafkaSecurity, StreamSettings

# A broker that lives for minutes spends more on optimising its code than it saves, and needs no parallel collector.
SHORT_LIVED_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
RECIPE = Path(__file__).parents[2] / "scripts" / "kafka.sh"


class KafkaNode:
    """A broker that can be killed and restarted."""

    def __init__(self, folder: Path, *, properties: Callable[[str], str] = lambda listeners: "") -> None:
        """`properties`: more lines of its configuration, as a function of its listeners."""
        self._folder = folder
        port, controller_port = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        listeners = f"CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"
        self._environment = os.environ | {
            "KAFKA_PORT": str(port),
            "KAFKA_CONTROLLER_PORT": str(controller_port),
            "KAFKA_INSTANCE": str(folder / "node"),
            "KAFKA_HEAP": "256m",
            "KAFKA_JVM": SHORT_LIVED_JVM,
            "KAFKA_PROPERTIES": properties(listeners),
        }

    def command(self, name: str) -> None:
        done = subprocess.run([RECIPE, name], env=self._environment, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, f"kafka.sh {name}: {done.stderr}"


@dataclass(frozen=True)
class Broker:
    """A broker for tests. `node` is None where TIDEWISE_TEST_KAFKA names it: it must not be killed."""

    address: str
    node: KafkaNode | None


@contextmanager
def kafka_broker() -> Iterator[Broker]:
    """A broker for many tests, which use different topics."""
    address = os.environ.get("TIDEWISE_TEST_KAFKA")
    if address:
        yield Broker(address, None)
        return
    with kafka_node() as node:
        yield Broker(node.address, node)


@contextmanager
def kafka_node(*, properties: Callable[[str], str] = lambda listeners: "") -> Iterator[KafkaNode]:
    """A new broker, while the block runs."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        reason = "needs Java 17 and Maven, or a broker's address in TIDEWISE_TEST_KAFKA"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="tidewise-kafka-") as folder:
        node = KafkaNode(Path(folder), properties=properties)
        try:
            node.command("start")
            yield node
        finally:
            node.command("wipe")


def fresh_settings(address: str, *, partitions: int = 2, security: KafkaSecurity | None = None) -> StreamSettings:
    """Settings with new names for the topics and the consumer group."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    return replace(
        StreamSettings(),
        servers=(address,),
        topic=name,
        dead_letter_topic=f"{name}.dead-letters",
        group=name,
        partitions=partitions,
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
