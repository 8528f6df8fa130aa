"""Ordinals of identical rows, in memory that grows only with the number of those that repeat.

An import gives identical rows different event ids by their ordinal. A set of Python objects takes a hundred bytes per
row; this keeps sorted arrays of 64-bit hashes, merged as they grow. Long ones are in temporary files without names.
"""

from __future__ import annotations

from collections.abc import Sequence
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from core.arrays import look_up

Hashes = NDArray[np.uint64]

MAX_IN_MEMORY = 1 << 21  # hashes of a run: 16 MiB, three times that while two are merged


class RowOrdinals:
    """Counts identical digests across batches."""

    def __init__(self) -> None:
        self._runs: list[Hashes] = []  # sorted, each at least twice as long as the next
        self._counts: dict[int, int] = {}  # of rows seen more than once

    @property
    def num_runs(self) -> int:
        """The number of sorted arrays that a lookup searches: log2 of a number of batches, and those in files."""
        return len(self._runs)

    def ordinals(self, digests: Sequence[bytes]) -> list[int]:
        """For each digest (all of as many bytes, a multiple of 8) the number of equal ones before it.

        Rows with equal first 64 bits count as equal; their event ids still differ.
        """
        if not digests:
            return []
        hashes = np.frombuffer(b"".join(digests), np.uint64).reshape(len(digests), -1)[:, 0]
        distinct, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        known = self._are_known(distinct)
        ordinals = [0] * len(digests)
        for index in np.flatnonzero((known | (counts > 1))[inverse]).tolist():
            name = int(hashes[index])
            ordinals[index] = self._counts.get(name, int(known[inverse[index]]))
            self._counts[name] = ordinals[index] + 1
        self._remember(distinct[~known])
        return ordinals

    def _are_known(self, hashes: Hashes) -> NDArray[np.bool_]:
        known = np.zeros(len(hashes), np.bool_)
        for run in self._runs:
            known |= look_up(run, hashes)[1]
        return known

    def _remember(self, hashes: Hashes) -> None:
        while self._runs and len(self._runs[-1]) < min(2 * len(hashes), MAX_IN_MEMORY):
            hashes = np.concatenate([self._runs.pop(), hashes])
            hashes.sort(kind="stable")  # of two sorted runs: a merge, in place
        if len(hashes):
            self._runs.append(hashes if len(hashes) < MAX_IN_MEMORY else _in_file(hashes))


def _in_file(hashes: Hashes) -> Hashes:
    """The same hashes, mapped from a file, whose pages the system may drop; in memory where the disk is full."""
    try:
        with TemporaryFile() as file:
            hashes.tofile(file)
            file.flush()
            return np.memmap(file, np.uint64, mode="r")
    except OSError:
        return hashes
