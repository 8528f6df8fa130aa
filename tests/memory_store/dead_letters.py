"""Dead letters of a store in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.records.stored import DeadLetter
from memory_store.data import MemoryRepository, origin_of


class MemoryDeadLetters(MemoryRepository):
    """`core.ports.dead_letters.DeadLetterRepository`."""

    def newest(self, *, limit: int = 100) -> list[DeadLetter]:
        return self.data.dead_letters[::-1][:limit]

    def page(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        return [dead_letter for dead_letter in self.data.dead_letters if (dead_letter.key or 0) > after][:limit]

    def count(self) -> int:
        return len(self.data.dead_letters)

    def add(self, dead_letters: Sequence[DeadLetter]) -> None:
        for dead_letter in dead_letters:
            if origin_of(dead_letter) not in map(origin_of, self.data.dead_letters):
                self.data.dead_letters.append(replace(dead_letter, key=self.data.next_key()))

    def delete(self, keys: Sequence[int]) -> int:
        kept = [dead_letter for dead_letter in self.data.dead_letters if dead_letter.key not in set(keys)]
        dropped = len(self.data.dead_letters) - len(kept)
        self.data.dead_letters = kept
        return dropped

    def update(self, dead_letters: Sequence[DeadLetter]) -> None:
        new = {dead_letter.key: dead_letter for dead_letter in dead_letters}
        self.data.dead_letters = [
            replace(old, reason=new[old.key].reason, num_retries=new[old.key].num_retries) if old.key in new else old
            for old in self.data.dead_letters
        ]
