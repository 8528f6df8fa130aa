"""What runs beside requests: periodic work, and the training of a first model."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Sequence
from queue import Queue
from typing import Any

import pytest
from doubles import MemoryStore

from core.errors import StoreUnavailable
from core.history import WindowShape
from core.ingest import Ingestor, RequestSource
from core.interactions import EventTypes, Interaction
from core.ports import ModelRecord
from tidewise import background
from tidewise.background import FirstTraining, Periodic
from tidewise.pools import POOL_VARIABLES

NEVER_S = 3600.0
PATIENCE_S = 20.0


def test_a_nudge_brings_the_next_call_at_once() -> None:
    calls: Queue[int] = Queue()
    periodic = Periodic("test", lambda: calls.put(1), period_s=NEVER_S)
    periodic.start()
    try:
        periodic.nudge()
        assert calls.get(timeout=PATIENCE_S) == 1
    finally:
        periodic.stop()


@pytest.mark.parametrize("error", [StoreUnavailable("away"), RuntimeError("a fault")])
def test_a_failing_call_is_logged_and_the_next_one_comes(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    calls: Queue[int] = Queue()

    def work() -> None:
        calls.put(1)
        raise error

    periodic = Periodic("renewal", work, period_s=0.001)
    with caplog.at_level(logging.ERROR):
        periodic.start()
        try:
            assert [calls.get(timeout=PATIENCE_S) for _ in range(2)] == [1, 1]
        finally:
            periodic.stop()
    assert any("renewal" in record.getMessage() for record in caplog.records)


def test_stopping_waits_for_the_call_in_progress() -> None:
    finished: list[int] = []
    entered: Queue[int] = Queue()
    proceed: Queue[int] = Queue()

    def work() -> None:
        entered.put(1)
        proceed.get(timeout=PATIENCE_S)
        finished.append(1)

    periodic = Periodic("test", work, period_s=NEVER_S)
    periodic.start()
    periodic.nudge()
    entered.get(timeout=PATIENCE_S)
    proceed.put(1)
    periodic.stop()
    assert finished == [1]


class RecordedChild:
    """A child process that runs until it is told to end."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.terminated = False

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.terminated = True
        self.code = -15

    def wait(self) -> None:
        assert self.code is not None


class Children:
    """Stands for `subprocess.Popen`: remembers command lines and environments."""

    def __init__(self) -> None:
        self.started: list[RecordedChild] = []
        self.commands: list[Sequence[str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(self, command: Sequence[str], *, env: dict[str, str], **_: Any) -> RecordedChild:
        self.commands.append(command)
        self.environments.append(env)
        self.started.append(RecordedChild())
        return self.started[-1]


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Children:
    children = Children()
    monkeypatch.setattr(background.subprocess, "Popen", children)
    assert subprocess.Popen is children
    return children


@pytest.fixture
def grow() -> tuple[MemoryStore, Callable[[int], None]]:
    """A store, and a way to bring it to so many events."""
    store = MemoryStore()
    ingestor = Ingestor(store, types=EventTypes(), shape=WindowShape())

    def to(num_events: int) -> None:
        events = [
            Interaction(f"e{number}", "ann", "x", "click", 1_700_000_000_000 + number) for number in range(num_events)
        ]
        ingestor.ingest(events, RequestSource("test"))

    return store, to


def test_training_begins_when_enough_events_exist_and_only_then(
    children: Children, grow: tuple[MemoryStore, Callable[[int], None]]
) -> None:
    store, to = grow
    training = FirstTraining(store, min_events=10, arguments=["--set", "a.b=c"], variables={"EXTRA": "1"})
    to(9)
    training.check()
    assert not training.is_training
    to(10)
    training.check()
    assert training.is_training
    assert list(children.commands[0][1:]) == ["-m", "tidewise", "train", "--child", "--set", "a.b=c"]
    assert children.environments[0]["EXTRA"] == "1"


def test_the_child_does_not_inherit_the_servers_thread_limits(
    children: Children, grow: tuple[MemoryStore, Callable[[int], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, to = grow
    for name in POOL_VARIABLES:
        monkeypatch.setenv(name, "1")
    to(10)
    FirstTraining(store, min_events=10, arguments=[], variables={}).check()
    assert not set(POOL_VARIABLES) & set(children.environments[0])


def test_a_model_that_exists_ends_the_watch(
    children: Children, grow: tuple[MemoryStore, Callable[[int], None]]
) -> None:
    store, to = grow
    to(10)
    with store.transaction() as tx:
        tx.save_model(ModelRecord("v1", "models/v1", "champion", 1))
        tx.commit()
    training = FirstTraining(store, min_events=10, arguments=[], variables={})
    training.check()
    training.check()
    assert children.started == []


def test_a_failed_training_is_tried_again_only_with_twice_the_events(
    children: Children, grow: tuple[MemoryStore, Callable[[int], None]], caplog: pytest.LogCaptureFixture
) -> None:
    store, to = grow
    training = FirstTraining(store, min_events=10, arguments=[], variables={})
    to(10)
    training.check()
    children.started[0].code = 1
    training.check()
    assert "training ended with code 1; it is tried again at 20 events" in caplog.text
    to(19)
    training.check()
    assert len(children.started) == 1
    to(20)
    training.check()
    assert len(children.started) == 2


def test_stopping_ends_the_child(children: Children, grow: tuple[MemoryStore, Callable[[int], None]]) -> None:
    store, to = grow
    to(10)
    training = FirstTraining(store, min_events=10, arguments=[], variables={})
    training.check()
    training.stop()
    assert children.started[0].terminated
    assert not training.is_training
