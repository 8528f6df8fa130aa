"""`subprocess.Popen` whose Python commands run in forks of one process per test run (`services.fork_server`).

The children are processes of their own, with ids, signals and exit statuses; only their imports are shared. Other
commands, and those that want more than streams, an environment and a folder, start as ever.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, AnyStr

import pytest
from services.one_per_run import run_folder

RealPopen = subprocess.Popen
INTERPRETER = [sys.executable, "-P"]  # how the commands begin
SERVER = Path(__file__).with_name("fork_server.py")
ENVIRONMENT = {
    "PYTHONPATH": str(SERVER.parents[1]),
    "PYTHONUNBUFFERED": "1",
    "COLUMNS": "200",
    "NO_COLOR": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class ForkServerClient:
    """Connects to the server of a name, and starts it if there is none.

    The name is an abstract socket's: one process alone can take it, and it goes with the server, which ends when no
    connection is left.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._held: socket.socket | None = None

    def request(self, message: bytes, streams: list[int]) -> tuple[socket.socket, int]:
        """Ask for a command with these standard streams; returns its connection and its process id."""
        if self._held is None:
            self._held = self._connect()
        connection = self._connect()
        socket.send_fds(connection, [message], streams)
        return connection, int.from_bytes(connection.recv(4))

    def close(self) -> None:
        """Need the server no longer."""
        if self._held is not None:
            self._held.close()

    def _connect(self) -> socket.socket:
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                connection.connect(f"\0{self._name}")
            except ConnectionRefusedError:
                connection.close()
                self._start()
            else:
                return connection

    def _start(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            try:
                listener.bind(f"\0{self._name}")
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return  # another process has just started it
            listener.listen(128)
            os.posix_spawn(
                sys.executable,
                [*INTERPRETER, str(SERVER), self._name],
                os.environ | ENVIRONMENT,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, listener.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                ],
                setsid=True,
            )


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
    """The name of the test run's server."""
    return f"{run_folder(factory)}/fork-server"


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
