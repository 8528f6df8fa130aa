"""The repository of dead letters: input that could not be applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.records.stored import DeadLetter


class DeadLetterReader(Protocol):
    """Reads dead letters."""

    def newest(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters, newest first."""
        ...

    def page(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Dead letters in ascending key after `after`."""
        ...

    def count(self) -> int:
        """The number of stored dead letters."""
        ...


class DeadLetterRepository(DeadLetterReader, Protocol):
    """Reads and writes dead letters."""

    def add(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Store bad input. The same payload from the same position (source, partition, offset) is stored once."""
        ...

    def update(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Store the reasons and retry counts of stored dead letters, by their keys."""
        ...

    def delete(self, keys: Sequence[int]) -> int:
        """Delete dead letters; returns how many were deleted."""
        ...
