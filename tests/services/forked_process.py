"""`subprocess.Popen` whose Python commands run in forks of one process per test run (`services.fork_server`).

The children are processes of their own, with ids, signals and exit statuses; only their imports are shared. Other
commands, and those that want more than streams, an environment and a folder, start as ever.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, AnyStr

import pytest
from services.fork_client import INTERPRETER, NAME, ForkServerClient
from services.one_per_run import run_folder

RealPopen = subprocess.Popen


def popen_class(client: ForkServerClient) -> type[subprocess.Popen[Any]]:
    """A `Popen` that starts Python commands through the client."""

    class ForkedPopen(RealPopen[AnyStr]):
        _connection: socket.socket | None = None

        def _execute_child(self, *options: Any) -> None:  # the one method of CPython's that starts a process
            arguments, executable, preexec, _, passed, folder, environment, _, _, shell, *streams = options[:16]
            special = [executable, preexec, passed, shell, *(value for value in options[17:] if value != -1)]
            if any(special) or not is_forkable(arguments):
                super()._execute_child(*options)
                return
            command = {
                "arguments": [os.fspath(word) for word in arguments[len(INTERPRETER) :]],
                "environment": dict(os.environ if environment is None else environment),
                "folder": os.fspath(folder or Path.cwd()),
            }
            given = [own if end == -1 else end for own, end in enumerate((streams[0], streams[3], streams[5]))]
            self._connection, self.pid = client.request(json.dumps(command).encode(), given)
            self._child_created = True
            self._close_pipe_fds(*streams)

        def poll(self) -> int | None:
            return super().poll() if self._connection is None else self._received(self._connection, 0.0)

        def wait(self, timeout: float | None = None) -> int:
            if self._connection is None:
                return super().wait(timeout)
            status = self._received(self._connection, timeout)
            if status is None:
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout)
            return status

        def _received(self, connection: socket.socket, timeout_s: float | None) -> int | None:
            if self.returncode is None and select.select([connection], [], [], timeout_s)[0]:
                self.returncode = os.waitstatus_to_exitcode(int.from_bytes(connection.recv(4)))
                connection.close()
            return self.returncode

    return ForkedPopen


def is_forkable(arguments: object) -> bool:
    """Whether a command line is one of Python's that runs our commands, a program or a file."""
    if not isinstance(arguments, list) or arguments[: len(INTERPRETER)] != INTERPRETER:
        return False
    words = [str(word) for word in arguments[len(INTERPRETER) :]]
    return words[:2] == ["-m", "tidewise"] or words[0] == "-c" or words[0].endswith(".py")


def server_name(factory: pytest.TempPathFactory) -> str:
    """The name of the test run's server, which the processes of `make test` find running."""
    return os.environ.get(NAME, f"{run_folder(factory)}/fork-server")


@contextmanager
def forked_children(name: str) -> Iterator[None]:
    """Let `subprocess` start Python commands through the fork server of that name."""
    client = ForkServerClient(name)
    subprocess.Popen = popen_class(client)  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = RealPopen  # type: ignore[misc]
        client.close()
