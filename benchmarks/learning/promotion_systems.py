"""What promotions are measured on: `tidewise up`, several `tidewise serve` over one SQLite, or the distributed system.

Independent of requests and of what is promoted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.data_copies import copy_data
from benchmarks.streaming.servers import servers
from stream.kafka.admin import ensure_topics
from tidewise.bootstrap import System, open_system
from tidewise.demo.demo import prepare
from tidewise.processes.children import free_port, running, wait_ready
from tidewise.processes.kafka import kafka_settings
from tidewise.settings.schema import load_settings

TOPIC = "interactions"


@dataclass(frozen=True)
class Stage:
    """Where processes are started: a system that is open here, and the words by which a process finds the same one."""

    system: System
    arguments: Sequence[str]
    folder: Path
    is_distributed: bool

    @contextmanager
    def serving(self, num_apis: int) -> Iterator[list[int]]:
        """The ports of APIs that are ready, beside a worker where events come through Kafka."""
        command = ["serve"] if self.is_distributed or num_apis > 1 else ["up", "--no-train"]
        with ExitStack() as stack:
            if self.is_distributed:
                stack.enter_context(running(["worker", *self.arguments], log=self.folder / "worker.log"))
            ports = []
            for number in range(num_apis):
                ports.append(free_port(0))
                log = self.folder / f"api-{number}.log"
                words = [*command, *self.arguments, "--port", str(ports[-1])]
                child = stack.enter_context(running(words, log=log))
                wait_ready(child, f"http://127.0.0.1:{ports[-1]}", log=log)
            yield ports


@contextmanager
def over_sqlite(given: Path, folder: Path) -> Iterator[Stage]:
    """A copy of a data folder."""
    data = folder / "data"
    copy_data(given, data)
    with open_system(load_settings(overrides={"data.folder": str(data)})) as system:
        yield Stage(system, ["--data", str(data)], folder, is_distributed=False)


@contextmanager
def over_kafka(folder: Path) -> Iterator[Stage]:
    """A Kafka and a PostgreSQL of our own, with the demo's shop in it."""
    folder.chmod(0o755)  # PostgreSQL may run under another account
    with servers(folder) as at:
        settings = at.settings(folder / "data", TOPIC)
        prepare(settings, Console(stderr=True))
        ensure_topics(kafka_settings(settings))
        with open_system(settings) as system:
            yield Stage(system, at.arguments(folder / "data", TOPIC), folder, is_distributed=True)
