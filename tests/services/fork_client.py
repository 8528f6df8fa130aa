"""Asks a fork server for processes; it starts fast, for it imports nothing but the standard library."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

INTERPRETER = [sys.executable, "-P"]  # how the commands begin
NAME = "TESTS_FORK_SERVER"  # the environment variable that names the server of tests' children
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
    """Connects to the server of a name, and starts that program if there is none.

    The name is an abstract socket's: one process alone can take it, and it goes with the server, which ends when no
    connection is left.
    """

    def __init__(self, name: str, *, program: Path = SERVER) -> None:
        self.name = name
        self._program = program
        self._held: socket.socket | None = None

    def request(self, message: bytes, streams: list[int]) -> tuple[socket.socket, int]:
        """Ask for a command with these standard streams; returns its connection and its process id."""
        self.begin()
        connection = self._connect()
        socket.send_fds(connection, [message], streams)
        return connection, int.from_bytes(connection.recv(4))

    def begin(self) -> None:
        """Have the server run from now on, without waiting for its imports."""
        if self._held is None:
            self._held = self._connect()

    def close(self) -> None:
        """Need the server no longer."""
        if self._held is not None:
            self._held.close()

    def _connect(self) -> socket.socket:
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                connection.connect(f"\0{self.name}")
            except ConnectionRefusedError:
                connection.close()
                self._start()
            else:
                return connection

    def _start(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            try:
                listener.bind(f"\0{self.name}")
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return  # another process has just started it
            listener.listen(128)
            os.posix_spawn(
                sys.executable,
                [*INTERPRETER, str(self._program), self.name],
                os.environ | ENVIRONMENT,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, listener.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                ],
                setsid=True,
            )
