"""Copies of data folders, which benchmarks work on, and servers of them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidewise.processes.children import free_port, running, wait_ready


@dataclass(frozen=True, slots=True)
class ServedCopy:
    """A ready `tidewise up` without training on a copy of a data folder."""

    data: Path
    port: int
    process: subprocess.Popen[bytes]

    def file_bytes(self) -> int:
        """The size of all files of the folder."""
        return sum(path.stat().st_size for path in self.data.rglob("*") if path.is_file())


def copy_data(data: Path, copy: Path) -> None:
    """Copy a data folder that no process writes to, without logs and locks."""
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("*.log", "*.lock"))


@contextmanager
def served_copy(data: Path, *, processes: int, niceness: int = 0, settings: Sequence[str] = ()) -> Iterator[ServedCopy]:
    """Serve a copy by so many API processes while the block runs. `niceness`: see nice(1); `settings`: NAME=VALUE."""
    with tempfile.TemporaryDirectory() as name:
        copy, log, port = Path(name) / "data", Path(name) / "up.log", free_port(0)
        copy_data(data, copy)
        arguments = ["up", "--data", str(copy), "--port", str(port), "--no-train", "--processes", str(processes)]
        arguments += [part for setting in settings for part in ("--set", setting)]
        with running(arguments, log=log, niceness=niceness) as process:
            wait_ready(process, f"http://127.0.0.1:{port}", log=log)
            yield ServedCopy(copy, port, process)
