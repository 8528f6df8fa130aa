"""Files that commands write: whole or not at all, and what is wrong is told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from core.errors import InvalidInput
from storage.whole_files import whole_file, write_text


def test_a_text_replaces_the_file_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_text(path, "new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("report.html", "new")]


def test_the_file_behind_a_link_is_replaced_not_the_link(tmp_path: Path) -> None:
    link = tmp_path / "latest.html"
    link.symlink_to(tmp_path / "report.html")
    write_text(link, "new")
    assert (link.is_symlink(), (tmp_path / "report.html").read_text()) == (True, "new")


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(InvalidInput, match=r"report\.html: cannot be written \(no space left on device\); check"):
        write_half(path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("report.html", "old")]


def write_half(path: Path) -> None:
    with whole_file(path) as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_missing_folder_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"x\.csv: cannot be written \(no such folder\)"):
        write_text(tmp_path / "nodir" / "x.csv", "text")


def test_a_device_is_written_to(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"/dev/full: cannot be written \(no space left on device\)"):
        write_text(Path("/dev/full"), "text")
