"""Fixtures for every folder: databases to test on, and what happens where a service is missing."""

from __future__ import annotations

import gc
import json
import multiprocessing.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from services import postgres
from services.certificates import copy_one_authority
from services.core_coverage import CoverageReport, executed
from services.databases import Database, missing
from services.forked_process import RealPopen, forked_children, real_spawn, server_name
from services.migrated import copied_tables, migrate_new
from services.new_interpreter import Told, tell
from services.one_browser import OneBrowser
from services.one_per_run import made_once, run_folder

from storage import open_store
from storage.migrate import run_migrations

# How long an example takes depends on what else the machine does: that is no failure. `make properties` tries more.
hypothesis.settings.register_profile("tidewise", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "25")))
hypothesis.settings.load_profile("tidewise")

COVERAGE = "core_coverage"  # in what a test process sends at its end
REPORT = pytest.StashKey[CoverageReport]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = CoverageReport()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneBrowser | None:
    return OneBrowser(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what a test process has covered."""
    if executed := getattr(node, "workeroutput", {}).get(COVERAGE):
        node.config.stash[REPORT].add(executed)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send what this process has covered, or fail a run of all tests that has covered too little."""
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput[COVERAGE] = executed()
    elif _runs_all(config) and not config.stash[REPORT].is_enough:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what was covered, unless only some tests were chosen."""
    report = config.stash[REPORT]
    if _runs_all(config) and report.percent is not None:
        terminalreporter.write_line(str(report), red=not report.is_enough)


def _runs_all(config: pytest.Config) -> bool:
    return config.args_source is not pytest.Config.ArgsSource.ARGS and not config.option.keyword


def pytest_collection_finish() -> None:
    """Keep what is imported and collected out of garbage collections, which took a third of the CPU of small tests."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


@pytest.fixture(scope="session", autouse=True)
def _forked_children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands of ours are forks of one process that has imported the product, which the first one starts."""
    with forked_children(server_name(tmp_path_factory)):
        yield


def _sqlite_template(factory: pytest.TempPathFactory) -> Path:
    return made_once(factory, "empty.db", migrate_new)


@pytest.fixture(scope="session", autouse=True)
def _copied_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Databases that a test process makes do not run all migrations again."""
    with copied_tables(lambda: _sqlite_template(tmp_path_factory)):
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """HTTP clients trust one authority: each reads all it trusts, which takes 50 ms of CPU for the usual 140."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.fspath(made_once(tmp_path_factory, "authority.pem", copy_one_authority)))
        yield


@pytest.fixture
def real_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new database runs all migrations."""
    monkeypatch.setattr("storage.migrate.run_migrations", run_migrations)


@pytest.fixture
def real_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and processes of ours start as a user's do, in an interpreter of their own."""
    monkeypatch.setattr(subprocess, "Popen", RealPopen)
    monkeypatch.setattr(multiprocessing.util, "spawnv_passfds", real_spawn)


@pytest.fixture(scope="session")
def new_interpreter(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What an interpreter tells of its imports, one for the whole run: importing torch takes seconds."""
    told: Told = json.loads(made_once(tmp_path_factory, "imports.json", tell).read_text())
    return told


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file: copying it is a hundred times faster than migrating."""
    return _sqlite_template(tmp_path_factory)


@pytest.fixture(scope="session")
def shop_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a small simulated shop with a trained model; made once, copied by whoever changes it."""
    from services import small_shop  # the whole product: nothing for those who run one unit test

    return made_once(tmp_path_factory, "small-shop", small_shop.build)


@pytest.fixture(scope="session")
def postgres_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.SharedServer]:
    """A PostgreSQL server, one for the whole run."""
    try:
        with postgres.shared_server(run_folder(tmp_path_factory) / "postgres") as server:
            yield server
    except postgres.NoPostgres as error:
        missing(str(error))


@pytest.fixture(scope="session")
def postgres_server(postgres_shared: postgres.SharedServer) -> str:
    """The URL of a PostgreSQL server whose user may create databases."""
    return postgres_shared.url


@pytest.fixture(scope="session")
def postgres_migrated(postgres_shared: postgres.SharedServer) -> Iterator[postgres.ReusedDatabase]:
    """A database with our tables, shared by the session; emptied before each test."""
    with postgres.reused_database(postgres_shared) as database:
        yield database


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "tidewise.db"
    shutil.copy(sqlite_template, path)
    with closing(open_store(f"sqlite:///{path}")) as store:
        yield Database(f"sqlite:///{path}", store)


@pytest.fixture
def postgres_database(postgres_migrated: postgres.ReusedDatabase) -> Iterator[Database]:
    postgres_migrated.empty()
    with closing(open_store(postgres_migrated.url)) as store:
        yield Database(postgres_migrated.url, store)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each kind of database in turn."""
    found: Database = request.getfixturevalue(
        {"sqlite": "sqlite_database", "postgresql": "postgres_database"}[request.param]
    )
    return found
