"""Runs Python commands in forks of one process that has imported the product: 0.1 s of CPU a start, not 4 s.

Run as `python -P fork_server.py NAME` with a listening socket as standard input. A connection asks for one command: a
`Command` as JSON, with the file descriptors that it inherits. It is told the process id, then the exit status. A
command whose connection closes is terminated, and without connections the server ends, so nothing outlives the tests.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

from services.forked_process import forked_children

# What the commands import when they need it.
PRELOADED = (
    "aiokafka",
    "alembic.command",
    "duckdb",
    "index.live",
    "model.checkpoint",
    "model.inference.cached",
    "model.training.train",
    "psycopg",
    "serving.app",
    "serving.http.server",
    "sklearn.cluster",
    "sklearn.feature_extraction.text",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "storage",
    "stream.drift.detectors",
    "stream.kafka.admin",
    "stream.worker.worker",
    "tidewise.cli",
    "tidewise.demo.demo",
    "tidewise.processes.api",
    "tidewise.processes.trainer",
    "tidewise.processes.worker",
    "uvicorn.protocols.http.httptools_impl",
)
MESSAGE_BYTES = 2**17
MAX_FILES = 32
FREE = 512  # descriptors from here on are nobody's


@dataclass(frozen=True)
class Command:
    """What a child runs: a command line of Python without its first two words, an environment and a folder.

    `files`: the numbers of the file descriptors that it inherits. `blocked`: signals.
    """

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    files: tuple[int, ...] = (0, 1, 2)
    in_new_session: bool = False
    blocked: tuple[int, ...] = ()

    def run(self) -> None:
        """Run it as the interpreter would: `-m MODULE`, `-c PROGRAM` or `FILE`, and arguments."""
        if self.in_new_session:
            os.setsid()
        signal.pthread_sigmask(signal.SIG_BLOCK, self.blocked)
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environment)
        match self.arguments:
            case ["-m", module, *options]:
                sys.argv = [module, *options]
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            case ["-c", program, *options]:
                sys.argv = ["-c", *options]
                exec(program, {"__name__": "__main__"})
            case [file, *options]:
                sys.argv = [file, *options]
                runpy.run_path(file, run_name="__main__")


class ForkServer:
    """Forks a child for each connection that sends a command."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._children: dict[socket.socket, int] = {}
        self._num_connections = 0

    def command(self) -> Command | None:
        """Serve until there are no connections: None; in each child: the command to run."""
        while True:
            for key, _ in self._selector.select():
                if isinstance(command := key.data(), Command):
                    return command
            if not self._num_connections:
                return None

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._num_connections += 1
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._read(connection))

    def _read(self, connection: socket.socket) -> Command | None:
        try:
            message, files, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, MAX_FILES)
        except ConnectionResetError:  # closed with an exit status unread
            message, files = b"", []
        if not message:
            if connection in self._children:
                os.kill(self._children[connection], signal.SIGTERM)
            self._selector.unregister(connection)
            connection.close()
            self._num_connections -= 1
            return None
        if pid := os.fork():
            self._watch(connection, pid)
            for file in files:
                os.close(file)
            return None
        aside = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, FREE) for file in files]
        for file in files:
            os.close(file)
        self._close()
        command = Command(**json.loads(message))
        for number, file in zip(command.files, aside, strict=True):
            os.dup2(file, number)
            os.close(file)
        return command

    def _close(self) -> None:
        """Close what belongs to the server alone."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, int):
                os.close(key.fileobj)
            else:
                key.fileobj.close()
        self._selector.close()

    def _watch(self, connection: socket.socket, pid: int) -> None:
        self._children[connection] = pid
        ended = os.pidfd_open(pid)
        self._tell(connection, pid)

        def report() -> None:
            del self._children[connection]
            _, status = os.waitpid(pid, 0)
            self._selector.unregister(ended)
            os.close(ended)
            self._tell(connection, status)

        self._selector.register(ended, selectors.EVENT_READ, report)

    def _tell(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):  # nobody listens any more
            connection.send(number.to_bytes(4))


def main() -> None:
    gc.disable()  # until `serve`: of what is imported next to nothing is garbage, and looking for it takes a sixth more
    for name in PRELOADED:
        import_module(name)
    run = serve()
    with forked_children(sys.argv[1]):  # its children are forked too
        end(run)


def serve() -> Callable[[], None]:
    """Serve on the socket that is standard input until no connection is left; returns, in each child, what to run."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background ignores it
    threads = os.listdir("/proc/self/task")
    assert len(threads) == 1, f"a fork would copy the locks of {len(threads) - 1} other threads"
    gc.collect()
    gc.freeze()  # children share the pages of what is imported
    gc.enable()
    with socket.socket(fileno=os.dup(0)) as listener:
        command = ForkServer(listener).command()
    if command is None:
        sys.exit()
    return command.run


def end(run: Callable[[], None]) -> NoReturn:
    """Run and exit as the interpreter would, but without freeing its memory: that would copy all shared pages."""
    status = 1
    try:
        run()
        status = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - what the interpreter does: it waits for threads
    atexit._run_exitfuncs()  # noqa: SLF001 - and for what closes itself
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
