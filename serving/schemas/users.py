"""Users: what the routes of users, their events and their interests answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from core.interests.interest import FloatArray, InterestShift
from core.interests.user_interest import UserInterest
from core.records.stored import ListedUser
from serving.schemas.base import Id, Problem, Schema
from serving.schemas.openapi import (
    ATTRIBUTE_NAMES,
    ERRORS_404,
    document,
    id_parameter,
    limit_parameter,
    optional_id_parameter,
    parameter,
    path_parameter,
)


class UserShiftOut(Schema):
    """A shift of a user's interest."""

    since: int
    """The time of the first event after it."""
    distance: float
    """The share of interest that moved to other topics, 0 to 1."""


class UserOut(Schema):
    """A user in a list."""

    user_id: str
    user_seq: int
    """The sequence number of their newest event."""
    newest_event: int | None
    """The time of the newest event in the model's window."""
    interest_shift: UserShiftOut | None
    """As of the monitor's last test of this user; it tests users whose events it samples. Null without a shift."""


class UserPage(Schema):
    """A page of users in ascending id, by their newest event, or by the time when their interest shifted."""

    users: list[UserOut]
    next_after: str | None
    """Pass it as `after` for the next page; null on the last one."""


class UserAttributesIn(Schema):
    """The attributes of a user: PUT and POST replace all, PATCH those that are given, and null removes one."""

    attributes: dict[str, str | float | bool | None] | None = Field(default=None, json_schema_extra=ATTRIBUTE_NAMES)


class UserIn(UserAttributesIn):
    """A user and their attributes."""

    user_id: Id
    """1-256 bytes of UTF-8."""


class UsersIn(Schema):
    """The attributes of many users."""

    users: list[UserIn] = Field(min_length=1)


class UserSaved(Schema):
    """The attributes were stored."""

    user_id: str
    status: Literal["accepted"]


class UserResult(Schema):
    """The outcome of one user."""

    status: Literal["accepted", "rejected"]
    user_id: str | None = None
    error: Problem | None = None


class UsersOut(Schema):
    """The outcomes of the users, in the order sent."""

    accepted: int
    rejected: int
    results: list[UserResult]


class UserDetail(Schema):
    """A user with attributes."""

    user_id: str
    user_seq: int
    newest_event: int | None
    attributes: dict[str, Any]
    segments: list[str]
    """Those that the user is in, by name."""


class UserEvent(Schema):
    """One event of a user."""

    item_id: str
    title: str
    categories: list[str]
    type: str
    time: int
    gap_ms: int | None
    """Since the previous event; null for the user's first."""
    user_seq: int
    value: float | None
    context: dict[str, Any] | None
    recommendation_id: str | None


class UserEvents(Schema):
    """The events of a user, newest first."""

    user_id: str
    user_seq: int
    events: list[UserEvent]
    next_before: str | None
    """Pass it as `before` for the next page; null on the last one."""


class MergeIn(Schema):
    """The user to merge into the user of the path."""

    from_id: Id = Field(alias="from")
    """A guest's id, with events or without."""


class UsersMerged(Schema):
    """Both histories are one, and both ids mean the user."""

    user_id: str
    from_id: str = Field(alias="from")
    status: Literal["merged"]
    events: int
    """How many events the user gained; 0 where they were merged before."""
    user_seq: int


class UserErased(Schema):
    """All data of the user was deleted."""

    user_id: str
    status: Literal["erased"]


class InterestBucket(Schema):
    """The interest in one time bucket."""

    start: int
    """Its beginning, in milliseconds."""
    events: int
    shares: dict[str, float]
    """Of its events, by topic."""


class InterestHistory(Schema):
    """The interest over time; buckets without events are omitted."""

    bucket_ms: int
    """The length of a bucket: an hour up to a year, so that there are at most 30."""
    buckets: list[InterestBucket]


class InterestDrift(Schema):
    """Whether the user's interest shifted: a test over visits with the false-alarm rate of the settings."""

    detected: bool
    """Whether `score` is above `threshold`."""
    score: float | None
    """The share of users with stable interests whose visits look less like a shift; null with too few visits."""
    threshold: float
    explanation: str
    """For people."""
    since: int | None
    """The time of the first event after the shift; null, as all fields below, without a shift."""
    distance: float | None
    """The size of the shift: the share of interest that moved to other topics, 0 to 1."""
    origin: list[str] | None
    """The topics that lost."""
    target: list[str] | None
    """The topics that gained."""
    events_since: int | None
    """Events since the shift."""
    events_to_target: int | None
    """Of these, the events in the topics that gained."""


class InterestOut(Schema):
    """The short-term and long-term interests of a user, and how they shifted."""

    user_id: str
    user_seq: int
    """The sequence number of the newest event included."""
    events: int
    """How many of the newest events it is computed from."""
    topics: list[str]
    """Categories of items, the strongest first; at most 12."""
    short_term: dict[str, float]
    """Shares by topic; the remainder to 1 belongs to other topics."""
    long_term: dict[str, float]
    history: InterestHistory
    drift: InterestDrift


