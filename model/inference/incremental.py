"""The incremental encoder: one new event costs one position, not the whole window. Independent of stores.

In a causal encoder a new event does not change the outputs at earlier positions, so the inputs of each layer are cached
per user. The cache needs no invalidation: each call passes the user's whole window, and cached inputs are used only
where their items and times are a prefix of it. A window that slid, a late event, an erased or an evicted user
therefore cost one full encode. The reference implementation is `BoundEncoder.encode`. Shapes: U users, W window,
B batch, M towers, L events, D width of a tower, C = M * D, S slots.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from core.arrays import FloatArray, IntArray
from core.events.history import History
from model.bundle import BoundEncoder, batches_by_length
from model.inference.folded import FoldedFacets, FoldedLayer, fold
from model.inference.layer_inputs import LayerInputCache

FETCHED_AT_ONCE = 64  # users whose inputs lie in the processor's second cache (2 MiB) together: 25 KiB each
MAX_CATCH_UP = 4  # a user further behind is encoded whole: four single positions cost about as much as one window


@dataclass(frozen=True, slots=True)
class _Windows:
    """Histories as padded arrays."""

    items_UW: IntArray
    times_ms_UW: IntArray
    lengths: IntArray

    @classmethod
    def of(cls, histories: Sequence[History], size: int) -> _Windows:
        """The newest `size` events of each history, padded with -1 and 0."""
        lengths = np.array([min(len(history), size) for history in histories], np.int64)
        assert len(histories) == 0 or lengths.min() > 0, "an empty history has no vector"
        real = np.arange(size) < lengths[:, None]
        items_UW, times_ms_UW = np.full(real.shape, -1, np.int64), np.zeros(real.shape, np.int64)
        items_UW[real] = np.concatenate([history.items[-size:] for history in histories])
        times_ms_UW[real] = np.concatenate([history.times_ms[-size:] for history in histories])
        return cls(items_UW, times_ms_UW, lengths)

    def take(self, rows: IntArray) -> _Windows:
        """The windows of some rows."""
        return _Windows(self.items_UW[rows], self.times_ms_UW[rows], self.lengths[rows])


@dataclass(slots=True)
class EncoderCounts:
    """How many vectors were cached, computed by extending cached inputs, and computed by a full encode."""

    unchanged: int = 0
    extended: int = 0
    full: int = 0


class IncrementalEncoder:
    """Vectors of users after their newest event. One call at a time computes; others wait."""

    def __init__(self, encoder: BoundEncoder, *, memory_mib: float = 256.0) -> None:
        self._encoder = encoder
        self._cache = LayerInputCache(encoder.model.config, memory_mib=memory_mib)
        self._layers = [fold(layer) for layer in encoder.model.towers.layers]
        self._fetched = torch.empty(FETCHED_AT_ONCE, *self._cache.inputs[0].shape[1:])
        self._lock = threading.Lock()
        self.counts = EncoderCounts()

    @property
    def num_cached_users(self) -> int:
        """How many users the memory holds now."""
        return len(self._cache)

    @property
    def max_cached_users(self) -> int:
        """How many users the memory can hold."""
        return self._cache.num_slots

    def rebind(self, encoder: BoundEncoder, changed: IntArray) -> None:
        """Switch to another binding of the same model; users with one of the `changed` items are encoded in full."""
        assert encoder.model is self._encoder.model, "another model needs an incremental encoder of its own"
        with self._lock:
            self._cache.forget_items(changed)
            self._encoder = encoder

    def encode(
        self, users: Sequence[int], histories: Sequence[History], *, binding: BoundEncoder | None = None
    ) -> FloatArray:
        """(U, C) vectors after the last event of each user's window. Users are distinct.

        `binding`: the caller's; if it is not the newest one, it encodes the histories itself, without the cache.
        """
        assert len(set(users)) == len(users) == len(histories), "each user once, each with a history"
        out_UC = np.empty((len(users), self._encoder.width), np.float32)
        size = self._encoder.model.config.window.size
        with self._lock, torch.inference_mode():
            if binding is not None and binding is not self._encoder:
                return binding.encode(histories)
            for begin in range(0, len(users), self._cache.num_slots):
                part = slice(begin, begin + self._cache.num_slots)
                out_UC[part] = self._encode(users[part], _Windows.of(histories[part], size))
        return out_UC

    def _encode(self, users: Sequence[int], windows: _Windows) -> FloatArray:
        """One batch that fits into the memory."""
        cache = self._cache
        slots = cache.acquire(users)
        known = cache.common_lengths(slots, windows.items_UW, windows.times_ms_UW, windows.lengths)
        known = np.where(windows.lengths - known > MAX_CATCH_UP, 0, known)
        cache.lengths[slots] = 0  # until the end, so that a failure half-way invalidates these slots
        whole = np.flatnonzero(known == 0)
        for batch in batches_by_length(windows.lengths[whole]):
            self._read_whole(slots[whole[batch]], windows.take(whole[batch]))
        for behind in range(MAX_CATCH_UP, 0, -1):
            rows = np.flatnonzero((known > 0) & (windows.lengths - known >= behind))
            if len(rows):
                self._read_one(slots[rows], windows.take(rows), windows.lengths[rows] - behind)
        cache.remember(slots, windows.items_UW, windows.times_ms_UW, windows.lengths)
        self._count(known, windows.lengths)
        return cast(FloatArray, cache.vectors[torch.from_numpy(slots)].numpy())

    def _count(self, known: IntArray, lengths: IntArray) -> None:
        self.counts.full += int((known == 0).sum())
        self.counts.unchanged += int((known == lengths).sum())
        self.counts.extended += int(((known > 0) & (known < lengths)).sum())

    def _vectors_of(self, item_keys: IntArray) -> Tensor:
        """Item vectors by key, of the same shape and C."""
        rows = self._encoder.catalogue.rows(item_keys.ravel())
        return torch.from_numpy(self._encoder.table.take(rows)).view(*item_keys.shape, -1)

    def _read_whole(self, slots: IntArray, windows: _Windows) -> None:
        """Encode whole windows and cache each layer's inputs. The top layer computes the last position only."""
        model, length = self._encoder.model, int(windows.lengths.max())
        items_BLC = self._vectors_of(windows.items_UW[:, :length])
        times_ms_BL = torch.from_numpy(windows.times_ms_UW[:, :length])
        events = model.events(items_BLC, times_ms_BL)
        x_MBLD = model.tokens(events.vectors)
        slots_B, last_B = torch.from_numpy(slots), torch.from_numpy(windows.lengths - 1)
        *lower, top = self._layers
        for number, folded in enumerate(lower):
            self._cache.inputs[number][slots_B, :, :length] = x_MBLD.transpose(0, 1)
            x_MBLD = folded.layer(x_MBLD, None if events.bias is None else events.bias[number])
        self._cache.inputs[-1][slots_B, :, :length] = x_MBLD.transpose(0, 1)
        last_MBD = x_MBLD[:, torch.arange(len(slots)), last_B]
        top_bias_BMHW = self._biases(windows, last_B)[-1]
        last_MBD = self._attend(top, last_MBD, self._cache.inputs[-1], slots_B, top_bias_BMHW)
        self._cache.vectors[slots_B] = last_MBD.transpose(0, 1).flatten(1)

    def _read_one(self, slots: IntArray, windows: _Windows, positions: IntArray) -> None:
        """Encode one event of each user, at these positions (none is 0) of the windows; earlier ones are cached."""
        model, rows = self._encoder.model, np.arange(len(slots))
        items_B1C = self._vectors_of(windows.items_UW[rows, positions][:, None])
        two_times = np.stack([windows.times_ms_UW[rows, positions - 1], windows.times_ms_UW[rows, positions]], axis=1)
        time_B1T = model.time_encoding(torch.from_numpy(two_times))[:, 1:]
        positions_B, slots_B = torch.from_numpy(positions), torch.from_numpy(slots)
        x_MBD = model.tokens(model.enrich(items_B1C, positions_B.unsqueeze(1), time_B1T).vectors).squeeze(2)
        biases = self._biases(windows, positions_B)
        kept_MB = self._cache.rows_of(slots_B, positions_B)
        for folded, inputs_SMWD, bias_BMHW in zip(self._layers, self._cache.inputs, biases, strict=True):
            inputs_SMWD.view(-1, x_MBD.shape[-1]).index_copy_(0, kept_MB.flatten(), x_MBD.flatten(0, 1))
            x_MBD = self._attend(folded, x_MBD, inputs_SMWD, slots_B, bias_BMHW)
        self._cache.vectors[slots_B] = x_MBD.transpose(0, 1).flatten(1)

    def _biases(self, windows: _Windows, positions_B: Tensor) -> Sequence[Tensor]:
        """(B, M, H, W) of each layer: what is added to the scores of the query at each position, -inf after it.

        Without relative attention the causal mask alone, whose M and H are 1.
        """
        model = self._encoder.model
        if model.relative is not None:
            return model.relative.at(torch.from_numpy(windows.times_ms_UW), positions_B).unbind(0)
        later_BW = torch.arange(model.config.window.size) > positions_B.unsqueeze(1)
        return [torch.zeros(later_BW.shape).masked_fill_(later_BW, -torch.inf)[:, None, None]] * len(self._layers)

    def _attend(
        self, folded: FoldedLayer | FoldedFacets, x_MBD: Tensor, inputs_SMWD: Tensor, slots_B: Tensor, bias_BMHW: Tensor
    ) -> Tensor:
        """One layer's output at one position of each user; the input at that position is cached already."""
        queries_BMHD = folded.queries(x_MBD)
        mixed_BMHD = torch.empty_like(queries_BMHD, memory_format=torch.contiguous_format)
        for begin in range(0, len(slots_B), FETCHED_AT_ONCE):
            part = slice(begin, begin + FETCHED_AT_ONCE)
            fetched_BMWD = self._fetched[: len(slots_B[part])]
            torch.index_select(inputs_SMWD, 0, slots_B[part], out=fetched_BMWD)
            mixed_BMHD[part] = folded.attend(queries_BMHD[part], fetched_BMWD, bias_BMHW[part])
        return folded.finish(x_MBD, mixed_BMHD)
