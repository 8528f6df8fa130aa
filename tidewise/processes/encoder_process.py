"""The encoder process of a worker: a child, so that commits do not wait for the interpreter lock.

One thread of the worker sends a batch through a pipe and waits for the answer, so that changed users coalesce in the
worker and the pipe never fills up. The child reads the catalogue and the champion itself and writes vectors to the
store. It runs at low priority: commits come first, vectors take what is left of the machine.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from threading import Event

from core.errors import StoreUnavailable, TidewiseError
from core.records.stored import UserState
from tidewise.bootstrap import System, open_system
from tidewise.process_setup import LOW_PRIORITY, end_with_parent, work_at_low_priority
from tidewise.processes.refresh import start_refresh
from tidewise.settings.schema import Settings

STOP_TIMEOUT_S = 2.0
STARTUP_DELAY_S = 3.0  # a restarted worker catches up before its child uses two seconds of a core to load torch
POLL_S = 0.1  # how soon `encode` notices an interrupt


class EncoderGone(TidewiseError):
    """The encoder process ended; the next batch starts a new one. Users of this batch are encoded when read."""


class EncoderProcess:
    """Encodes users in a child process, which the first batch starts. For one thread; any thread may interrupt it.

    `startup_delay_s`: how long the first batch waits before the child is started.
    """

    def __init__(self, settings: Settings, *, startup_delay_s: float = 0.0) -> None:
        self._settings = settings
        self._startup_delay_s = startup_delay_s
        self._connection: Connection | None = None
        self._child: multiprocessing.process.BaseProcess | None = None
        self._interrupted = Event()

    @property
    def child_pid(self) -> int | None:
        """The process id of the child; None while there is none."""
        return self._child.pid if self._child is not None else None

    def interrupt(self) -> None:
        """Let `encode` return at once with nothing encoded; at low priority a busy machine may need minutes."""
        self._interrupted.set()

    def encode(self, states: Sequence[UserState]) -> int:
        """Encode users and store their vectors; returns how many vectors were out of date.

        Raises `EncoderGone`, or `StoreUnavailable` if the database is unavailable; the child keeps running then.
        """
        if self._interrupted.wait(self._startup_delay_s):
            return 0
        self._startup_delay_s = 0.0
        connection = self._connection or self._start()
        try:
            connection.send(list(states))
            while not connection.poll(POLL_S):
                if self._interrupted.is_set():
                    return 0
            answer: int | StoreUnavailable = connection.recv()
        except (EOFError, OSError) as error:
            self.stop()
            msg = "the encoder process ended; see the worker's log"
            raise EncoderGone(msg) from error
        if isinstance(answer, StoreUnavailable):
            raise answer
        return answer

    def stop(self) -> None:
        """End the child."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._child is not None:
            self._child.join(STOP_TIMEOUT_S)
            self._child.kill()
            self._child = None

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold
        self._connection, child_end = context.Pipe()
        self._child = context.Process(target=_run, args=(child_end, self._settings), name="encoder", daemon=True)
        self._child.start()
        child_end.close()
        return self._connection


def _run(connection: Connection, settings: Settings) -> None:
    """The child: encode batch after batch until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the worker, which closes the pipe
    end_with_parent()
    work_at_low_priority(LOW_PRIORITY)
    with ExitStack() as stack:
        system = stack.enter_context(open_system(settings))
        start_refresh(stack, system)
        with suppress(EOFError, BrokenPipeError):  # the worker ended, perhaps before it read the answer
            while True:
                connection.send(_encode(system, connection.recv()))


def _encode(system: System, states: Sequence[UserState]) -> int | StoreUnavailable:
    """The number of vectors that were out of date, or the database's error: restarting the child would take seconds."""
    try:
        return system.recommender.encode(states)
    except StoreUnavailable as error:
        return StoreUnavailable(str(error))  # without its cause, which may not be picklable
