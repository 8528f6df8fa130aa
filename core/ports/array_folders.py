"""The port of folders of arrays on a disk: each is made aside and then there as a whole, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


class DamagedArrays(ValueError):
    """A set of arrays is not as it was written; the message says what differs."""


class ArrayFolders(Protocol):
    """Named sets of arrays, which never change; several processes read and write them."""

    def names(self) -> list[str]:
        """The sets that are complete, the newest first."""
        ...

    def age_s(self, name: str) -> float:
        """Seconds since a complete set was written."""
        ...

    def save(self, name: str, arrays: Arrays, about: Mapping[str, Any]) -> None:
        """Write a set with a JSON object about it, so that it outlives a power failure; an existing one stays."""
        ...

    def load(self, name: str) -> tuple[Arrays, Mapping[str, Any]]:
        """The arrays, whose pages all processes share until they write to them, and what they are about.

        Raises `DamagedArrays` where a file is missing, truncated or differs from its checksum.
        """
        ...

    def delete(self, name: str) -> None:
        """Delete a set; whoever has loaded it keeps it."""
        ...

    def writing(self) -> AbstractContextManager[bool]:
        """Whether this process may write until the end of the block: no other one does."""
        ...
