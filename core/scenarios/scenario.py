"""The definition of a scenario: what an answer may contain, and how its order differs from the ranking.

Plain values; `core.scenarios.definition` reads them from JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from core.catalogue.filters import Filter
from core.clock import DAY_MS
from core.users.conditions import Holds, depends_on_user, for_user

Fallback = Literal["popular", "latest", "none"]


@dataclass(frozen=True, slots=True)
class Boost:
    """Items that satisfy `where` are chosen with odds multiplied by `factor`, above 0; below 1 they are demoted.

    The score of a blend is the log odds of a conditional logit up to a constant, so ln(factor) is added to it.
    """

    where: Filter
    factor: float


@dataclass(frozen=True, slots=True)
class Pin:
    """At this 1-based position stands the best item that satisfies `where`, such as one item id."""

    position: int
    where: Filter


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `num` items of an answer have the same value of an attribute, or the same category."""

    name: str
    num: int


@dataclass(frozen=True, slots=True)
class Exploration:
    """Each free position shows, with probability `share`, an item drawn from a pool instead of the next best one.

    With probability `new_share` the pool is the items first seen within `new_ms`, else the best `pool` of the ranking;
    where one is exhausted, the other. Within a pool each item that may still be shown is equally likely.

    At least `new_items` of an answer's items are new while there are any: of r free positions, of which m more must
    show one, the next draws a new item with probability m / r before all else.
    """

    share: float
    pool: int = 100
    new_share: float = 0.5
    new_ms: int = 30 * DAY_MS
    new_items: int = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A configuration of answers. None: as the request or the settings say.

    `where`: what every item satisfies, pinned ones excepted. `max_age_ms`: since an item was first seen. `mmr`: the
    weight of relevance in maximal marginal relevance (Carbonell and Goldstein, 1998); 1 is the ranking itself.
    `fallback`: what fills an answer with too few items; it obeys `where`, but neither age nor caps.
    """

    name: str = ""
    n: int | None = None
    where: Filter = ()
    max_age_ms: int | None = None
    exclude_seen: bool | None = None
    boosts: tuple[Boost, ...] = ()
    pins: tuple[Pin, ...] = ()
    caps: tuple[Cap, ...] = ()
    mmr: float | None = None
    exploration: Exploration | None = None
    fallback: Fallback = "popular"
    depends_on_user: bool = field(init=False, default=False, repr=False)  # whether a filter has a condition on the user

    def __post_init__(self) -> None:
        object.__setattr__(self, "depends_on_user", any(map(depends_on_user, self.filters)))

    @property
    def filters(self) -> tuple[Filter, ...]:
        """All its filters."""
        return (self.where, *(boost.where for boost in self.boosts), *(pin.where for pin in self.pins))

    def for_user(self, holds: Holds) -> Scenario:
        """The scenario with filters of items alone, for the user of whom `holds` tells the conditions."""
        return replace(
            self,
            where=for_user(self.where, holds),
            boosts=tuple(replace(boost, where=for_user(boost.where, holds)) for boost in self.boosts),
            pins=tuple(replace(pin, where=for_user(pin.where, holds)) for pin in self.pins),
        )


NO_SCENARIO = Scenario()  # says nothing
