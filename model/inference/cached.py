"""A bundle whose bindings encode batches incrementally: the same ports and vectors, less work for a live stream.

Implements the ports `ModelBundle` and `Encoder` around `model.bundle`. The ports pass no user ids, so the cache key is
a window's first event; cached inputs are compared event by event before they are used. Two users whose windows begin
with the same event evict each other, which costs a full encode.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.blending.blend import Blend
from core.catalogue.items import Catalogue
from core.events.history import History, WindowShape
from core.ports.encoder import EncodedItems
from model.bundle import BoundEncoder, HM4SRBundle
from model.inference.incremental import IncrementalEncoder

SMALLEST_BATCH = 8  # one history alone is as fast to encode whole, and should never wait for a batch


@dataclass(frozen=True)
class CachedEncoder:
    """One binding; batches are encoded with the cache that all bindings of the bundle share."""

    plain: BoundEncoder
    incremental: IncrementalEncoder

    @property
    def width(self) -> int:
        """C: the length of query and item vectors."""
        return self.plain.width

    def items(self, rows: IntArray) -> FloatArray:
        """(N, C) vectors of items by their rows in the catalogue."""
        return self.plain.items(rows)

    def trained(self, rows: IntArray) -> BoolArray:
        """(N,) whether the model has been trained on these items."""
        return self.plain.trained(rows)

    def unseen_items(self, rows: IntArray) -> FloatArray:
        """(N, C) vectors of items as if they had not been trained on."""
        return self.plain.unseen_items(rows)

    def query(self, vectors: FloatArray, gaps_ms: IntArray) -> FloatArray:
        """(B, C) queries: the vectors shaped by the gaps to now, where the model reads them."""
        return self.plain.query(vectors, gaps_ms)

    def gap_step(self, gap_ms: int) -> int:
        """The step of a gap to now: gaps of the same step shape a query alike."""
        return self.plain.gap_step(gap_ms)

    def repeats(self, history: History) -> FloatArray | None:
        """(L,) what each event adds to the score of its own item."""
        return self.plain.repeats(history)

    def rebind(self, catalogue: Catalogue, rows: IntArray) -> CachedEncoder:
        """The encoder over a successor of its catalogue, which takes over the cache."""
        plain = self.plain.rebind(catalogue, rows)
        self.incremental.rebind(plain, catalogue.keys[rows])
        return CachedEncoder(plain, self.incremental)

    def encode(self, histories: Sequence[History]) -> FloatArray:
        """(B, C) queries after the last event of each history; none is empty."""
        if len(histories) < SMALLEST_BATCH:
            return self.plain.encode(histories)
        size = self.plain.model.config.window.size
        row_by_key: dict[int, int] = {}
        for row, history in enumerate(histories):
            begin = max(0, len(history) - size)
            row_by_key.setdefault(hash((int(history.items[begin]), int(history.times_ms[begin]))), row)
        chosen = list(row_by_key.values())
        vectors = self.incremental.encode(list(row_by_key), [histories[row] for row in chosen], binding=self.plain)
        if len(chosen) == len(histories):
            return vectors
        others = np.setdiff1d(np.arange(len(histories)), chosen)
        out_BC = np.empty((len(histories), self.width), np.float32)
        out_BC[chosen] = vectors
        out_BC[others] = self.plain.encode([histories[row] for row in others])
        return out_BC


class CachedBundle:
    """A bundle with one bounded cache of recently active users."""

    def __init__(self, bundle: HM4SRBundle, *, memory_mib: float) -> None:
        self.bundle, self._memory_mib = bundle, memory_mib
        self._incremental: IncrementalEncoder | None = None
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """Names the model."""
        return self.bundle.version

    @property
    def window(self) -> WindowShape:
        """The window that it was trained for."""
        return self.bundle.window

    @property
    def blend(self) -> Blend | None:
        """The weights of the encoder beside live counts."""
        return self.bundle.blend

    def bind(self, catalogue: Catalogue, *, encoded: EncodedItems | None = None) -> CachedEncoder:
        """The encoder over this catalogue. The newest binding has the cache; older ones encode in full."""
        plain = self.bundle.bind(catalogue, encoded=encoded)
        with self._lock:
            if self._incremental is None:
                self._incremental = IncrementalEncoder(plain, memory_mib=self._memory_mib)
            else:
                self._incremental.rebind(plain, catalogue.keys)
            return CachedEncoder(plain, self._incremental)
