"""Folders of arrays: NumPy files with a manifest, written aside, checksummed, and mapped into memory when read.

    FOLDER/NAME/manifest.json     what the arrays are about, and the size and checksum of each file
    FOLDER/NAME/*.npy             the arrays
    FOLDER/.NAME.*                one that is being written, or was when its process died

Independent of what the arrays mean. Implements `core.ports.array_folders.ArrayFolders`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from core.ports.array_folders import Arrays, DamagedArrays
from core.ports.file_checks import OWN_CHECKS, FileChecks

MANIFEST = "manifest.json"
LOCK = ".lock"
PIECE_BYTES = 1 << 18  # checksummed at once: they stay in the processor's cache


class NumpyFolders:
    """The folders of arrays in one folder, which is made when the first is written."""

    def __init__(self, folder: Path, checks: FileChecks = OWN_CHECKS) -> None:
        self._folder = folder
        self._checks = checks

    def names(self) -> list[str]:
        """The complete folders, the newest first."""
        manifests = dict[Path, int]()
        for path in self._folder.glob(f"[!.]*/{MANIFEST}"):
            with suppress(FileNotFoundError):  # another process has just deleted it
                manifests[path] = path.stat().st_mtime_ns
        return [path.parent.name for path in sorted(manifests, key=manifests.__getitem__, reverse=True)]

    def age_s(self, name: str) -> float:
        """Seconds since a complete folder was written; 0 if another process has just deleted it."""
        try:
            return time.time() - (self._folder / name / MANIFEST).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def save(self, name: str, arrays: Arrays, about: Mapping[str, Any]) -> None:
        """Write all files and flush them to the disk, then give the folder its name; an existing one stays."""
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=self._folder))
        try:
            files = {key: _write(unfinished / f"{key}.npy", array) for key, array in arrays.items()}
            with (unfinished / MANIFEST).open("w", encoding="utf-8") as manifest:
                json.dump({"about": about, "files": files}, manifest, indent=1)
                manifest.flush()
                os.fsync(manifest.fileno())
            _flush_folder(unfinished)
            if not (self._folder / name).exists():
                unfinished.rename(self._folder / name)
                _flush_folder(self._folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def load(self, name: str) -> tuple[Arrays, Mapping[str, Any]]:
        """Map the arrays into memory, after a comparison with their checksums; raises `DamagedArrays`."""
        folder = self._folder / name
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            files = {folder / f"{key}.npy": expected for key, expected in manifest["files"].items()}
            _check_sizes({path: size for path, (size, _) in files.items()})
            self._checks.check({path: str(checksum) for path, (_, checksum) in files.items()}, _checksum)
            return {path.stem: _mapped(path) for path in files}, manifest["about"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            msg = f"{folder} is damaged ({error})"
            raise DamagedArrays(msg) from error

    def delete(self, name: str) -> None:
        """Delete a folder."""
        shutil.rmtree(self._folder / name, ignore_errors=True)

    @contextmanager
    def writing(self) -> Iterator[bool]:
        """Whether no other process writes here; what a process left that died while it wrote is deleted."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            for unfinished in self._folder.glob(".*/"):
                shutil.rmtree(unfinished, ignore_errors=True)
            yield True


def _write(path: Path, array: Any) -> tuple[int, int]:
    """The size and the checksum of the file that is written."""
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        os.fsync(file.fileno())
    return path.stat().st_size, int(_checksum(path))


def _check_sizes(sizes: Mapping[Path, int]) -> None:
    """Raises `ValueError`; reads no file."""
    for path, size in sizes.items():
        if path.stat().st_size != size:
            msg = f"{path.name} differs in size: wanted {size} bytes, got {path.stat().st_size}"
            raise ValueError(msg)


def _mapped(path: Path) -> Any:
    """The array, mapped privately: what this process writes to it, it alone sees; raises `ValueError`."""
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    return np.asarray(array) if array.size else array


def _checksum(path: Path) -> str:
    checksum, piece = 0, memoryview(bytearray(PIECE_BYTES))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(piece):
            checksum = zlib.crc32(piece[:size], checksum)
    return str(checksum)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
