"""`tidewise up` as an operator starts it, with secrets on its command line: what its processes show of them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from services.forked_process import RealPopen
from services.up_process import UpProcess, children_of, command_line, up

from core.clock import WallClock
from core.learn.triggers import request_training
from core.ports.store import Store
from storage import open_store
from tidewise.training.learning import TRAINER

MARK = "secret-of-a-test"  # in every secret


@dataclass(frozen=True)
class RunningServer:
    """A server in an interpreter of its own, and its database, which only its command line names."""

    process: UpProcess
    url: str
    store: Store

    def processes(self) -> list[int]:
        """The server and all that it and those have started, itself first."""
        found = [self.process.pid]
        for pid in found:
            found.extend(children_of(pid))
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("server")
    url = f"sqlite:///{folder}/{MARK}.db"
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
        running = up(folder / "data", options=["--processes", "2", "--train", *options])
        with running as (process, address), closing(open_store(url)) as store:
            yield RunningServer(process, address, store)


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
