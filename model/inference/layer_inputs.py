"""Each layer's cached inputs for recently active users, in one block of bounded memory. Independent of networks.

Shapes: S slots, U users, M towers, W window, D width of a tower, C width of a vector. A slot holds one user: the
encoded items and times (to check that they are still a prefix of the history), each layer's inputs at every position,
and the vector after the last event. The least recently used user is evicted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from core.arrays import IntArray
from core.errors import InvalidSettings
from model.network.config import ModelConfig

MIB = 2**20


class LayerInputCache:
    """The cached inputs, and the slots of the cached users."""

    def __init__(self, config: ModelConfig, *, memory_mib: float) -> None:
        window = config.window.size
        self.bytes_per_user = 4 * config.vector_width * (config.num_layers * window + 1) + 16 * window
        self.num_slots = int(memory_mib * MIB) // self.bytes_per_user
        if self.num_slots < 1:
            msg = (
                f"encoder cache: wanted room for at least one user ({self.bytes_per_user / MIB:.2f} MiB), "
                f"got {memory_mib} MiB; raise the setting"
            )
            raise InvalidSettings(msg)
        shape = (self.num_slots, len(config.towers), window, config.width)
        # (S, M, W, D) of each layer. Zeros by numpy: memory is taken where it is first written, not all at once while a
        # promotion is under way (0.4 s for 256 MiB).
        zeros = [np.zeros(shape, np.float32) for _ in range(config.num_layers)]
        self.inputs = [torch.from_numpy(layer) for layer in zeros]
        self.vectors = torch.empty(self.num_slots, config.vector_width)
        self.items = np.empty((self.num_slots, window), np.int64)
        self.times_ms = np.empty((self.num_slots, window), np.int64)
        self.lengths = np.zeros(self.num_slots, np.int64)
        self._slot_of: OrderedDict[int, int] = OrderedDict()
        self._free = list(range(self.num_slots))

    def __len__(self) -> int:
        return len(self._slot_of)

    def acquire(self, users: Sequence[int]) -> IntArray:
        """(U,) the slots of these users, at most `num_slots` and each once; a newcomer's slot has length 0."""
        assert len(users) <= self.num_slots
        for user in users:
            if user in self._slot_of:
                self._slot_of.move_to_end(user)
        for user in users:
            if user not in self._slot_of:
                slot = self._free.pop() if self._free else self._slot_of.popitem(last=False)[1]
                self.lengths[slot] = 0
                self._slot_of[user] = slot
        return np.fromiter((self._slot_of[user] for user in users), np.int64, len(users))

    def rows_of(self, slots_B: Tensor, positions_B: Tensor) -> Tensor:
        """(M, B) the rows of one position of each user in a layer's inputs, seen as one table of width D."""
        _, num_towers, window, _ = self.inputs[0].shape
        return (slots_B * num_towers + torch.arange(num_towers).unsqueeze(1)) * window + positions_B

    def common_lengths(self, slots: IntArray, items_UW: IntArray, times_ms_UW: IntArray, lengths: IntArray) -> IntArray:
        """(U,) the length of each slot if it is a prefix of the user's history, otherwise 0."""
        cached = self.lengths[slots]
        same = (self.items[slots] == items_UW) & (self.times_ms[slots] == times_ms_UW)
        beyond = np.arange(items_UW.shape[1]) >= cached[:, None]
        return np.where((same | beyond).all(1) & (cached <= lengths), cached, 0)

    def remember(self, slots: IntArray, items_UW: IntArray, times_ms_UW: IntArray, lengths: IntArray) -> None:
        """Store the items and times that the slots now cover."""
        self.items[slots], self.times_ms[slots], self.lengths[slots] = items_UW, times_ms_UW, lengths

    def forget_items(self, item_keys: IntArray) -> None:
        """Invalidate the slots with items whose vectors have changed."""
        read = np.arange(self.items.shape[1]) < self.lengths[:, None]
        self.lengths[(np.isin(self.items, item_keys) & read).any(1)] = 0
