"""The supervisor: processes side by side, started together, restarted when one dies, and drained together.

They are forks of one process that has imported what they need and does nothing else (multiprocessing's fork server):
they share these pages, and one that died is back within a second. Independent of what the processes do: a role is a
name and a function.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from core.errors import TidewiseError
from tidewise.process_setup import end_with_parent, start_log
from tidewise.processes.children import ProcessError

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # before a process that died soon after its start is started again
SETTLED_S = 10.0  # a process that ran so long is started again at once
STOPPING = (signal.SIGINT, signal.SIGTERM)
DRAIN_S = 20.0  # requests in flight may take 10 s
MAX_KILLS = 3  # of a process before all are ready

Announce = Callable[[], None]


@dataclass(frozen=True)
class Role:
    """`run` is called in the process with a function to call once it is ready; both must be picklable."""

    name: str
    run: Callable[[Announce], None]


@dataclass
class _Place:
    """One role and the process that fills it now."""

    role: Role
    process: BaseProcess | None = None
    readiness: Connection | None = None  # until it is ready
    started_s: float = -math.inf
    start_at_s: float = -math.inf  # where there is no process
    num_early_deaths: int = 0

    @property
    def pause_s(self) -> float:
        """How long to wait before the next start."""
        if not self.num_early_deaths:
            return 0.0
        return min(FIRST_PAUSE_S * 2.0 ** (self.num_early_deaths - 1), LONGEST_PAUSE_S)


@dataclass
class Supervisor:
    """Runs roles until SIGINT or SIGTERM; for the main thread.

    `on_ready` is called once, when every process has been ready. A process that fails before that ends all of them; one
    that is killed is started again, as later, unless it is killed each time.
    """

    roles: Sequence[Role]
    on_ready: Callable[[], None]
    _places: list[_Place] = field(init=False)
    _is_ready: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._places = [_Place(role) for role in self.roles]
        self._context = multiprocessing.get_context("forkserver")  # a fork of this one would copy locks of its threads

    def run(self) -> None:
        """Start all and keep them running; raises `ProcessError` where one dies before all were ready."""
        wake_reader, wake_writer = os.pipe()
        _start_fork_server()
        before = {number: signal.signal(number, lambda *_: os.write(wake_writer, b"!")) for number in STOPPING}
        try:
            while not self._step(wake_reader):
                pass
        finally:
            self._drain()
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(wake_reader)
            os.close(wake_writer)

    def _step(self, wake: int) -> bool:
        """Start what is due, and wait for the next change; whether a signal asked to stop."""
        now_s = time.monotonic()
        for place in self._places:
            if place.process is None and place.start_at_s <= now_s:
                self._start(place)
        due_s = [place.start_at_s for place in self._places if place.process is None]
        waited = [place.process.sentinel for place in self._places if place.process is not None]
        waited += [place.readiness for place in self._places if place.readiness is not None]  # type: ignore[misc]
        changed = wait([wake, *waited], None if not due_s else max(0.0, min(due_s) - time.monotonic()))
        if wake in changed:
            return True
        for place in self._places:
            if place.readiness in changed:
                self._note_ready(place)
            if place.process is not None and place.process.sentinel in changed:
                self._note_death(place, place.process)
        if not self._is_ready and all(place.process and place.readiness is None for place in self._places):
            self._is_ready = True
            self.on_ready()
        return False

    def _start(self, place: _Place) -> None:
        readiness, child_end = self._context.Pipe(duplex=False)
        arguments = (place.role.run, child_end, logging.getLogger().level)
        process = self._context.Process(target=_run, args=arguments, name=place.role.name)
        try:
            process.start()
        except (OSError, EOFError) as error:  # the fork server was killed meanwhile; the next start begins a new one
            readiness.close()
            self._start_later(place, f"could not be started ({type(error).__name__})")
        else:
            place.process, place.readiness, place.started_s = process, readiness, time.monotonic()
        finally:
            child_end.close()

    def _note_ready(self, place: _Place) -> None:
        assert place.readiness is not None
        try:
            place.readiness.recv_bytes()
        except EOFError:
            return  # it died: its sentinel says so too
        place.readiness.close()
        place.readiness = None

    def _note_death(self, place: _Place, process: BaseProcess) -> None:
        process.join()
        place.process = None
        if place.readiness is not None:
            place.readiness.close()
            place.readiness = None
        settled = time.monotonic() - place.started_s >= SETTLED_S
        code = process.exitcode
        was_killed = code is not None and code < 0
        self._start_later(place, f"ended with code {code}", settled=settled, was_killed=was_killed)

    def _start_later(self, place: _Place, what: str, *, settled: bool = False, was_killed: bool = True) -> None:
        if not self._is_ready and not (was_killed and place.num_early_deaths < MAX_KILLS):
            msg = f"{place.role.name} {what} before it was ready; see the log above"
            raise ProcessError(msg)
        place.num_early_deaths = 0 if settled else place.num_early_deaths + 1
        place.start_at_s = time.monotonic() + place.pause_s
        logger.error("%s %s; it is started again in %.1f s", place.role.name, what, place.pause_s)

    def _drain(self) -> None:
        """Ask all to stop, which finishes requests in flight; kill what does not in time."""
        processes = [place.process for place in self._places if place.process is not None]
        for process in processes:
            process.terminate()
        deadline_s = time.monotonic() + DRAIN_S
        for process in processes:
            process.join(max(0.0, deadline_s - time.monotonic()))
            if process.exitcode is None:
                logger.error("%s did not stop within %.0f s and is killed", process.name, DRAIN_S)
                process.kill()
                process.join()


def preload(modules: Sequence[str]) -> None:
    """Import modules in the process that all others will be forks of, while this one goes on; they start no threads."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    _start_fork_server()


def _start_fork_server() -> None:
    """With the signals blocked that stop the supervisor: sent to a whole group, they would end it before the others."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_supervisor() -> None:
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _run(run: Callable[[Announce], None], readiness: Connection, log_level: int) -> None:
    """The child, in a session of its own: Ctrl-C reaches the supervisor alone, which ends it as its own end does."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    end_with_parent()  # the fork server
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    start_log(log_level)
    try:
        with readiness:
            run(lambda: readiness.send_bytes(b"ready"))
    except TidewiseError as error:
        logger.error("%s", error)
        sys.exit(1)
