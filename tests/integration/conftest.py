"""Real services for integration tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from services.kafka import Broker, KafkaNode, formatted_storage, kafka_node, shared_broker
from services.one_per_run import run_folder


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, kafka_storage: Callable[[], Path]) -> Iterator[Broker]:
    """A real Kafka, one for the whole run; skips without Java on a laptop, fails in CI."""
    with shared_broker(run_folder(tmp_path_factory) / "kafka", kafka_storage) as broker:
        yield broker


@pytest.fixture(scope="module")
def own_broker(kafka_storage: Callable[[], Path]) -> Iterator[KafkaNode]:
    """A broker of one module, for tests that kill it; an idle one takes a second of CPU a minute."""
    with kafka_node(kafka_storage()) as node:
        yield node


@pytest.fixture(scope="session")
def kafka_storage() -> Callable[[], Path]:
    """Finds the formatted storage that new brokers begin with; makes it where there is none."""
    return formatted_storage
