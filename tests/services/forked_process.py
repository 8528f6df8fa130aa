"""`subprocess` and `multiprocessing` whose Python commands run in forks of one process (`services.fork_server`).

The children are processes of their own, with ids, signals and exit statuses; only their imports are shared. Other
commands, and those that want more than files, an environment, a folder and a session, start as ever.
"""

from __future__ import annotations

import json
import multiprocessing.util
import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, AnyStr

import pytest
from services.fork_client import INTERPRETER, NAME, ForkServerClient
from services.one_per_run import run_folder

RealPopen = subprocess.Popen
real_spawn, real_waitpid = multiprocessing.util.spawnv_passfds, os.waitpid
SPAWNED = "from multiprocessing.spawn import"


def popen_class(client: ForkServerClient) -> type[subprocess.Popen[Any]]:
    """A `Popen` that starts Python commands through the client."""

    class ForkedPopen(RealPopen[AnyStr]):
        _connection: socket.socket | None = None

        def _execute_child(self, *options: Any) -> None:  # the one method of CPython's that starts a process
            arguments, executable, preexec, _, passed, folder, environment, _, _, shell, *streams = options[:16]
            *ids, in_new_session, group = options[17:]
            special = [executable, preexec, passed, shell, *(value for value in (*ids, group) if value != -1)]
            if any(special) or not is_forkable(arguments):
                super()._execute_child(*options)
                return
            command = {
                "arguments": [os.fspath(word) for word in arguments[len(INTERPRETER) :]],
                "environment": dict(os.environ if environment is None else environment),
                "folder": os.fspath(folder or Path.cwd()),
                "in_new_session": in_new_session,
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
    """Let `subprocess` and `multiprocessing` start Python commands through the fork server of that name."""
    client = ForkServerClient(name)
    processes = MultiprocessingChildren(client)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", popen_class(client))
        patch.setattr(multiprocessing.util, "spawnv_passfds", processes.spawn)
        patch.setattr(os, "waitpid", processes.wait)
        try:
            yield
        finally:
            processes.close()
            client.close()


class MultiprocessingChildren:
    """The children that `multiprocessing` spawns; it waits for them by `os.waitpid`, as if they were its own."""

    def __init__(self, client: ForkServerClient) -> None:
        self._client = client
        self._connections: dict[int, socket.socket] = {}

    def spawn(self, path: bytes, arguments: Sequence[str | bytes], files: Sequence[int]) -> int:
        """As `multiprocessing.util.spawnv_passfds`."""
        words = [os.fsdecode(word) for word in arguments]
        program = words[words.index("-c") :]
        if not program[1].startswith(SPAWNED):
            return real_spawn(path, arguments, files)
        inherited = [0, 1, 2, *sorted(set(map(int, files)))]
        command = {
            "arguments": program,
            "environment": dict(os.environ),
            "folder": os.fspath(Path.cwd()),
            "files": inherited,
            "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        }
        connection, pid = self._client.request(json.dumps(command).encode(), inherited)
        self._connections[pid] = connection
        return pid

    def wait(self, pid: int, options: int) -> tuple[int, int]:
        """As `os.waitpid`."""
        connection = self._connections.get(pid)
        if connection is None:
            return real_waitpid(pid, options)
        if options & os.WNOHANG and not select.select([connection], [], [], 0)[0]:
            return 0, 0
        with self._connections.pop(pid):
            return pid, int.from_bytes(connection.recv(4))

    def close(self) -> None:
        """Have those end that nobody waited for."""
        for connection in self._connections.values():
            connection.close()
