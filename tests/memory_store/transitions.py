"""Transitions of a store in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.transitions.transition import Transition, TransitionChanges
from memory_store.data import MemoryRepository


class MemoryTransitions(MemoryRepository):
    """`core.ports.transitions.TransitionRepository`; compaction has no effect here."""

    def add(self, writer_key: int, transitions: Sequence[Transition]) -> None:
        if transitions:
            self.data.transitions = [*self.data.transitions, (self.data.next_key(), writer_key, tuple(transitions))]

    def since(self, position: Mapping[int, int]) -> TransitionChanges:
        keys = {key for key, _, _ in self.data.transitions}
        restarted = not position or not keys.issuperset(position.values())
        read = {} if restarted else position
        rows = [row for key, writer, rows in self.data.transitions if key > read.get(writer, 0) for row in rows]
        reached = {**read, **{writer: key for key, writer, _ in self.data.transitions}}
        return TransitionChanges(np.array(rows, np.int64).reshape(-1, len(Transition._fields)), reached, restarted)

    def compact(self, writer_key: int) -> None:
        assert writer_key in {writer.key for writer in self.data.writers.values()}

    def clear(self) -> None:
        self.data.transitions = []