def users_out(users: Sequence[ListedUser], order: str, limit: int) -> dict[str, object]:
    """A page of users as `UserPage`."""
    last = users[-1] if len(users) == limit else None
    next_after = (
        last
        and {
            "id": last.user_id,
            "activity": f"{last.newest_ms}.{last.key}",
            "shift": f"{last.shift_ms}.{last.key}",
        }[order]
    )
    return {"users": [_user(user) for user in users], "next_after": next_after}


def _user(user: ListedUser) -> dict[str, object]:
    distance = user.shift_distance
    shift = None if distance is None else {"since": user.shift_ms, "distance": round(distance, 4)}
    return {
        "user_id": user.user_id,
        "user_seq": user.seq,
        "newest_event": user.newest_ms,
        "interest_shift": shift,
    }


def interest_out(user: UserInterest) -> dict[str, object]:
    """An interest as `InterestOut`."""
    interest = user.interest

    def shares(values: FloatArray) -> dict[str, float]:
        return {topic: round(share, 4) for topic, share in zip(interest.topics, values.tolist(), strict=True) if share}

    return {
        "user_id": user.user_id,
        "user_seq": user.user_seq,
        "events": user.num_events,
        "topics": list(interest.topics),
        "short_term": shares(interest.short_term),
        "long_term": shares(interest.long_term),
        "history": {
            "bucket_ms": interest.bucket_ms,
            "buckets": [
                {"start": bucket.start_ms, "events": bucket.num_events, "shares": shares(bucket.shares)}
                for bucket in interest.buckets
            ],
        },
        "drift": _drift(interest.drift),
    }


def _drift(drift: InterestShift) -> dict[str, object]:
    detected = drift.is_significant
    return {
        "detected": detected,
        "score": None if drift.score is None else round(drift.score, 4),
        "threshold": drift.threshold,
        "explanation": drift.explanation,
        "since": drift.since_ms,
        "distance": None if drift.distance is None else round(drift.distance, 4),
        "origin": list(drift.origin) if detected else None,
        "target": list(drift.target) if detected else None,
        "events_since": drift.num_since if detected else None,
        "events_to_target": drift.num_target if detected else None,
    }


_TAG = "users"
_USER_ID = path_parameter("user_id")
_BEFORE = parameter("before", "string", "`next_before` of the previous page.", pattern=r"^[0-9]{1,18}\.[0-9]{1,18}$")

GET_USERS = document(
    UserPage,
    tag=_TAG,
    parameters=(
        optional_id_parameter("prefix", "Only ids with this prefix."),
        id_parameter("after", "`next_after` of the previous page; with `order=id`, any id."),
        parameter(
            "order",
            "string",
            "`id`, the default; `activity` or `shift`: the latest event or shift of interest first.",
            enum=["id", "activity", "shift"],
        ),
        limit_parameter(),
    ),
)
_ANN = {"attributes": {"country": "de", "plan": "premium", "age": 34}}
POST_USERS = document(
    UsersOut,
    tag=_TAG,
    bodies=(UserIn, UsersIn),
    examples={
        "one": {"user_id": "ann", **_ANN},
        "many": {"users": [{"user_id": "ann", **_ANN}, {"user_id": "bob", "attributes": {"country": "fr"}}]},
    },
)
PATCH_USERS = document(
    UsersOut,
    tag=_TAG,
    bodies=(UserIn, UsersIn),
    examples={"many": {"users": [{"user_id": "ann", "attributes": {"plan": "basic"}}]}},
)
GET_USER = document(UserDetail, tag=_TAG, parameters=(_USER_ID,), errors=ERRORS_404)
PUT_USER = document(UserSaved, tag=_TAG, parameters=(_USER_ID,), bodies=(UserAttributesIn,), examples={"a user": _ANN})
PATCH_USER = document(
    UserSaved,
    tag=_TAG,
    parameters=(_USER_ID,),
    bodies=(UserAttributesIn,),
    examples={"change and remove": {"attributes": {"plan": "basic", "age": None}}},
)
GET_USER_EVENTS = document(
    UserEvents,
    tag=_TAG,
    parameters=(_USER_ID, _BEFORE, limit_parameter()),
    errors=ERRORS_404,
)
GET_INTERESTS = document(InterestOut, tag=_TAG, parameters=(_USER_ID,), errors=ERRORS_404)
POST_MERGE = document(
    UsersMerged, tag=_TAG, parameters=(_USER_ID,), bodies=(MergeIn,), examples={"a guest": {"from": "guest-17"}}
)
DELETE_USER = document(UserErased, tag=_TAG, parameters=(_USER_ID,), errors=ERRORS_404)
