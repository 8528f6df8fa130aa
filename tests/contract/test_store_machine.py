"""Random sequences of all use cases on each store: `--machine-steps N` runs N steps instead of a few hundred."""

from __future__ import annotations

from contextlib import ExitStack
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


class MemoryMachine(StoreMachine):
    """Over the store in memory."""

    few_steps = 1500

    def open(self) -> MemoryStore:
        return MemoryStore()

    def backup(self) -> MemoryStore:
        assert isinstance(self.store, MemoryStore)
        return self.store.copy()

    def restored(self, saved: MemoryStore) -> MemoryStore:
        return saved.copy()


class SqliteMachine(StoreMachine):
    """Over SQLite files, each a copy of an empty one."""

    few_steps = 750
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
    """Over one PostgreSQL database, emptied for each run; each restored backup is a database of its own."""

    few_steps = 250
    between_backups = 40  # pg_dump, a new database and pg_restore take the time of a hundred steps
    database: ClassVar[postgres.ReusedDatabase]
    server_url: ClassVar[str]
    folder: ClassVar[Path]

    def open(self) -> Store:
        self.url, self.restored_databases = self.database.url, ExitStack()
        self.database.empty()
        return open_store(self.url)

    def backup(self) -> Path:
        path = Path(mkdtemp(dir=self.folder)) / "backup"
        copies.dump(self.url, path)
        return path

    def restored(self, saved: Path) -> Store:
        self.url = self.restored_databases.enter_context(postgres.fresh_database(self.server_url))
        copies.load(saved, self.url)
        return open_store(self.url)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            if hasattr(self, "restored_databases"):
                self.restored_databases.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> type[StoreMachine]:
    if request.param == "memory":
        return MemoryMachine
    if request.param == "sqlite":
        SqliteMachine.template, SqliteMachine.folder = request.getfixturevalue("sqlite_template"), tmp_path
        return SqliteMachine
    PostgresMachine.database = request.getfixturevalue("postgres_migrated")
    PostgresMachine.server_url, PostgresMachine.folder = request.getfixturevalue("postgres_server"), tmp_path
    return PostgresMachine


def test_all_use_cases_in_any_order(machine: type[StoreMachine], request: pytest.FixtureRequest) -> None:
    num_steps = request.config.getoption("--machine-steps", default=None) or machine.few_steps
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
    print(f"{machine.__name__}: {machine.num_steps:,} steps, {machine.num_restored:,} of them restored a backup")


def test_use_cases_go_on_after_a_restored_backup(machine: type[StoreMachine]) -> None:
    run = machine()
    run.begin()
    run.post([("ann", "tea", "click", 0, None), ("bob", "mug", "purchase", 1, 4.0)], "api-1")
    run.publish([("ann", "lamp", "click", 2, None), ("ann", "mug", "dislike", 3, None)])
    run.consume(0, 0, 1)
    run.set_attribute("ann", "age", 2, patched=False)
    run.put_item("tea", hidden=False)
    run.promote("m1")
    run.save()
    run.consume(0, 0, 1)
    run.merge("ann", "guest")
    run.put_item("tea", hidden=True)
    run.promote("m2")
    run.erase("bob")
    run.restore()
    run.check()
    # Users, items and writers get new keys, and the worker reads what the backup doesn't hold.
    run.consume(0, 1, 2)
    run.post([("visitor", "rope", "click", 1, None), ("guest", "mug", "rating", 2, 1.0)], "api-2")
    run.put_item("rope", hidden=True)
    run.merge("bob", "visitor")
    run.promote("m3")
    run.roll_back()
    run.teardown()
