"""Disks that fill up: a file system of a few MiB, or a limit on how long a process's files may get."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_MIB = 24
BLOCK_BYTES = 64 * 1024


class Disk(ABC):
    """The disk of a server, which can be filled and freed."""

    @abstractmethod
    def fill(self, pid: int) -> None: ...

    @abstractmethod
    def free(self, pid: int) -> None: ...


class LimitedFiles(Disk):
    """No file of the process may grow beyond the longest one: writes fail as on a broken disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self, pid: int) -> None:
        longest = max(path.stat().st_size for path in self._folder.iterdir())
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (longest, resource.RLIM_INFINITY))

    def free(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class TinyDisk(Disk):
    """A file system in memory, filled to the last block: writes fail with ENOSPC."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self, pid: int) -> None:
        block = bytes(BLOCK_BYTES)
        with self._filler.open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(block)
                except OSError:
                    if len(block) == 1:
                        return
                    block = block[: len(block) // 2]

    def free(self, pid: int) -> None:
        self._filler.unlink()


class CannotMount(Exception):
    """File systems cannot be mounted here."""


@contextmanager
def tiny_disk(folder: Path) -> Iterator[TinyDisk]:
    """A file system of a few MiB at `folder`, until the end of the block; needs root."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    if os.geteuid() or not shutil.which("mount"):
        raise CannotMount("only root mounts a file system")
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        raise CannotMount(mounted.stderr.strip())
    try:
        yield TinyDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
