"""Random sequences of all use cases on each store: `--machine-steps N` runs N steps instead of a few hundred."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

import pytest
from doubles import MemoryStore
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from services import postgres
from store_machine import StoreMachine

from core.ports.store import Store
from storage import copies, open_store

STEPS_OF_A_RUN = 100
FEW_STEPS = {"memory": 1500, "sqlite": 750, "postgresql": 250}


class MemoryMachine(StoreMachine):
    """Over the store in memory."""

    def open(self) -> MemoryStore:
        return MemoryStore()

    def backup(self) -> MemoryStore:
        assert isinstance(self.store, MemoryStore)
        return self.store.copy()

    def restored(self, saved: MemoryStore) -> MemoryStore:
        return saved.copy()


class SqliteMachine(StoreMachine):
    """Over SQLite files, each a copy of an empty one."""

    template: ClassVar[Path]
    folder: ClassVar[Path]

    def open(self) -> Store:
        return self.restored(self.template)

    def backup(self) -> Path:
        path = Path(mkdtemp(dir=self.folder)) / "backup"
        copies.dump(self.url, path)
        return path

    def restored(self, saved: Path) -> Store:
        self.url = f"sqlite:///{mkdtemp(dir=self.folder)}/tidewise.db"
        copies.load(saved, self.url)
        return open_store(self.url)


class PostgresMachine(StoreMachine):
    """Over one PostgreSQL database, emptied for each run; without backups, which would take most of the time."""

    database: ClassVar[postgres.ReusedDatabase]

    def open(self) -> Store:
        self.database.empty()
        return open_store(self.database.url)


def run(machine: type[StoreMachine], num_steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, num_steps // STEPS_OF_A_RUN),
            stateful_step_count=STEPS_OF_A_RUN,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{machine.__name__}: {machine.num_steps:,} steps")


@pytest.fixture
def num_steps(request: pytest.FixtureRequest) -> int | None:
    """The number of the command line."""
    number = request.config.getoption("--machine-steps", default=None)
    return None if number is None else int(number)


def test_all_use_cases_in_any_order_in_memory(num_steps: int | None) -> None:
    run(MemoryMachine, num_steps or FEW_STEPS["memory"])


def test_all_use_cases_in_any_order_on_sqlite(sqlite_template: Path, tmp_path: Path, num_steps: int | None) -> None:
    SqliteMachine.template, SqliteMachine.folder = sqlite_template, tmp_path
    run(SqliteMachine, num_steps or FEW_STEPS["sqlite"])


def test_all_use_cases_in_any_order_on_postgresql(
    postgres_migrated: postgres.ReusedDatabase, num_steps: int | None
) -> None:
    PostgresMachine.database = postgres_migrated
    run(PostgresMachine, num_steps or FEW_STEPS["postgresql"])
