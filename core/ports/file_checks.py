"""The port of file checks: files that never change are compared with their checksums before they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

Checksum = Callable[[Path], str]


class WrongChecksum(ValueError):
    """A file is not as it was written."""

    def __init__(self, path: Path, wanted: str, got: str) -> None:
        super().__init__(f"{path.name} differs from its checksum")
        self.path, self.wanted, self.got = path, wanted, got


class FileChecks(Protocol):
    """Compares files with their checksums; processes may share what they found."""

    def check(self, wanted: Mapping[Path, str], checksum: Checksum) -> None:
        """Compare files with what `checksum` wants of each; raises `WrongChecksum`, or `OSError` for a missing one."""
        ...


class OwnChecks:
    """Reads every file at every call."""

    def check(self, wanted: Mapping[Path, str], checksum: Checksum) -> None:
        """Raises `WrongChecksum`."""
        for path, expected in wanted.items():
            check_one(path, expected, checksum)


def check_one(path: Path, wanted: str, checksum: Checksum) -> None:
    """Raises `WrongChecksum`."""
    got = checksum(path)
    if got != wanted:
        raise WrongChecksum(path, wanted, got)


OWN_CHECKS = OwnChecks()
