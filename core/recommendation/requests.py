"""Recommendation requests and results: plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from core.arrays import FloatArray, IntArray
from core.catalogue.filters import Filter
from core.errors import InvalidInput
from core.events.interactions import shorten
from core.scenarios.scenario import Scenario
from core.users.conditions import Holds, depends_on_user, for_user

RankingSource = Literal["model", "counts", "popularity", "similarity", "latest"]
DEFAULT_N = 10
MAX_LIST = 300  # items of a list over all its pages: a cursor has at most 5,600 characters

ReasonKind = Literal["history", "neighbour", "repeat", "popularity", "pin", "boost", "exploration", "fallback"]


@dataclass(frozen=True, slots=True)
class Contribution:
    """A past event that raises an item's score. `share`: of all positive contributions, 0 to 1."""

    item_id: str
    title: str
    time_ms: int
    share: float


@dataclass(frozen=True, slots=True)
class ItemReason:
    """The part of a score that speaks most for an item, or the part of a scenario that put it at its position.

    "history": the encoder, by the whole history; "neighbour": it often came next to `item_id`, one of the last items;
    "repeat": the user had it before; "popularity": it is popular. Of a scenario: "pin"; "boost": without it the item
    would not be in the answer; "exploration": drawn from a pool; "fallback": nothing else was left. `shares`: of a
    blended score, the shares of the parts that speak for the item, largest first, with a sum of 1.
    """

    kind: ReasonKind
    item_id: str | None = None
    title: str = ""
    shares: tuple[tuple[ReasonKind, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """A recommended item. Scores are comparable within one result only; None if the item has no score.

    `reason`: in personal answers and under scenarios. `contributions`: the events that contribute most to the score, if
    `explain` was requested. `propensity`: the probability that this item stands here and at no earlier position, see
    `core.scenarios.propensities`; 1 where nothing is drawn.
    """

    item_id: str
    title: str
    categories: tuple[str, ...]
    score: float | None
    reason: ItemReason | None = None
    contributions: tuple[Contribution, ...] | None = None
    propensity: float = 1.0


@dataclass(frozen=True, slots=True)
class RestOfList:
    """What the next pages of a list show: (R,) item `keys` in order, with the kind of reason and propensity of each.

    `subject`: `pages_of` of its request. `start_ms`: the time of the first page; the other fields are as on that page.
    A kind names the rule of a scenario, None where the ranking put the item there.
    """

    subject: str
    start_ms: int
    source: RankingSource
    reason: str
    model_version: str | None
    scenario: str
    arm: str
    exclude_seen: bool
    keys: IntArray
    kinds: tuple[ReasonKind | None, ...]
    propensities: FloatArray

    def after(self, num: int) -> RestOfList | None:
        """Without the first items; None if nothing is left."""
        if num >= len(self.keys):
            return None
        keys, kinds, propensities = self.keys[num:], self.kinds[num:], self.propensities[num:]
        return replace(self, keys=keys, kinds=kinds, propensities=propensities)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class RankedList:
    """Ranked items and how they were ranked; several answers may share one.

    `reason`: why this source was used. `rest`: what the next pages show, where they were asked for.
    """

    items: tuple[ScoredItem, ...]
    source: RankingSource
    reason: str
    model_version: str | None = None
    rest: RestOfList | None = None


@dataclass(frozen=True, slots=True)
class RecommendationResult:
    """One answer: a ranked list at a time.

    `gap_ms`: from the user's last event to `now_ms` (0 if `at` lies before it), None without a history. `excluded`:
    requested items that cannot be shown, each with the reason. `scenario`: its name, "" without one. `arm`: as
    "experiment/arm", "" without one. `user_key`: of the user whose state was read, None without one.
    """

    recommendation_id: str
    ranked: RankedList
    now_ms: int
    user_seq: int | None = None
    gap_ms: int | None = None
    excluded: Mapping[str, str] = field(default_factory=dict)
    scenario: str = ""
    arm: str = ""
    user_key: int | None = None

    @property
    def items(self) -> tuple[ScoredItem, ...]:
        """Best first."""
        return self.ranked.items

    @property
    def source(self) -> RankingSource:
        """What ranked."""
        return self.ranked.source

    @property
    def reason(self) -> str:
        """Why this source was used."""
        return self.ranked.reason

    @property
    def model_version(self) -> str | None:
        """The model that ranked, if one did."""
        return self.ranked.model_version

    @property
    def rest(self) -> RestOfList | None:
        """What the next pages show."""
        return self.ranked.rest

    @property
    def propensities(self) -> tuple[float, ...] | None:
        """Those of the items; None where nothing was randomised."""
        propensities = tuple(item.propensity for item in self.items)
        return None if all(propensity == 1 for propensity in propensities) else propensities


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """Parameters of a recommendation.

    `where`: what every item satisfies. `exclude`: item ids. `exclude_seen`: exclude items that the user has
    seen. `at_ms`: the time taken as now. `explain`: compute the contributions of past events to each item's score;
    costs an encode per event of the window. `record`: remember the answer, so that outcomes are counted. `scenario`:
    how the answer is selected; `n` and `exclude_seen` are the request's. `arm`: as "experiment/arm", "" without one.
    `model`: the version that the arm names, "" for the champion. `reasons`: say why each item is in the answer.
    `pages_of`: where next pages are wanted, the name of the list in cursors, such as the path of the request.
    """

    n: int = DEFAULT_N
    category: str | None = None
    where: Filter = ()
    exclude: Sequence[str] = ()
    exclude_seen: bool = True
    at_ms: int | None = None
    explain: bool = False
    reasons: bool = True
    scenario: Scenario | None = None
    arm: str = ""
    model: str = ""
    pages_of: str = ""
    record: bool = True

    @property
    def depends_on_user(self) -> bool:
        """Whether a filter has a condition on the user."""
        return depends_on_user(self.where) or (self.scenario is not None and self.scenario.depends_on_user)

    def for_user(self, holds: Holds) -> RecommendationRequest:
        """The request with conditions on the user replaced by what `holds` says of them; filters of items remain."""
        scenario = None if self.scenario is None else self.scenario.for_user(holds)
        return replace(self, where=for_user(self.where, holds), scenario=scenario)


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """An event of an inline session."""

    item_id: str
    time_ms: int


def check_n(n: int, highest: int) -> int:
    """The number of items of a list, at most `recommend.max_n`; raises `InvalidInput`."""
    if not 1 <= n <= highest:
        msg = f"n: wanted 1 to {highest}, got {shorten(n)}"
        raise InvalidInput(msg, field="n")
    return n
