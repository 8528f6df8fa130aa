"""Encoding in a child process: a worker's commits must not wait for the interpreter lock while users are encoded.

One thread of the worker hands batches over a pipe and waits for each to be done, so that dirty users go on coalescing
in the worker and the pipe never fills up. The child reads the catalogue and the champion itself and writes vectors to
the store. It runs at low priority: windows come first, vectors follow with what is left of the machine.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from threading import Event

from core.errors import StoreUnavailable, TidewiseError
from core.records import UserState
from tidewise.bootstrap import System, open_system
from tidewise.process_setup import end_with_parent
from tidewise.processes.refresh import start_refresh
from tidewise.settings.schema import Settings

LOW_PRIORITY = 5
STOP_TIMEOUT_S = 2.0
STARTUP_DELAY_S = 3.0  # a restarted worker catches up before its child takes two seconds of a core to load torch
POLL_S = 0.1  # how soon a worker that stops leaves its encodes to readers


class EncoderGone(TidewiseError):
    """The encoding process ended; a new one is started with the next batch. Its users are encoded when read."""


class EncoderProcess:
    """Encodes users in a child, which is started with the first batch. Used by one thread, interrupted by any.

    `startup_delay_s`: how long the first batch waits before the child is started.
    """

    def __init__(self, settings: Settings, *, startup_delay_s: float = 0.0) -> None:
        self._settings = settings
        self._startup_delay_s = startup_delay_s
        self._connection: Connection | None = None
        self._child: multiprocessing.process.BaseProcess | None = None
        self._interrupted = Event()

    def interrupt(self) -> None:
        """Let `encode` return at once, with nothing encoded: at low priority a busy machine may need minutes for it."""
        self._interrupted.set()

    def encode(self, states: Sequence[UserState]) -> int:
        """Encode users and store their vectors; returns how many were behind.

        Raises `EncoderGone`, and `StoreUnavailable` while the database is away, which the child outlives.
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
            msg = "the encoding process ended; the worker's log says why"
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
        context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks in whatever state they are
        self._connection, theirs = context.Pipe()
        self._child = context.Process(target=_run, args=(theirs, self._settings), name="encoder", daemon=True)
        self._child.start()
        theirs.close()
        return self._connection


def _run(connection: Connection, settings: Settings) -> None:
    """The child: encode batch after batch until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which closes the pipe
    end_with_parent()
    os.nice(LOW_PRIORITY)
    with ExitStack() as stack:
        system = stack.enter_context(open_system(settings))
        start_refresh(stack, system)
        with suppress(EOFError, BrokenPipeError):  # the worker left, perhaps without waiting for an answer
            while True:
                connection.send(_encode(system, connection.recv()))


def _encode(system: System, states: Sequence[UserState]) -> int | StoreUnavailable:
    """How many were behind, or that the database is away: starting again would take seconds of a recovering machine."""
    try:
        return system.recommender.encode(states)
    except StoreUnavailable as error:
        return StoreUnavailable(str(error))  # without what caused it, which need not be fit for a pipe
