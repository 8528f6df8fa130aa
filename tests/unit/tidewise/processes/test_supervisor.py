"""Processes that are started together, restarted when they die, and ended together."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from services import supervised_roles as roles

from tidewise.processes import supervisor as supervisor_module
from tidewise.processes.children import ProcessError
from tidewise.processes.supervisor import MAX_KILLS, Role, Supervisor


def until(reached: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def supervise(*supervised: Role, scenario: Callable[[], None] = lambda: None) -> None:
    """Run the roles; once all are ready, the scenario in a thread, then SIGTERM to this process."""
    failures: list[BaseException] = []

    def play() -> None:
        try:
            scenario()
        except BaseException as error:  # reported by the test's own thread
            failures.append(error)
        os.kill(os.getpid(), signal.SIGTERM)

    Supervisor(supervised, on_ready=lambda: threading.Thread(target=play).start()).run()
    assert not failures, failures


def waiting(folder: Path) -> Role:
    return Role(folder.name, partial(roles.wait_for_signal, folder))


def test_sigterm_ends_every_process_in_order(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    handler = signal.getsignal(signal.SIGTERM)
    supervise(waiting(first), waiting(second))
    assert (first / "ended").exists()
    assert (second / "ended").exists()
    assert not any(runs(pid) for folder in (first, second) for pid in roles.noted(folder))
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_killed_process_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    def kill_first() -> None:
        for num_before in (1, 2):
            os.kill(roles.noted(first)[-1], signal.SIGKILL)
            until(lambda num_before=num_before: len(roles.noted(first)) > num_before)

    supervise(waiting(first), waiting(second), scenario=kill_first)
    assert (len(roles.noted(first)), len(roles.noted(second))) == (3, 1)
    assert "first ended with code -9; it is started again in 1.0 s" in caplog.messages


def test_all_are_started_again_after_the_fork_server_dies_in_a_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    main = threading.main_thread().ident
    assert main is not None

    def is_starting() -> bool:
        frame = sys._current_frames()[main]  # noqa: SLF001 - the only way to see where a thread is
        return any("popen_forkserver" in called.f_code.co_filename for called, _ in traceback.walk_stack(frame))

    def kill_fork_server() -> None:
        [server] = {parent_of(pid) for folder in (first, second) for pid in roles.noted(folder)}
        os.kill(roles.noted(first)[-1], signal.SIGKILL)
        until(lambda: "first ended with code -9; it is started again in 0.5 s" in caplog.messages)
        os.kill(server, signal.SIGSTOP)
        until(is_starting)
        os.kill(server, signal.SIGKILL)
        until(lambda: (len(roles.noted(first)), len(roles.noted(second))) == (2, 2))

    supervise(waiting(first), waiting(second), scenario=kill_fork_server)
    assert any(message.startswith("first could not be started (EOFError)") for message in caplog.messages)
    assert not any(runs(roles.noted(folder)[-1]) for folder in (first, second))


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_process_that_fails_before_all_are_ready_ends_all(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="api-1 ended with code 1 before it was ready"):
        supervise(waiting(tmp_path / "other"), Role("api-1", roles.fail))
    assert not any(runs(pid) for pid in roles.noted(tmp_path / "other"))


def test_a_process_that_is_killed_before_it_is_ready_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_S", 0.01)
    other, killed = waiting(tmp_path / "other"), tmp_path / "killed"
    supervise(other, Role("killed", partial(roles.be_killed, killed, MAX_KILLS)))
    assert len(set(roles.noted(killed))) == MAX_KILLS + 1
    assert len(roles.noted(tmp_path / "other")) == 1


def test_a_process_that_is_killed_at_each_start_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_S", 0.01)
    with pytest.raises(ProcessError, match="killed ended with code -9 before it was ready"):
        supervise(waiting(tmp_path / "other"), Role("killed", partial(roles.be_killed, tmp_path / "killed", 10**6)))
    assert len(roles.noted(tmp_path / "killed")) == MAX_KILLS + 1


def test_a_process_that_does_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor_module, "DRAIN_S", 0.1)
    supervise(Role("stubborn", partial(roles.ignore_signals, tmp_path)))
    assert "stubborn did not stop within 0 s and is killed" in caplog.messages
    assert not any(runs(pid) for pid in roles.noted(tmp_path))
