"""Shared checks: each file is read by one of the processes that start together, and damage is found by all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from core.ports.file_checks import WrongChecksum
from storage.shared_checks import FRESH_S, SharedChecks


class Process:
    """One that checks files by their text; `reads`: which it has read."""

    def __init__(self, tmp_path: Path) -> None:
        self.checks = SharedChecks(tmp_path / "notes")
        self.reads: list[str] = []

    def check(self, *paths: Path, wanted: str = "sound") -> list[str]:
        """The names of the files that are read."""
        self.reads.clear()
        self.checks.check(dict.fromkeys(paths, wanted), self.checksum)
        return self.reads

    def checksum(self, path: Path) -> str:
        self.reads.append(path.name)
        return path.read_text()


@pytest.fixture
def first(tmp_path: Path) -> Process:
    return Process(tmp_path)


@pytest.fixture
def second(tmp_path: Path) -> Process:
    return Process(tmp_path)


@pytest.fixture
def one(tmp_path: Path) -> Path:
    (tmp_path / "one").write_text("sound")
    return tmp_path / "one"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    (tmp_path / "two").write_text("sound")
    return tmp_path / "two"


def test_a_sound_file_is_read_once(first: Process, second: Process, one: Path, two: Path) -> None:
    assert first.check(one) == ["one"]
    assert second.check(one, two) == ["two"]


def test_damage_is_found_by_every_process(first: Process, second: Process, one: Path) -> None:
    one.write_text("wrong")
    for process in (first, second):
        with pytest.raises(WrongChecksum, match="one differs from its checksum") as found:
            process.check(one)
        assert (found.value.path, found.value.wanted, found.value.got) == (one, "sound", "wrong")


def test_a_file_that_is_written_to_is_read_again(first: Process, second: Process, one: Path) -> None:
    first.check(one)
    before = one.stat()
    one.write_text("wrong")
    os.utime(one, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(WrongChecksum):
        second.check(one)


def test_another_file_of_the_same_name_is_read(first: Process, second: Process, one: Path, two: Path) -> None:
    first.check(one)
    two.rename(one)
    assert second.check(one) == ["one"]


def test_what_else_is_wanted_of_a_file_is_compared(first: Process, second: Process, one: Path) -> None:
    first.check(one)
    with pytest.raises(WrongChecksum):
        second.check(one, wanted="other")


@pytest.mark.parametrize("age_s", [FRESH_S + 1, -FRESH_S - 60])
def test_a_process_that_starts_later_reads_the_files_again(
    first: Process, second: Process, one: Path, tmp_path: Path, age_s: float
) -> None:
    first.check(one)
    (note,) = (tmp_path / "notes").iterdir()
    written_s = note.stat().st_mtime
    os.utime(note, (written_s - age_s, written_s - age_s))
    assert second.check(one) == ["one"]
    assert first.check(one) == []


def test_a_missing_file_is_named(first: Process, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        first.check(tmp_path / "missing")


def test_a_check_that_does_not_end_is_made_by_another_process(first: Process, second: Process, one: Path) -> None:
    def dying(path: Path) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.checks.check({one: "sound"}, dying)
    assert second.check(one) == ["one"]


def test_files_that_another_process_reads_come_last(first: Process, second: Process, one: Path, two: Path) -> None:
    """So both read at the same time."""
    has_read_two = threading.Event()

    def slow(path: Path) -> str:
        if path == one:
            other.start()
            assert has_read_two.wait(60)
        return first.checksum(path)

    def quick(path: Path) -> str:
        found = second.checksum(path)
        has_read_two.set()
        return found

    files = {one: "sound", two: "sound"}
    other = threading.Thread(target=second.checks.check, args=(files, quick))
    first.checks.check(files, slow)
    other.join()
    assert (first.reads, second.reads) == (["one"], ["two"])


def test_without_a_folder_for_notes_each_process_reads_all(first: Process, one: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no folder")
    assert first.check(one) == ["one"]
    assert first.check(one) == ["one"]
