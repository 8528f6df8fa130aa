"""`store`: each implementation of `core.ports.store.Store`, the fake included."""

from __future__ import annotations

import pytest
from doubles import MemoryStore

from core.ports.store import Store


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/contract/test_store_machine.py --machine-steps 1000000`."""
    parser.addoption("--machine-steps", type=int, metavar="N", help="steps of the state machine on each store")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore()
    name = {"sqlite": "sqlite_database", "postgresql": "postgres_database"}[request.param]
    store: Store = request.getfixturevalue(name).store
    return store
