"""The repositories of popularity and event counts. Writers have separate rows and never wait for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray
from core.popularity import PopularityChanges


class PopularityReader(Protocol):
    """Reads decayed popularity."""

    def scores(self) -> tuple[IntArray, NDArray[np.float64]]:
        """Item keys and their decayed log2 counts, summed over all writers (see `core.popularity`).

        The counts of the writer of corrections are subtracted; -inf where all was taken back.
        """
        ...

    def scores_of(self, item_keys: IntArray) -> tuple[IntArray, NDArray[np.float64]]:
        """The same of these items; items without events are missing."""
        ...

    def since(self, position: Mapping[int, int] | None) -> PopularityChanges:
        """The scores that changed after a position; None: all."""
        ...


class PopularityRepository(PopularityReader, Protocol):
    """Reads and writes decayed popularity."""

    def add(self, writer_key: int, scores: Mapping[int, float]) -> None:
        """Add decayed log2 counts by item key to those of this writer."""
        ...

    def compact(self, writer_key: int) -> None:
        """Delete the older rows of a locked writer's log of changes; readers that follow closely read nothing again."""
        ...

    def clear(self) -> None:
        """Delete all scores."""
        ...


class EventCountReader(Protocol):
    """Reads the numbers of events per time bucket and type."""

    def total(self, *, since_ms: int, type_codes: Sequence[int] | None = None) -> int:
        """The number of events (of these types) in buckets that begin at `since_ms` or later."""
        ...

    def by_step(self, *, since_ms: int = 0, before_ms: int = 2**62, step_ms: int = 1) -> dict[tuple[int, int], int]:
        """All numbers that are not 0, by step start (ms) and type code, summed over all writers.

        Of the buckets that begin from `since_ms` on and before `before_ms`; a step begins at a multiple of `step_ms`.
        """
        ...


class EventCountRepository(EventCountReader, Protocol):
    """Reads and writes the numbers of events per time bucket and type."""

    def add(self, writer_key: int, counts: Mapping[tuple[int, int], int]) -> None:
        """Add to this writer's counters of (bucket start in ms, type code)."""
        ...

    def clear(self) -> None:
        """Delete all counters."""
        ...
