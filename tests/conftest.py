"""Fixtures for every folder: databases to test on, and what happens where a service is missing."""

from __future__ import annotations

import gc
import multiprocessing.util
import os
import shutil
import subprocess
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import hypothesis
import pytest
from services import postgres
from services.databases import Database, missing
from services.forked_process import RealPopen, forked_children, real_spawn, server_name
from services.migrated import copied_tables, migrate_new
from services.one_per_run import made_once, run_folder

from storage import open_store
from storage.migrate import run_migrations

# How long an example takes depends on what else the machine does: that is no failure. `make properties` tries more.
hypothesis.settings.register_profile("tidewise", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "25")))
hypothesis.settings.load_profile("tidewise")

# Where coverage of `core` is measured: in its own tests, and in those that reach what these don't. The tracer doubles
# the time of most tests, and all others together reach three lines in a thousand more.
MEASURED = (
    "tests/unit/core/",
    *(f"tests/contract/test_store_{name}.py" for name in ("experiments", "scenarios", "user_attributes")),
    *(f"tests/unit/docs/test_{name}.py" for name in ("commands", "metrics")),
    "tests/unit/model/evaluation/test_prequential.py",
    *(
        f"tests/unit/serving/routes/test_{name}.py"
        for name in ("dead_letters", "experiments", "models", "segments", "users")
    ),
    "tests/unit/serving/runtime/test_lag_recorder.py",
    "tests/unit/serving/test_api_docs.py",
)

# Where fixtures make for each test what measured tests make too: tracing them adds half to their time.
SAME_FIXTURES = ("tests/unit/serving/routes/",)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Trace nothing in the process that hands out tests to others."""
    if session.config.pluginmanager.hasplugin("dsession"):
        _trace(session.config, is_wanted=False)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Trace not even the fixtures of tests whose fixtures others have too."""
    if _is_measured(item) or not item.nodeid.startswith(SAME_FIXTURES):
        return (yield)
    return (yield from _untraced(item.config))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Measure the tests that count, and the fixtures of others."""
    if _is_measured(item) or item.nodeid.startswith(SAME_FIXTURES):
        return (yield)
    return (yield from _untraced(item.config))


def _is_measured(item: pytest.Item) -> bool:
    return item.nodeid.startswith(MEASURED) and not item.get_closest_marker("untraced")


def _untraced(config: pytest.Config) -> Generator[None, object, object]:
    _trace(config, is_wanted=False)
    try:
        return (yield)
    finally:
        _trace(config, is_wanted=True)


def _trace(config: pytest.Config, *, is_wanted: bool) -> None:
    """Start or stop measuring coverage in this process, if it is measured at all (`--no-cov`: it is not)."""
    plugin = config.pluginmanager.getplugin("_cov")
    if plugin and plugin.cov_controller:
        (plugin.cov_controller.resume if is_wanted else plugin.cov_controller.pause)()


def pytest_collection_finish() -> None:
    """Keep what is imported and collected out of garbage collections, which took a third of the CPU of small tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


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
def postgres_migrated(postgres_shared: postgres.SharedServer) -> Iterator[str]:
    """The URL of a database with our tables, shared by the session; emptied before each test."""
    with postgres.fresh_database(postgres_shared.url, template=postgres_shared.template) as url:
        yield url


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "tidewise.db"
    shutil.copy(sqlite_template, path)
    with closing(open_store(f"sqlite:///{path}")) as store:
        yield Database(f"sqlite:///{path}", store)


@pytest.fixture
def postgres_database(postgres_migrated: str) -> Iterator[Database]:
    postgres.empty(postgres_migrated)
    with closing(open_store(postgres_migrated)) as store:
        yield Database(postgres_migrated, store)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each kind of database in turn."""
    found: Database = request.getfixturevalue(
        {"sqlite": "sqlite_database", "postgresql": "postgres_database"}[request.param]
    )
    return found
