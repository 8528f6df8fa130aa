"""New Kafka and PostgreSQL servers on this machine, for benchmarks of the distributed system."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.local_postgres import PostgresServer, find_binaries
from stream.kafka.settings import StreamSettings
from tidewise.processes.children import free_port
from tidewise.settings.schema import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Servers:
    """The addresses of a Kafka and a PostgreSQL."""

    kafka: str
    postgres: str
    partitions: int = 4

    def settings(self, folder: Path, topic: str) -> Settings:
        """The settings of processes on these servers, with their own topic and consumer group."""
        url = self.postgres.replace("postgresql://", "postgresql+psycopg://")
        overrides = {
            "data.folder": str(folder),
            "database.url": url,
            "kafka.bootstrap_servers": self.kafka,
            "kafka.partitions": self.partitions,
            "train.epochs": 1,  # quality does not matter here
        }
        return load_settings(overrides={**overrides, "kafka.topic": topic, "kafka.group_id": topic}, environment={})

    def arguments(self, folder: Path, topic: str) -> list[str]:
        """The same settings as command-line arguments."""
        url = self.postgres.replace("postgresql://", "postgresql+psycopg://")
        settings = {
            "database.url": url,
            "kafka.bootstrap_servers": self.kafka,
            "kafka.topic": topic,
            "kafka.group_id": topic,
        }
        settings["kafka.partitions"] = str(self.partitions)
        options = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        return ["--data", str(folder), *options]


@contextmanager
def servers(folder: Path, *, partitions: int = 4) -> Iterator[Servers]:
    """Start both servers, and stop them after the block."""
    port = free_port(0)
    environment = {**os.environ, "KAFKA_PORT": str(port), "KAFKA_CONTROLLER_PORT": str(free_port(0))}
    environment["KAFKA_INSTANCE"] = str(folder / "kafka")
    command = [str(ROOT / "scripts" / "kafka.sh")]
    subprocess.run([*command, "start"], env=environment, check=True, stdout=subprocess.DEVNULL)
    postgres = PostgresServer(folder / "postgres", binaries=find_binaries(), port=free_port(0))
    try:
        postgres.folder.mkdir()
        postgres.initialise()
        postgres.start()
        yield Servers(f"127.0.0.1:{port}", postgres.url, partitions)
    finally:
        postgres.stop()
        subprocess.run([*command, "stop"], env=environment, check=True, stdout=subprocess.DEVNULL)


def kafka_of(at: Servers, folder: Path, topic: str) -> StreamSettings:
    """The Kafka settings for a topic."""
    from tidewise.processes.kafka import kafka_settings

    return replace(kafka_settings(at.settings(folder, topic)), request_timeout_s=30.0)
