"""Which of many rows are repeats of earlier ones, in about nine bytes a row.

An import gives each of several identical rows its own event id by its ordinal among them. A set of Python objects would
take a hundred bytes a row; here what was seen is kept as sorted arrays of 64-bit hashes, merged as they grow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


class RowOrdinals:
    """Counts identical digests across batches."""

    def __init__(self) -> None:
        self._runs: list[Hashes] = []  # sorted, each at least twice as long as the next
        self._counts: dict[int, int] = {}  # of those seen more than once

    @property
    def num_runs(self) -> int:
        """How many sorted arrays a lookup goes through: about the log2 of the number of batches."""
        return len(self._runs)

    def ordinals(self, digests: Sequence[bytes]) -> list[int]:
        """For each digest (at least 8 bytes) how many equal ones came before it.

        Two different rows whose first 64 bits agree count as equal: their event ids still differ.
        """
        hashes = np.frombuffer(b"".join(digest[:8] for digest in digests), np.uint64)
        distinct, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        known = self._are_known(distinct)
        found = [0] * len(digests)
        for place in np.flatnonzero((known | (counts > 1))[inverse]).tolist():
            name = int(hashes[place])
            found[place] = self._counts.get(name, int(known[inverse[place]]))
            self._counts[name] = found[place] + 1
        self._remember(distinct[~known])
        return found

    def _are_known(self, hashes: Hashes) -> NDArray[np.bool_]:
        known = np.zeros(len(hashes), np.bool_)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            known |= run[places] == hashes
        return known

    def _remember(self, hashes: Hashes) -> None:
        while self._runs and len(self._runs[-1]) < 2 * len(hashes):
            # A stable sort of two sorted runs is a merge.
            hashes = np.sort(np.concatenate([self._runs.pop(), hashes]), kind="stable")
        if len(hashes):
            self._runs.append(hashes)
