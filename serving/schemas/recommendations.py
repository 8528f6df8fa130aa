"""Recommendations: what the queries for ranked items take and answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from core.recommendation.requests import ItemReason, ReasonKind, RecommendationResult, ScoredItem
from serving.schemas.base import Id, Schema
from serving.schemas.openapi import (
    ERRORS_404,
    ID_SCHEMA,
    TIME_MS,
    document,
    id_parameter,
    parameter,
    path_parameter,
    reply,
)


class Contribution(Schema):
    """An event that contributes to the score of a recommended item."""

    item_id: str
    title: str
    time: int
    share: float
    """Of all contributions to the score, 0 to 1."""


class Reason(Schema):
    """The part of the score that speaks most for an item."""

    kind: Literal["history", "neighbour", "repeat", "popularity", "pin", "boost", "exploration", "fallback"]
    """`history`: the model, by the whole history; `neighbour`: it often follows `item_id`; `repeat`: the user had it
    before; `popularity`; or the rule of the scenario that put it there."""
    item_id: str | None
    """Of a neighbour: one of the user's last items."""
    text: str
    """For people."""
    shares: dict[str, float] | None = None
    """Of a blended score: the shares of the kinds that speak for the item, largest first, with a sum of 1."""


class RecommendedItem(Schema):
    """One item of an answer."""

    item_id: str
    title: str
    categories: list[str]
    score: float | None
    """Comparable within one answer only; null where the source has no scores."""
    reason: Reason | None = None
    """In answers that blend the model with counts, and under scenarios."""
    propensity: float | None = None
    """Under a scenario: the probability that this item stands at this position, given those before it."""
    contributions: list[Contribution] | None = None
    """With `explain=full`: the events with the largest contributions; empty where the model did not rank."""


class RecommendationsOut(Schema):
    """A ranked list of items, and where it comes from."""

    user_id: str | None = None
    """The user of the request."""
    item_id: str | None = None
    """The item of the request."""
    recommendation_id: str
    """Send it back with the events that follow."""
    items: list[RecommendedItem]
    source: Literal["model", "counts", "popularity", "similarity", "latest"]
    reason: str
    """Why this source, for people."""
    model_version: str | None
    user_seq: int | None
    """The sequence number of the user's newest event that the answer includes."""
    gap_ms: int | None
    """From the newest event to `now`; null without a history."""
    age_ms: int | None
    """The age of the newest event; differs from `gap_ms` only with `at`."""
    now: int
    """The time that the answer is for, in milliseconds."""
    scenario: str | None = None
    """The scenario that answered."""
    arm: str | None = None
    """The arm of an experiment that the user is in, as `experiment/arm`."""
    next: str | None = None
    """With `pages=true`: the cursor of the next page; null on the last one."""
    excluded: list[str] | None = None
    """Ranking only: requested items that cannot be shown (unknown, hidden, removed, disliked, not available)."""
    excluded_because: dict[str, str] | None = None
    """Ranking only: for each of these the reason, for people."""


class SessionEventIn(Schema):
    """One event of an anonymous session."""

    item_id: Id
    time: int | None = Field(default=None, json_schema_extra=TIME_MS)
    """In milliseconds; by default now."""


class SessionIn(Schema):
    """A session and what to recommend for it."""

    user_id: Id | None = None
    """Treat the events as this user's next ones; by default the session is anonymous."""
    events: list[SessionEventIn] = Field(default=[])
    users: list[Id] | None = Field(default=None, min_length=1, max_length=100)
    """Instead of a session: at most 100 users, each of whom gets an answer."""
    n: int = Field(default=10, ge=1)
    category: Id | None = None
    where: dict[str, Any] = Field(default={})
    """Filters by attribute: a value, `{"min", "max"}`, or a list of alternatives; `not` and `or` combine filters."""
    exclude: list[Id] = Field(default=[])
    seen: Literal["exclude", "include"] | None = None
    explain: Literal["full"] | None = None
    at: int | None = Field(default=None, json_schema_extra=TIME_MS)
    record: bool | None = None
    """False: do not remember the answer; no outcomes are counted for it."""
    scenario: Id | None = None
    """The name of a scenario."""


class UsersRecommendationsOut(Schema):
    """The answers for several users, in the order of the request."""

    users: list[RecommendationsOut]


class RankIn(Schema):
    """Items to rank."""

    item_ids: list[Id]
    at: int | None = Field(default=None, json_schema_extra=TIME_MS)


