"""`tidewise up` and `serve` as operators start them: what processes tell of secrets, and keys made beside them."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from services.forked_process import RealPopen
from services.up_process import UpProcess, children_of, command_line, up
from typer.testing import CliRunner

from core.clock import WallClock
from core.learn.triggers import request_training
from core.ports.store import Store
from storage import open_store
from tidewise.cli import app
from tidewise.training.learning import TRAINER

MARK = "secret-of-a-test"  # in every secret


@dataclass(frozen=True)
class RunningServer:
    """A server in an interpreter of its own, and its database, which only its command line names."""

    process: UpProcess
    url: str
    folder: Path
    database: str
    store: Store

    def keys(self, *words: str) -> str:
        """The output of `tidewise keys`."""
        options = ["--data", str(self.folder), "--set", f"database.url={self.database}"]
        outcome = CliRunner().invoke(app, ["keys", *words, *options], catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output
        return outcome.stdout.strip()

    def answers(self, key: str) -> list[int]:
        """How requests with a key are answered, over new connections, which the kernel spreads over the APIs."""
        headers = {"X-API-Key": key}
        return [httpx.get(f"{self.url}/v1/status", headers=headers).status_code for _ in range(16)]

    def statuses(self, key: str) -> set[int]:
        """The different ones of `answers`."""
        return set(self.answers(key))

    def processes(self) -> list[int]:
        """The server and all that it and those have started, itself first."""
        found = [self.process.pid]
        for pid in found:
            found.extend(children_of(pid))
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, _memory_images: None) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("server") / "data"
    url = f"sqlite:///{folder.parent}/{MARK}.db"
    secrets = {
        "database.url": url,
        "server.api_key": MARK,
        "kafka.sasl_password": MARK,
        "drift.webhook_url": f"https://alarms.example/{MARK}",
        "drift.webhook_secret": MARK,
        "oidc.client_secret": MARK,
    }
    options = [word for name, value in secrets.items() for word in ("--set", f"{name}={value}")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", RealPopen)
        running = up(folder, options=["--processes", "2", "--train", *options])
        with running as (process, address), closing(open_store(url)) as store:
            yield RunningServer(process, address, folder, url, store)


@pytest.fixture(scope="module")
def _memory_images() -> Iterator[None]:
    """Processes that are started may write memory images, as far as the machine lets them."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


def test_a_child_gets_secrets_but_not_by_its_command_line(server: RunningServer) -> None:
    with server.store.transaction() as tx:
        request_training(tx, kind="retrain", by="a test", reason="", now_ms=WallClock().now_ms())
        tx.commit()

    def trains() -> bool:
        """Whether the child holds the trainer's lease in the database."""
        with server.store.read() as read:
            return read.leases.find(TRAINER) is not None

    server.process.until(trains)
    own, *others = server.processes()
    assert MARK in command_line(own).decode()
    commands = {pid: command_line(pid).decode() for pid in others}
    assert not any(MARK in command for command in commands.values())
    [child] = [pid for pid, command in commands.items() if "learn" in command.split("\0")]
    os.kill(child, signal.SIGTERM)


def test_no_process_of_a_server_writes_a_memory_image(server: RunningServer) -> None:
    assert len(server.process.supervised()) == 3  # two APIs and the monitor
    limits = [Path(f"/proc/{pid}/limits").read_text() for pid in server.processes()]
    assert len(limits) > 4
    assert all(re.search("^Max core file size +0 ", text, re.M) for text in limits)


def test_keys_begin_and_end_without_a_restart(server: RunningServer) -> None:
    first = server.keys("create", "shop", "--scope", "read")
    server.process.until(lambda: server.statuses(first) == {200})
    second = server.keys("rotate", "shop", "--overlap-hours", "0")
    server.process.until(lambda: server.statuses(first) == {401})
    server.process.until(lambda: server.statuses(second) == {200})
    server.keys("revoke", "shop")
    server.process.until(lambda: server.statuses(second) == {401})


def num_answered(server: RunningServer) -> int:
    """Of the requests with a key that permits one in 1,000 s, until all processes know it."""
    key = server.keys("create", "partner", "--scope", "read", "--max-per-second", "0.001")
    answered: Counter[int] = Counter()

    def is_known_to_all() -> bool:
        answers = server.answers(key)
        answered.update(answers)
        return 401 not in answers

    server.process.until(is_known_to_all)
    return answered[200]


def test_the_limit_of_a_key_holds_for_all_processes_of_up(server: RunningServer) -> None:
    assert num_answered(server) == 1


def test_the_limit_of_a_key_holds_for_all_processes_of_serve(tmp_path: Path) -> None:
    folder, url = tmp_path / "data", f"sqlite:///{tmp_path}/serve.db"
    options = ["--processes", "2", "--set", f"database.url={url}", "--set", f"server.api_key={MARK}"]
    with up(folder, command=["serve"], options=options) as (process, address), closing(open_store(url)) as store:
        assert num_answered(RunningServer(process, address, folder, url, store)) == 1
