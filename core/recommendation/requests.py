"""What can be asked, and what an answer says: plain values. Knows nothing about how answers are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.attributes import Condition

AnswerSource = Literal["model", "popularity", "similarity", "latest"]


@dataclass(frozen=True, slots=True)
class Contribution:
    """An event that a recommended item leans on. `share`: of all that speaks for the item."""

    item_id: str
    title: str
    time_ms: int
    share: float


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """One recommended item. Scores compare within one answer only; None: nothing is known to score it by.

    `because`: the events that it leans on most, where that was asked for.
    """

    item_id: str
    title: str
    categories: tuple[str, ...]
    score: float | None
    because: tuple[Contribution, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A ranked list and where it comes from.

    `reason`: why the source is what it is, in words. `gap_ms`: from the last event to `now_ms` (0 where `at` lies
    before it), None without a history. `left_out`: asked-for items that cannot be shown.
    """

    recommendation_id: str
    items: tuple[ScoredItem, ...]
    source: AnswerSource
    reason: str
    now_ms: int
    model_version: str | None = None
    user_seq: int | None = None
    gap_ms: int | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """What is asked for. `where`: all hold for each item. `exclude`: item ids. `at_ms`: now.

    `exclude_seen`: leave out what the user had before.
    `explain`: find out for each item which events it leans on; costs an encode for each event of the window.
    """

    n: int = 10
    category: str | None = None
    where: tuple[Condition, ...] = ()
    exclude: Sequence[str] = ()
    exclude_seen: bool = True
    at_ms: int | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One event of an anonymous session."""

    item_id: str
    time_ms: int
