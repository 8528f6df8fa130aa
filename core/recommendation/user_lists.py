"""Lists of many users: a page of users is encoded and scored as one batch, with the answers of single requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from core.ports.store import ReadTransaction, Store
from core.recommendation.recommender import Recommender
from core.recommendation.requests import RecommendationRequest, RecommendationResult
from core.records.stored import UserState

PAGE_USERS = 256  # what fits the smallest cache of vectors, and is a good batch for the encoder

Record = dict[str, Any]

# DuckDB's types of the fields.
LIST_FIELDS = {
    "user_id": "VARCHAR",
    "user_seq": "BIGINT",
    "source": "VARCHAR",
    "model_version": "VARCHAR",
    "now": "BIGINT",
    "items": "VARCHAR[]",
    "scores": "DOUBLE[]",
}


class UserPage(NamedTuple):
    """The users with ids after `after` up to `last`; `num_users` of them when it was read."""

    after: str
    last: str
    num_users: int


def user_pages(store: Store, *, page_users: int = PAGE_USERS) -> Iterator[UserPage]:
    """All users in ascending id; an id that was merged into another user is left out."""
    after = ""
    while True:
        with store.read() as read:
            page = read.users.page(after=after, limit=page_users)
        if not page:
            return
        last = page[-1][0]
        yield UserPage(after, last, len(page))
        after = last


def lists_of(store: Store, recommender: Recommender, request: RecommendationRequest, page: UserPage) -> list[Record]:
    """The answers for the users of a page, with the fields of `LIST_FIELDS`."""
    with store.read() as read:
        users = list(_users_of(read, page))
    recommender.encode([state for _, state in users])
    listing = replace(request, reasons=False)  # no field has them, and they take a fifth of the time
    answers = recommender.recommend_all([(user_id, listing) for user_id, _ in users])
    return [_list_of(user_id, answer) for (user_id, _), answer in zip(users, answers, strict=True)]


def _users_of(read: ReadTransaction, page: UserPage) -> Iterator[tuple[str, UserState]]:
    """The users with ids within the page, including any that are newer than it."""
    after = page.after
    while batch := read.users.page(after=after, limit=PAGE_USERS):
        for user_id, state in batch:
            if user_id > page.last:
                return
            yield user_id, state
        after = batch[-1][0]


def _list_of(user_id: str, answer: RecommendationResult) -> Record:
    return {
        "user_id": user_id,
        "user_seq": answer.user_seq,
        "source": answer.source,
        "model_version": answer.model_version,
        "now": answer.now_ms,
        "items": [item.item_id for item in answer.items],
        "scores": [item.score for item in answer.items],
    }
