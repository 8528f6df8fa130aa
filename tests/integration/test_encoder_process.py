"""The encoder process: vectors reach the store, a killed child is replaced, an outage is survived."""

import dataclasses
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import psycopg
import pytest
from psycopg import sql
from services import small_shop
from services.postgres import fresh_database

from core.errors import StoreUnavailable
from core.records.stored import UserState
from tidewise.bootstrap import System, open_system
from tidewise.demo.demo import fill
from tidewise.processes.encoder_process import EncoderGone, EncoderProcess
from tidewise.settings.schema import Settings, load_settings
from tidewise.training.learning import train_model

pytestmark = pytest.mark.timeout(300)  # the child has low priority, and a test run leaves it little


@pytest.fixture(scope="module")
def settings(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A worker's settings on PostgreSQL. Kafka is named and never reached."""
    with fresh_database(postgres_server) as url:
        overrides = {
            "data.folder": str(tmp_path_factory.mktemp("data")),
            "database.url": url,
            "kafka.bootstrap_servers": "127.0.0.1:9",
            "model.width": 16,
            "model.text_dim": 16,
            "train.epochs": 1,
        }
        yield load_settings(overrides=overrides, environment={})


@pytest.fixture(scope="module")
def system(settings: Settings) -> Iterator[System]:
    """A system with a small shop and a barely trained model."""
    with open_system(settings) as system:
        fill(system, small_shop.simulated())
        train_model(system, progress=lambda at: None)
        system.snapshots.refresh()
        yield system


@pytest.fixture(scope="module")
def encoder(settings: Settings) -> Iterator[EncoderProcess]:
    """One for the module: a child takes seconds to start. The test that interrupts it is the last that uses it."""
    encoder = EncoderProcess(settings)
    yield encoder
    encoder.stop()


@pytest.fixture(scope="module")
def states(system: System) -> list[UserState]:
    """Twenty users of the shop."""
    user_ids = sorted({event.user_id for event in small_shop.simulated().history})
    with system.store.read() as read:
        states = [read.users.find(user_id) for user_id in user_ids[:20]]
    return [state for state in states if state is not None]


def test_vectors_equal_a_full_encode_and_a_dead_child_is_replaced(
    system: System, encoder: EncoderProcess, states: list[UserState]
) -> None:
    assert encoder.encode(states) == len(states)
    snapshot = system.snapshots.current()
    assert snapshot.model is not None
    with system.store.read() as read:
        for state in states:
            stored = read.vectors.find(
                state, version=snapshot.model.version, binding=snapshot.binding(state.window.history)
            )
            whole = snapshot.model.encoder.encode([state.window.history])[0]
            assert stored is not None
            np.testing.assert_allclose(stored, whole, atol=1e-5)
    assert encoder.child_pid is not None
    os.kill(encoder.child_pid, signal.SIGKILL)
    with pytest.raises(EncoderGone, match="see the worker's log"):
        encoder.encode(states)
    assert encoder.encode(states) == len(states)


def test_the_child_survives_an_unavailable_database(
    encoder: EncoderProcess, states: list[UserState], postgres_server: str, settings: Settings
) -> None:
    encoder.encode(states)
    child_pid = encoder.child_pid
    newer = [dataclasses.replace(state, seq=state.seq + 1) for state in states]
    name = settings.database_url().rpartition("/")[2]
    with refusing_connections(postgres_server, name), pytest.raises(StoreUnavailable, match="PostgreSQL"):
        encoder.encode(newer)
    assert encoder.encode(states) >= 0
    assert encoder.child_pid == child_pid


def test_an_interrupt_ends_a_slow_encode(encoder: EncoderProcess, states: list[UserState]) -> None:
    encoder.encode(states)
    assert encoder.child_pid is not None
    os.kill(encoder.child_pid, signal.SIGSTOP)  # as slow as can be
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(encoder.encode, states)
        encoder.interrupt()
        assert waiting.result(timeout=10.0) == 0
    encoder.stop()


@contextmanager
def refusing_connections(server_url: str, name: str) -> Iterator[None]:
    """PostgreSQL ends the connections to a database and takes no new ones."""
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            admin.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def test_an_interrupt_ends_the_startup_delay(settings: Settings) -> None:
    encoder = EncoderProcess(settings, startup_delay_s=60.0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(encoder.encode, [])
        encoder.interrupt()
        assert waiting.result(timeout=10.0) == 0
    assert encoder.child_pid is None
