"""The repository of item transitions: an append-only log of counts per writer, which readers follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.transitions.transition import Transition, TransitionChanges


class TransitionReader(Protocol):
    """Reads transitions."""

    def since(self, position: Mapping[int, int]) -> TransitionChanges:
        """The transitions that were added after a position; an empty position reads all."""
        ...

    def after(self, num_rows: Mapping[int, int]) -> TransitionChanges:
        """The transitions after so many first ones of each writer, whose order compaction keeps.

        A log that holds fewer has restarted.
        """
        ...


class TransitionRepository(TransitionReader, Protocol):
    """Reads and writes transitions."""

    def add(self, writer_key: int, transitions: Sequence[Transition]) -> None:
        """Append transitions to the log of a locked writer."""
        ...

    def compact(self, writer_key: int) -> None:
        """Join the older rows of a locked writer's log; readers that follow closely read nothing again."""
        ...

    def clear(self) -> None:
        """Delete all transitions."""
        ...
