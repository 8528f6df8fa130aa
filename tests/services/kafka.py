"""A real Kafka for tests: the one named in TIDEWISE_TEST_KAFKA, else one of our own on free loopback ports.

Without Java the tests skip, except in CI (CI=true), where they fail: a suite that quietly tests nothing is worse.
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

from stream.kafka.settings import KafkaSecurity, KafkaSettings

RECIPE = Path(__file__).parents[2] / "scripts" / "kafka.sh"


class KafkaNode:
    """A broker of our own that can be killed and started again."""

    def __init__(self, folder: Path, *, more: Callable[[str], str] = lambda listeners: "") -> None:
        """`more`: further lines of its configuration, given its listeners."""
        self._folder = folder
        port, controller_port = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        listeners = f"CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"
        self._environment = os.environ | {
            "KAFKA_PORT": str(port),
            "KAFKA_CONTROLLER_PORT": str(controller_port),
            "KAFKA_INSTANCE": str(folder / "node"),
            "KAFKA_HEAP": "256m",
            "KAFKA_PROPERTIES": more(listeners),
        }

    def command(self, name: str) -> None:
        done = subprocess.run([RECIPE, name], env=self._environment, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, f"kafka.sh {name}: {done.stderr}"


@dataclass(frozen=True)
class Broker:
    """A broker for tests. `node` is None where somebody else's was named: it may be used, not killed."""

    address: str
    node: KafkaNode | None


@contextmanager
def kafka_broker() -> Iterator[Broker]:
    """A broker that tests may use, each with topics of its own."""
    named = os.environ.get("TIDEWISE_TEST_KAFKA")
    if named:
        yield Broker(named, None)
        return
    with kafka_node() as node:
        yield Broker(node.address, node)


@contextmanager
def kafka_node(*, more: Callable[[str], str] = lambda listeners: "") -> Iterator[KafkaNode]:
    """A broker of our own, while the block runs."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        reason = "needs Java 17 and Maven, or a broker's address in TIDEWISE_TEST_KAFKA"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="tidewise-kafka-") as folder:
        node = KafkaNode(Path(folder), more=more)
        try:
            node.command("start")
            yield node
        finally:
            node.command("wipe")


def fresh_settings(address: str, *, partitions: int = 2, security: KafkaSecurity | None = None) -> KafkaSettings:
    """Topics and a group that nobody else uses."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    return replace(
        KafkaSettings(),
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
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
