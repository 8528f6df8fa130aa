"""Turns of writers: one at a time, in order, and free when their process ends."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from core.errors import StoreUnavailable
from storage.turns import WriterTurns

IN_LINE = """
import fcntl, os, struct, sys, time
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("@hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
print("has it", flush=True)
time.sleep(60)
"""
HOLDER = """
import sys, time
from pathlib import Path
from storage.turns import WriterTurns
with WriterTurns(Path(sys.argv[1]), timeout_s=9).turn():
    print("has it", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db-turn"


def turns_at(path: Path, *, timeout_s: float = 30.0, are_long: bool = False) -> WriterTurns:
    """Each has a file description of its own, as each process has."""
    return WriterTurns(path, timeout_s=timeout_s, are_long=are_long)


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the turn."""
    with running(HOLDER, path) as process:
        yield process


@pytest.fixture
def importer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has a long turn."""
    with running(HOLDER.replace("timeout_s=9", "timeout_s=9, are_long=True"), path) as process:
        yield process


@contextmanager
def running(script: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "has it\n"
        yield process
        process.kill()


@pytest.mark.parametrize("num_processes", [1, 3])
def test_one_writer_at_a_time_among_threads_and_processes(path: Path, num_processes: int) -> None:
    processes = [turns_at(path) for _ in range(num_processes)]
    inside: list[int] = []
    most = 0

    def write(turns: WriterTurns) -> None:
        nonlocal most
        for _ in range(50):
            with turns.turn():
                inside.append(1)
                most = max(most, len(inside))
                inside.pop()

    threads = [threading.Thread(target=write, args=(turns,)) for turns in processes for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, inside) == (1, [])


def test_a_writer_that_always_has_more_lets_the_other_one_in(path: Path) -> None:
    busy, other = turns_at(path), turns_at(path)
    stop, order = threading.Event(), list[str]()

    def write() -> None:
        while not stop.is_set():
            with busy.turn():
                order.append("busy")
                threading.Event().wait(0.002)

    thread = threading.Thread(target=write)
    with other.turn():
        thread.start()
    for _ in range(20):
        with other.turn():
            order.append("other")
    stop.set()
    thread.join()
    runs = "".join(name[0] for name in order).strip("b").split("o")
    assert max(map(len, runs)) <= 2, f"between two turns of the other: {runs}"


def test_the_wait_for_a_suspended_writer_ends_with_an_error(path: Path, holder: subprocess.Popen[str]) -> None:
    with (
        pytest.raises(StoreUnavailable, match=r"another process has been writing for 0\.05 s; retry"),
        turns_at(path, timeout_s=0.05).turn(),
    ):
        pass


def test_a_long_turn_is_waited_for_longer(path: Path, importer: subprocess.Popen[str]) -> None:
    turns = turns_at(path, timeout_s=0.01)
    had_turn = []

    def write() -> None:
        with turns.turn():
            had_turn.append(True)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    threads[0].join(timeout=0.3)
    importer.kill()
    for thread in threads:
        thread.join()
    assert had_turn == [True, True]


def test_the_wait_for_a_long_turn_ends_with_an_error(
    path: Path, importer: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.turns.LONG_TIMEOUT_S", 0.1)
    with (
        pytest.raises(StoreUnavailable, match=r"another process has been writing for 0\.1 s; retry"),
        turns_at(path, timeout_s=0.05).turn(),
    ):
        pass


def test_others_write_between_the_turns_of_two_imports(path: Path) -> None:
    first, second, other = (turns_at(path, are_long=are_long) for are_long in (True, True, False))
    order: list[str] = []

    def write(turns: WriterTurns, name: str) -> None:
        with turns.turn():
            order.append(name)

    writers = [threading.Thread(target=write, args=writer) for writer in ((second, "import"), (other, "other"))]
    with first.turn():
        for thread in writers:
            thread.start()
        while not is_next_taken(path):
            threading.Event().wait(0.001)
    for thread in writers:
        thread.join()
    assert order == ["other", "import"]


def is_next_taken(path: Path) -> bool:
    """Whether somebody is next in line."""
    with path.open("rb+") as file:
        found = fcntl.fcntl(file, fcntl.F_OFD_GETLK, struct.pack("@hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
    return bool(struct.unpack_from("@h", found)[0] != fcntl.F_UNLCK)


def test_the_wait_for_other_imports_ends_with_an_error(
    path: Path, importer: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.turns.IMPORTS_TIMEOUT_S", 0.05)
    turns = turns_at(path, are_long=True)
    with pytest.raises(StoreUnavailable, match=r"other imports have been writing for 0\.05 s"), turns.turn():
        pass
    importer.kill()
    importer.wait()
    with turns.turn():
        pass


def test_a_suspended_process_that_is_next_in_line_is_passed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.turns.LINE_S", 0.05)
    with running(IN_LINE, path), turns_at(path, timeout_s=5).turn():
        pass


def test_a_turn_tells_whether_another_process_waited_for_its_end(path: Path) -> None:
    turns = turns_at(path)
    with ExitStack() as turn:
        turn.enter_context(turns.turn())
        with running(IN_LINE, path):
            turn.close()
            assert turns.others_wait
    with turns.turn():
        pass
    assert not turns.others_wait


def test_a_turn_tells_how_long_it_was_without_the_wait_for_it(path: Path) -> None:
    turns, other = turns_at(path), turns_at(path)
    with turns.turn():
        threading.Event().wait(0.2)
    assert turns.held_s >= 0.2
    with ExitStack() as turn:
        turn.enter_context(other.turn())
        threading.Timer(0.2, turn.close).start()
        with turns.turn():
            pass
    assert turns.held_s < other.held_s


def test_the_turn_of_a_killed_process_is_free(path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with turns_at(path, timeout_s=5).turn():
        pass


def test_after_an_error_the_turn_is_free(path: Path) -> None:
    turns = turns_at(path, timeout_s=1)
    with pytest.raises(ValueError, match="broken"), turns.turn():
        raise ValueError("broken")
    with turns.turn():
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be written"), turns_at(tmp_path / "none" / "x").turn():
        pass
