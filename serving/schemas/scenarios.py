"""Scenarios: what their routes take and answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from core.definitions.followed import NamedDefinition
from core.scenarios.scenario import Scenario
from serving.schemas.base import Id, Schema
from serving.schemas.definitions import CHANGE_AUTHOR, DefinitionRevisionOut
from serving.schemas.openapi import ERRORS_404, document, path_parameter
from serving.schemas.recommendations import RecommendationsOut


class BoostIn(Schema):
    """Items whose odds are multiplied."""

    where: dict[str, Any]
    """A filter, as `where` of a request: by attribute, `categories` or `item_id`."""
    factor: float
    """0.001 to 1000; below 1 demotes."""


class PinIn(Schema):
    """A fixed item at a position: a given one, or the best one that satisfies a filter."""

    position: int
    item_id: str | None = None
    where: dict[str, Any] | None = None


class DiversityIn(Schema):
    """How much the items of one answer must differ."""

    at_most: dict[str, int] | None = None
    """How many items may share a category (`categories`) or a value of an attribute."""
    mmr: float | None = None
    """The weight of relevance in maximal marginal relevance, 0 to 1."""


class ExplorationIn(Schema):
    """How often a position shows an item that is drawn at random."""

    share: float
    """The probability that a position without a pin is drawn."""
    pool: int = 100
    """From how many of the best items of the ranking it is drawn."""
    new_share: float = 0.5
    """The share of draws from new items instead."""
    new_days: float = 30
    """For how many days an item is new."""
    new_items: int | None = None
    """How many items of a page are new at least, if there are as many."""


class ScenarioIn(Schema):
    """The definition of a scenario; a field that is left out changes nothing."""

    description: str | None = None
    n: int | None = None
    """How many items, where the request does not say."""
    where: dict[str, Any] | None = None
    max_age_days: float | None = None
    """Only items that came into the catalogue within so many days."""
    seen: Literal["exclude", "include"] | None = None
    boosts: list[BoostIn] = Field(default=[])
    pins: list[PinIn] = Field(default=[])
    diversity: DiversityIn | None = None
    exploration: ExplorationIn | None = None
    fallback: Literal["popular", "latest", "none"] = "popular"
    """What fills an answer with too few items."""


class ScenarioOut(Schema):
    """A scenario as it serves."""

    name: str
    origin: Literal["settings", "stored"]
    revision: int | None
    """Of the stored definition; null in the settings."""
    author: str | None
    time: int | None
    definition: dict[str, Any]


class ScenariosOut(Schema):
    """All scenarios, by name."""

    scenarios: list[ScenarioOut]


class ScenarioRevisionsOut(Schema):
    """The stored revisions of a scenario, newest first."""

    revisions: list[DefinitionRevisionOut]


class RevertIn(Schema):
    """The revision to revert to."""

    revision: int = Field(ge=1)


class PreviewIn(Schema):
    """A user, and a definition that is not stored."""

    user_id: Id
    definition: dict[str, Any]
    scenario: Id | None = None
    """The scenario to compare with; by default answers without one."""


class PreviewOut(Schema):
    """Two answers for one user; neither counts as shown."""

    current: RecommendationsOut
    proposed: RecommendationsOut


def scenario_out(name: str, named: NamedDefinition[Scenario]) -> dict[str, object]:
    """A scenario as `ScenarioOut`."""
    stored = named.stored
    return {
        "name": name,
        "origin": "settings" if stored is None else "stored",
        "revision": stored and stored.revision,
        "author": stored and stored.author,
        "time": stored and stored.time_ms,
        "definition": named.definition,
    }


_TAG = "scenarios"
_NAME = path_parameter("name")
_EXAMPLE = {"where": {"not": {"categories": "light"}}, "diversity": {"at_most": {"categories": 1}}}

GET_SCENARIOS = document(ScenariosOut, tag=_TAG)
GET_SCENARIO = document(ScenarioOut, tag=_TAG, parameters=(_NAME,), errors=ERRORS_404)
PUT_SCENARIO = document(
    DefinitionRevisionOut,
    tag=_TAG,
    parameters=(_NAME, CHANGE_AUTHOR),
    bodies=(ScenarioIn,),
    examples={"a filter and a cap": _EXAMPLE},
)
DELETE_SCENARIO = document(DefinitionRevisionOut, tag=_TAG, parameters=(_NAME, CHANGE_AUTHOR), errors=ERRORS_404)
GET_REVISIONS = document(ScenarioRevisionsOut, tag=_TAG, parameters=(_NAME,), errors=ERRORS_404)
POST_REVERT = document(
    DefinitionRevisionOut,
    tag=_TAG,
    parameters=(_NAME, CHANGE_AUTHOR),
    bodies=(RevertIn,),
    examples={"to the first": {"revision": 1}},
    errors=ERRORS_404,
)
POST_PREVIEW = document(
    PreviewOut,
    tag=_TAG,
    bodies=(PreviewIn,),
    examples={"for one user": {"user_id": "ann", "definition": _EXAMPLE}},
)
