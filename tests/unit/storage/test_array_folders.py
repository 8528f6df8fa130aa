"""Folders of arrays: complete or not there, checked when they are read, shared until they are written to."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.ports.array_folders import DamagedArrays
from storage.array_folders import MANIFEST, NumpyFolders

ARRAYS = {
    "whole": np.arange(6).reshape(2, 3),
    "half": np.array([0.5], np.float32),
    "none": np.empty((0, 4), np.float32),
    "bytes": np.frombuffer(b"abc", np.uint8),
}
ABOUT = {"model": "v1"}


@pytest.fixture
def folders(tmp_path: Path) -> NumpyFolders:
    folders = NumpyFolders(tmp_path / "snapshots")
    folders.save("one", ARRAYS, ABOUT)
    return folders


def test_arrays_are_read_as_they_were_written(folders: NumpyFolders) -> None:
    arrays, about = folders.load("one")
    assert (folders.names(), about, arrays.keys()) == (["one"], ABOUT, ARRAYS.keys())
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_what_one_reader_writes_no_other_sees(folders: NumpyFolders) -> None:
    mine, _ = folders.load("one")
    mine["whole"][0, 0] = 100
    assert folders.load("one")[0]["whole"][0, 0] == 0


def test_arrays_stay_readable_when_their_folder_is_deleted(folders: NumpyFolders) -> None:
    arrays, _ = folders.load("one")
    folders.delete("one")
    assert folders.names() == []
    np.testing.assert_array_equal(arrays["whole"], ARRAYS["whole"])


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b""])
@pytest.mark.parametrize("file", ["whole.npy", "half.npy", MANIFEST])
def test_a_damaged_file_is_found(folders: NumpyFolders, tmp_path: Path, file: str, damage: Any) -> None:
    path = tmp_path / "snapshots" / "one" / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedArrays, match="one is damaged"):
        folders.load("one")


def test_a_missing_file_is_found(folders: NumpyFolders, tmp_path: Path) -> None:
    (tmp_path / "snapshots" / "one" / "half.npy").unlink()
    with pytest.raises(DamagedArrays, match=r"No such file .*half\.npy"):
        folders.load("one")


@pytest.mark.parametrize("num_flushes", range(len(ARRAYS) + 2))
def test_a_process_that_dies_while_it_writes_leaves_nothing(
    folders: NumpyFolders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_flushes: int
) -> None:
    left, flush = [num_flushes], os.fsync

    def dying(descriptor: int) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", dying)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # the dead clean up nothing
    with pytest.raises(KeyboardInterrupt):
        folders.save("two", ARRAYS, ABOUT)
    monkeypatch.undo()
    assert folders.names() == ["one"]
    with folders.writing() as may_write:
        assert may_write
        folders.save("two", ARRAYS, ABOUT)
    assert folders.names() == ["two", "one"]
    assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == [".lock", "one", "two"]


def test_one_process_writes_at_a_time(folders: NumpyFolders, tmp_path: Path) -> None:
    with folders.writing() as first, NumpyFolders(tmp_path / "snapshots").writing() as second:
        assert (first, second) == (True, False)


def test_an_existing_folder_is_not_replaced(folders: NumpyFolders, tmp_path: Path) -> None:
    folders.save("one", ARRAYS, {"model": "v2"})
    assert json.loads((tmp_path / "snapshots" / "one" / MANIFEST).read_text())["about"] == ABOUT
