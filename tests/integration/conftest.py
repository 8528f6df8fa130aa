"""Real services for integration tests, one of each per run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from services.kafka import Broker, kafka_broker


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A real Kafka; skips without Java on a laptop, fails in CI."""
    with kafka_broker() as broker:
        yield broker
