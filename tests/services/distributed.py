"""A distributed system: processes of `tidewise worker` and `tidewise serve` with one Kafka and one PostgreSQL."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from services import small_shop
from services.kafka import fresh_settings

from core.ports.store import Store
from storage import open_store
from stream.kafka.admin import delete_topics, ensure_topics
from stream.kafka.settings import StreamSettings
from tidewise.bootstrap import MODELS_FOLDER, open_system
from tidewise.demo.demo import fill
from tidewise.demo.simulator import simulate_shop
from tidewise.processes.children import free_port, running, wait_ready
from tidewise.settings.schema import CONFIG_NAME


@dataclass
class Distributed:
    """HTTP clients of the APIs, the database, the topics."""

    apis: list[httpx.Client]
    store: Store
    kafka: StreamSettings
    folder: Path

    @contextmanager
    def another_api(self) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
        """One more API process, which may be killed."""
        with _api(self.folder, len(self.apis) + 1) as (client, process):
            yield client, process


@contextmanager
def distributed(
    broker: str, url: str, folder: Path, *, shop: Path, num_workers: int = 2, num_apis: int = 2
) -> Iterator[Distributed]:
    """Serve the small shop and its model; afterwards processes are stopped and topics deleted.

    `shop`: a folder of `small_shop.build`.
    """
    kafka = fresh_settings(broker)
    folder.mkdir()
    (folder / CONFIG_NAME).write_text(small_shop.SETTINGS + _settings(kafka, url))
    _build(folder, shop)
    ensure_topics(kafka)
    with ExitStack() as stack:
        stack.callback(delete_topics, kafka)
        for number in range(1, num_workers + 1):
            log = folder / f"worker-{number}.log"
            stack.enter_context(running(["worker", "--data", str(folder), "--name", f"worker-{number}"], log=log))
        apis = [stack.enter_context(_api(folder, number))[0] for number in range(1, num_apis + 1)]
        yield Distributed(apis, stack.enter_context(closing(open_store(url))), kafka, folder)


@contextmanager
def _api(folder: Path, number: int) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    port, log = free_port(0), folder / f"api-{number}.log"
    address = f"http://127.0.0.1:{port}"
    with running(["serve", "--data", str(folder), "--port", str(port)], log=log) as process:
        wait_ready(process, address, log=log, timeout_s=150.0)
        with httpx.Client(base_url=address, timeout=20.0) as client:
            yield client, process


def _settings(kafka: StreamSettings, url: str) -> str:
    return f"""
[database]
url = "{url}"

[kafka]
bootstrap_servers = "{kafka.servers[0]}"
topic = "{kafka.topic}"
dead_letter_topic = "{kafka.dead_letter_topic}"
group_id = "{kafka.group}"
partitions = {kafka.partitions}
"""


def _build(folder: Path, shop: Path) -> None:
    """Fill the new database with the shop's items and events, and add its model, which names items by their ids."""
    shutil.copytree(shop / MODELS_FOLDER, folder / MODELS_FOLDER)
    with open_system(small_shop.settings_in(shop)) as trained, trained.store.read() as read:
        champion = read.models.champion()
    assert champion is not None
    with open_system(small_shop.settings_in(folder)) as system:
        fill(system, simulate_shop(seed=3, num_users=40, num_items=336, days=20, live_days=1, end_ms=small_shop.END_MS))
        with system.store.transaction() as tx:
            tx.models.save(champion)
            tx.commit()
