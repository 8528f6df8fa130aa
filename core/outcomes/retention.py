"""Retention: which answers are kept, by age and by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.clock import DAY_MS


@dataclass(frozen=True, slots=True)
class Retention:
    """`days`: the greatest age of an answer; `max_answers`: about how many are kept, the newest ones."""

    days: float = 30.0
    max_answers: int = 5_000_000

    def oldest_ms(self, now_ms: int) -> int:
        """The time before which answers are deleted for their age."""
        return now_ms - int(self.days * DAY_MS)

    def first_ms(self, now_ms: int, answers_by_day: Mapping[int, int]) -> int:
        """The time before which answers are deleted. `answers_by_day`: how many were counted, by days since 1970,
        from that of `oldest_ms` on.

        Within the day that exceeds `max_answers`, answers are taken as evenly spread.
        """
        oldest_ms = self.oldest_ms(now_ms)
        num_kept = 0
        for day in sorted(answers_by_day, reverse=True):
            num = answers_by_day[day]
            if num_kept + num > self.max_answers:
                share = (self.max_answers - num_kept) / num
                return max(oldest_ms, int((day + 1 - share) * DAY_MS))
            num_kept += num
        return oldest_ms
