"""The repositories of answers and outcomes. Writers have separate counts and never wait for each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from core.records.outcomes import Counts, Origin, Outcome, StoredAnswer, Wanted

Dimension = Literal["day", "origin", "position"]
Total = tuple[int, int, int, float]  # group, measure, number, value


class AnswerReader(Protocol):
    """Reads answers."""

    def by_key(self, keys: Sequence[bytes]) -> dict[bytes, StoredAnswer]:
        """Stored answers by their keys."""
        ...

    def any_between(self, since_ms: int, until_ms: int) -> bool:
        """Whether an answer was given between two times, both included."""
        ...

    def newest(self, wanted: Sequence[Wanted]) -> list[bytes | None]:
        """For each of them the key of the newest answer, None where there is none."""
        ...

    def randomised(self, origin_keys: Sequence[int], *, limit: int) -> list[StoredAnswer]:
        """The newest answers to users, by these origins, in which something was drawn; newest first."""
        ...

    def origins(self) -> dict[int, Origin]:
        """All origins by key."""
        ...

    def num_items_shown(self, by: str | None, *, since_day: int, until_day: int) -> dict[str | int, int]:
        """How many different items were shown from one day to another, both included.

        `by`: a field of `Origin`, or "day"; None: in all, under the key "".
        """
        ...


class AnswerRepository(AnswerReader, Protocol):
    """Reads and writes answers."""

    def name_origins(self, origins: Sequence[Origin]) -> dict[Origin, int]:
        """The keys of origins, created where they are new."""
        ...

    def add(self, answers: Sequence[StoredAnswer]) -> list[StoredAnswer]:
        """Store answers; returns those that were not stored yet."""
        ...

    def add_items_shown(self, shown: Sequence[tuple[int, int, int]]) -> None:
        """Note (day, origin key, item key) of items shown; known ones stay."""
        ...

    def lock(self, keys: Sequence[bytes]) -> dict[bytes, StoredAnswer]:
        """The answers that are stored, locked in ascending key until the transaction ends."""
        ...

    def rename_user(self, user_id: str, *, to: str) -> None:
        """Give the answers to one id to another."""
        ...

    def erase_users(self, user_ids: Sequence[str]) -> list[StoredAnswer]:
        """Delete the answers to these ids; returns them."""
        ...

    def delete_before(self, time_ms: int, *, limit: int) -> int:
        """Delete answers and notes of items shown from before a time, `limit` of each; returns how many of both."""
        ...


class OutcomeReader(Protocol):
    """Reads outcomes and their counts."""

    def of_answers(self, answer_keys: Sequence[bytes]) -> list[Outcome]:
        """The outcomes of these answers, ascending."""
        ...

    def of_events(self, event_keys: Sequence[bytes]) -> list[Outcome]:
        """The outcomes of these events, ascending."""
        ...

    def pages(self, *, chunk: int = 50_000) -> Iterator[list[Outcome]]:
        """All outcomes, ascending, about `chunk` at a time; no page splits an answer."""
        ...

    def totals(self, by: Dimension, *, since_day: int, until_day: int) -> list[Total]:
        """The counts of the days from one to another, both included, by group and measure, summed over all writers."""
        ...

    def deferred(self, *, limit: int) -> list[tuple[bytes, bytes]]:
        """Deferred events whose answers are stored: pairs of event key and answer key."""
        ...


class OutcomeRepository(OutcomeReader, Protocol):
    """Reads and writes outcomes and their counts."""

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Store outcomes of new events."""
        ...

    def delete(self, event_keys: Sequence[bytes]) -> None:
        """Delete the outcomes of these events."""
        ...

    def add_counts(self, writer_key: int, counts: Counts) -> None:
        """Add to this writer's counts."""
        ...

    def clear_counts(self) -> None:
        """Delete the counts that come from events; those from answers stay."""
        ...

    def defer(self, pairs: Sequence[tuple[bytes, bytes]], *, now_ms: int) -> None:
        """Remember events that came before their answer: pairs of event key and answer key."""
        ...

    def delete_deferred(self, event_keys: Sequence[bytes]) -> None:
        """Forget deferred events."""
        ...

    def expire_deferred(self, *, before_ms: int) -> None:
        """Forget the events that were deferred before a time and whose answers are not stored: these are lost."""
        ...
