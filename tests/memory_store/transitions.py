"""Transitions of a store in memory."""

from __future__ import annotations

from collections import Counter
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
        new = [
            (writer, row) for key, writer, rows in self.data.transitions if key > read.get(writer, 0) for row in rows
        ]
        return self._changes(new, restarted)

    def after(self, num_rows: Mapping[int, int]) -> TransitionChanges:
        logged = [(writer, row) for _, writer, rows in self.data.transitions for row in rows]
        places, ends = list[int](), Counter[int]()  # places: of each row in its writer's log
        for writer, _ in logged:
            places.append(ends[writer])
            ends[writer] += 1
        restarted = any(ends[writer] < number for writer, number in num_rows.items())
        read = {} if restarted else num_rows
        new = [row for place, row in zip(places, logged, strict=True) if place >= read.get(row[0], 0)]
        return self._changes(new, restarted)

    def _changes(self, new: Sequence[tuple[int, Transition]], restarted: bool) -> TransitionChanges:
        rows = np.array([row for _, row in new], np.int64).reshape(-1, len(Transition._fields))
        reached = {writer: key for key, writer, _ in self.data.transitions}
        return TransitionChanges(rows, reached, restarted, Counter(writer for writer, _ in new))

    def compact(self, writer_key: int) -> None:
        assert writer_key in {writer.key for writer in self.data.writers.values()}

    def clear(self) -> None:
        self.data.transitions = []
