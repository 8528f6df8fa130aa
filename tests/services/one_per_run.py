"""What the processes of a test run share: folders made once, services that the first starts and the last stops."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

Service = TypeVar("Service")


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """The folder of temporary files of the whole run."""
    folder = factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def made_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """A file or folder that the first test process builds and the others wait for."""
    return kept(run_folder(factory) / name, build)


def kept(path: Path, build: Callable[[Path], None]) -> Path:
    """A file or folder that is built where it does not exist; one process builds it, others wait."""
    with _locked(path.with_suffix(".lock")):
        if not path.exists():
            unfinished = path.with_suffix(".new")
            if unfinished.exists():  # of a process that was killed
                shutil.rmtree(unfinished)
            build(unfinished)
            unfinished.rename(path)
    return path


@contextmanager
def shared_service(folder: Path, *, start: Callable[[], Service], stop: Callable[[Service], None]) -> Iterator[Service]:
    """A service that the first process to need it starts, and the last one stops; `folder` is for its name.

    `Service` describes it, pickled for the others. Who uses it holds a lock, which ends with its process.
    """
    description = folder.with_suffix(".service")
    with folder.with_suffix(".users").open("w") as users:
        with _locked(folder.with_suffix(".lock")):
            if description.exists():
                service: Service = pickle.loads(description.read_bytes())
            else:
                service = start()
                description.write_bytes(pickle.dumps(service))
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield service
        finally:
            with _locked(folder.with_suffix(".lock")):
                if _is_last(users.fileno()):
                    description.unlink()
                    stop(service)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_last(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
