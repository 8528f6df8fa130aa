"""Answers and outcomes of a store in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from core.clock import DAY_MS
from core.ports.outcomes import Dimension, Total
from core.records.outcomes import OF_EVENTS, Counts, Origin, Outcome, StoredAnswer, Wanted, first_key_at
from memory_store.data import MemoryRepository


class MemoryAnswers(MemoryRepository):
    """`core.ports.outcomes.AnswerRepository`."""

    def by_key(self, keys: Sequence[bytes]) -> dict[bytes, StoredAnswer]:
        return {key: self.data.answers[key] for key in sorted(keys) if key in self.data.answers}

    def lock(self, keys: Sequence[bytes]) -> dict[bytes, StoredAnswer]:
        return self.by_key(keys)

    def any_between(self, since_ms: int, until_ms: int) -> bool:
        return any(since_ms <= answer.time_ms <= until_ms for answer in self.data.answers.values())

    def newest(self, wanted: Sequence[Wanted]) -> list[bytes | None]:
        return [self._newest(one) for one in wanted]

    def _newest(self, wanted: Wanted) -> bytes | None:
        fitting = [
            (answer.time_ms, answer.key)
            for answer in self.data.answers.values()
            if (answer.user_id == wanted.user_id and wanted.item_key in answer.item_keys)
            and wanted.since_ms <= answer.time_ms <= wanted.until_ms
        ]
        return max(fitting)[1] if fitting else None

    def randomised(self, origin_keys: Sequence[int], *, limit: int) -> list[StoredAnswer]:
        drawn = [
            answer
            for _, answer in sorted(self.data.answers.items(), reverse=True)
            if answer.origin_key in origin_keys and answer.user_id is not None and answer.propensities is not None
        ]
        return drawn[:limit]

    def origins(self) -> dict[int, Origin]:
        return {key: origin for origin, key in self.data.origins.items()}

    def name_origins(self, origins: Sequence[Origin]) -> dict[Origin, int]:
        for origin in sorted(set(origins)):
            if origin not in self.data.origins:
                self.data.origins[origin] = self.data.next_key()
        return {origin: self.data.origins[origin] for origin in origins}

    def num_items_shown(self, by: str | None, *, since_day: int, until_day: int) -> dict[str | int, int]:
        origins = self.origins()
        groups: dict[str | int, set[int]] = defaultdict(set)
        for day, origin_key, item_key in self.data.items_shown:
            if since_day <= day <= until_day:
                group = "" if by is None else day if by == "day" else getattr(origins[origin_key], by)
                groups[group].add(item_key)
        return {group: len(items) for group, items in groups.items()} or ({"": 0} if by is None else {})

    def add(self, answers: Sequence[StoredAnswer]) -> list[StoredAnswer]:
        new = [answer for answer in answers if answer.key not in self.data.answers]
        self.data.answers |= {answer.key: answer for answer in new}
        return new

    def add_items_shown(self, shown: Sequence[tuple[int, int, int]]) -> None:
        self.data.items_shown |= set(shown)

    def rename_user(self, user_id: str, *, to: str) -> None:
        renamed = [answer._replace(user_id=to) for answer in self.data.answers.values() if answer.user_id == user_id]
        self.data.answers |= {answer.key: answer for answer in renamed}

    def erase_users(self, user_ids: Sequence[str]) -> list[StoredAnswer]:
        erased = [answer for answer in self.data.answers.values() if answer.user_id in user_ids]
        for answer in erased:
            del self.data.answers[answer.key]
        return erased

    def delete_before(self, time_ms: int, *, limit: int) -> int:
        oldest = sorted(key for key in self.data.answers if key < first_key_at(time_ms))[:limit]
        for key in oldest:
            del self.data.answers[key]
        old_days = sorted(shown for shown in self.data.items_shown if shown[0] < time_ms // DAY_MS)[:limit]
        self.data.items_shown.difference_update(old_days)
        return len(oldest) + len(old_days)


class MemoryOutcomes(MemoryRepository):
    """`core.ports.outcomes.OutcomeRepository`."""

    def of_answers(self, answer_keys: Sequence[bytes]) -> list[Outcome]:
        return sorted(outcome for outcome in self.data.outcomes if outcome.answer_key in answer_keys)

    def of_events(self, event_keys: Sequence[bytes]) -> list[Outcome]:
        return sorted(outcome for outcome in self.data.outcomes if outcome.event_key in event_keys)

    def pages(self, *, chunk: int = 50_000) -> Iterator[list[Outcome]]:
        for key in sorted({outcome.answer_key for outcome in self.data.outcomes}):
            yield self.of_answers([key])

    def totals(self, by: Dimension, *, since_day: int, until_day: int) -> list[Total]:
        sums: dict[tuple[int, int], tuple[int, float]] = {}
        for (_, day, origin_key, position, measure), (num, value) in self.data.outcome_counts.items():
            if since_day <= day <= until_day:
                name = ({"day": day, "origin": origin_key, "position": position}[by], measure)
                old = sums.get(name, (0, 0.0))
                sums[name] = (old[0] + num, old[1] + value)
        return [(*name, *sums[name]) for name in sorted(sums)]

    def deferred(self, *, limit: int) -> list[tuple[bytes, bytes]]:
        pairs = ((event, answer) for event, (answer, _) in sorted(self.data.deferred.items()))
        return [(event, answer) for event, answer in pairs if answer in self.data.answers][:limit]

    def add(self, outcomes: Sequence[Outcome]) -> None:
        known = {outcome.event_key for outcome in self.data.outcomes}
        assert not known.intersection(outcome.event_key for outcome in outcomes), "an event has one outcome"
        self.data.outcomes |= set(outcomes)

    def delete(self, event_keys: Sequence[bytes]) -> None:
        self.data.outcomes = {outcome for outcome in self.data.outcomes if outcome.event_key not in event_keys}

    def add_counts(self, writer_key: int, counts: Counts) -> None:
        for key, (num, value) in counts.items():
            old = self.data.outcome_counts.get((writer_key, *key), (0, 0.0))
            self.data.outcome_counts[writer_key, *key] = (old[0] + num, old[1] + value)

    def clear_counts(self) -> None:
        counts = self.data.outcome_counts.items()
        self.data.outcome_counts = {key: total for key, total in counts if key[-1] not in OF_EVENTS}

    def defer(self, pairs: Sequence[tuple[bytes, bytes]], *, now_ms: int) -> None:
        self.data.deferred |= {event: (answer, now_ms) for event, answer in pairs}

    def delete_deferred(self, event_keys: Sequence[bytes]) -> None:
        self.data.deferred = {key: kept for key, kept in self.data.deferred.items() if key not in event_keys}

    def expire_deferred(self, *, before_ms: int) -> None:
        deferred = self.data.deferred.items()
        stored = self.data.answers
        self.data.deferred = {key: kept for key, kept in deferred if kept[1] >= before_ms or kept[0] in stored}