def recommendations_out(answer: RecommendationResult, age_ms: int | None, *, items: object = None) -> dict[str, object]:
    """An answer as `RecommendationsOut`. `items`: those of `items_out`, if they are made already."""
    return {
        "recommendation_id": answer.recommendation_id,
        "items": items_out(answer) if items is None else items,
        "source": answer.source,
        "reason": answer.reason,
        "model_version": answer.model_version,
        "user_seq": answer.user_seq,
        "gap_ms": answer.gap_ms,
        "age_ms": age_ms,
        "now": answer.now_ms,
        **({"excluded": list(answer.excluded), "excluded_because": dict(answer.excluded)} if answer.excluded else {}),
        **({"scenario": answer.scenario} if answer.scenario else {}),
        **({"arm": answer.arm} if answer.arm else {}),
    }


def items_out(answer: RecommendationResult) -> list[dict[str, object]]:
    """The items of an answer, each as `RecommendedItem`."""
    return [_item(item, in_scenario=bool(answer.scenario)) for item in answer.items]


def _item(item: ScoredItem, *, in_scenario: bool) -> dict[str, object]:
    content: dict[str, object] = {
        "item_id": item.item_id,
        "title": item.title,
        "categories": item.categories,
        "score": item.score,
    }
    if item.reason is not None:
        content["reason"] = _reason(item.reason)
    if in_scenario:
        content["propensity"] = item.propensity
    if item.contributions is None:
        return content
    contributions = [
        {"item_id": event.item_id, "title": event.title, "time": event.time_ms, "share": round(event.share, 3)}
        for event in item.contributions
    ]
    return content | {"contributions": contributions}


TEXTS: Mapping[ReasonKind, str] = {
    "history": "fits the whole history",
    "repeat": "had before",
    "popularity": "popular now",
    "pin": "pinned by the scenario",
    "boost": "boosted by the scenario",
    "exploration": "shown to explore",
    "fallback": "fills the list",
}


def _reason(reason: ItemReason) -> dict[str, object]:
    content: dict[str, object] = {"kind": reason.kind, "item_id": reason.item_id, "text": _text(reason)}
    if not reason.shares:
        return content
    return content | {"shares": {kind: round(share, 3) for kind, share in reason.shares}}


def _text(reason: ItemReason) -> str:
    if reason.kind == "neighbour":
        return f"users with {reason.title or reason.item_id} went on to this" if reason.item_id else "often comes next"
    return TEXTS[reason.kind]


_QUERY = (
    parameter("n", "integer", "How many items.", minimum=1, default=10),
    id_parameter("category", "Only items of this category."),
    parameter(
        "where",
        "array",
        "Filter by attribute, as brand:acme or price:10..30 (either end may be omitted). Repeat it for several; "
        "conditions on the same attribute are alternatives, and !brand:acme keeps all others.",
        items={"type": "string"},
    ),
    parameter("exclude", "array", "Item ids to exclude: repeated, or comma-separated.", items=ID_SCHEMA),
    parameter("at", "integer", "Answer as if it were this time (ms); all events known now are still used.", **TIME_MS),
    parameter("seen", "string", "Whether items of the user's history may be recommended.", enum=["exclude", "include"]),
    parameter("explain", "string", "Add the contributing events of each item.", enum=["full"]),
    id_parameter("scenario", "The name of a scenario."),
    parameter(
        "record", "boolean", "False: do not remember the answer, so that no outcomes count for it.", default=True
    ),
    parameter("pages", "boolean", "Answer with `next`, the cursor of the next page.", default=False),
    parameter(
        "next", "string", "The cursor of an earlier answer: its next page. Only `n` and `record` may accompany it."
    ),
)
_TAG = "recommendations"

GET_RECOMMENDATIONS = document(RecommendationsOut, tag=_TAG, parameters=(path_parameter("user_id"), *_QUERY))
POST_RECOMMENDATIONS = document(
    RecommendationsOut,
    tag=_TAG,
    bodies=(SessionIn,),
    examples={
        "a session": {"events": [{"item_id": "tent", "time": 1_700_000_000_000}, {"item_id": "stove"}], "n": 5},
        "several users": {"users": ["ann", "bob"], "n": 5},
    },
)
POST_RECOMMENDATIONS["responses"][200] = reply(
    RecommendationsOut, UsersRecommendationsOut, description="A ranked list of items; with `users`, one for each."
)
POST_RANK = document(
    RecommendationsOut,
    tag=_TAG,
    parameters=(path_parameter("user_id"),),
    bodies=(RankIn,),
    examples={"three items": {"item_ids": ["stove", "tent", "mug"]}},
)
GET_SIMILAR = document(RecommendationsOut, tag=_TAG, parameters=(path_parameter("item_id"), *_QUERY), errors=ERRORS_404)
GET_TRENDING = document(RecommendationsOut, tag=_TAG, parameters=_QUERY)
GET_LATEST = document(RecommendationsOut, tag=_TAG, parameters=_QUERY)
GET_POPULAR = document(RecommendationsOut, tag=_TAG, parameters=_QUERY)
