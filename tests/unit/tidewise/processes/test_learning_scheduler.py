"""Learning jobs in child processes: one at a time, with pauses after failures."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from core.learn.triggers import Job
from tidewise.process_setup import THREAD_VARIABLES
from tidewise.processes.learning_scheduler import LearningScheduler


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
    monkeypatch.setattr(subprocess, "Popen", children)
    return children


class Waiting:
    """Jobs that wait, and a clock set by hand."""

    def __init__(self, num_jobs: int) -> None:
        self.jobs = [Job("fine-tune", "a test") for _ in range(num_jobs)]
        self.now_s = 0.0

    def next_job(self) -> Job | None:
        return self.jobs.pop() if self.jobs else None

    def learning(self) -> LearningScheduler:
        options = {"arguments": ["--set", "a.b=c"], "variables": {"EXTRA": "1"}}
        return LearningScheduler(next_job=self.next_job, now_s=lambda: self.now_s, **options)  # type: ignore[arg-type]


def test_one_child_at_a_time_runs_the_due_jobs(children: Children) -> None:
    waiting = Waiting(2)
    learning = waiting.learning()
    for _ in range(3):
        learning.check()
    assert learning.is_learning
    assert [list(command[1:]) for command in children.commands] == [
        ["-P", "-m", "tidewise", "learn", "--once", "--child", "--set", "a.b=c"]
    ]
    assert children.environments[0]["EXTRA"] == "1"
    children.started[0].code = 0
    learning.check()
    learning.check()
    assert len(children.started) == 2


def test_no_child_is_started_while_no_job_is_due(children: Children) -> None:
    Waiting(0).learning().check()
    assert children.started == []


def test_the_child_does_not_inherit_thread_limits(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")
    Waiting(1).learning().check()
    assert not set(THREAD_VARIABLES) & set(children.environments[0])


def test_the_pause_after_a_failed_child_doubles(children: Children, caplog: pytest.LogCaptureFixture) -> None:
    waiting = Waiting(9)
    learning = waiting.learning()
    for num_failed, pause_s in enumerate((30.0, 60.0, 120.0), start=1):
        learning.check()
        assert len(children.started) == num_failed
        children.started[-1].code = 1
        learning.check()
        assert f"ended with code 1; it is tried again in {pause_s:.0f} s" in caplog.text
        waiting.now_s += pause_s - 1
        learning.check()
        assert len(children.started) == num_failed
        waiting.now_s += 1


def test_stop_ends_the_child(children: Children) -> None:
    learning = Waiting(1).learning()
    learning.check()
    learning.stop()
    assert children.started[0].terminated
    assert not learning.is_learning
