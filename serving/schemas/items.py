"""Items: what the routes of the catalogue take and answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from core.records.stored import StoredItem
from serving.schemas.base import Id, Problem, Schema
from serving.schemas.openapi import ERRORS_404, document, limit_parameter, optional_id_parameter, path_parameter


class ItemFieldsIn(Schema):
    """An item whose id is in the path. With PATCH, a field that is left out stays, and null empties it."""

    title: str | None = None
    text: str | None = None
    """A description: the model reads title and text."""
    categories: list[str] | None = None
    attributes: dict[str, str | float | bool | None] | None = None
    hidden: bool | None = None
    """Exclude it from every answer, at once; by default false."""
    available_from: int | str | None = None
    """Exclude it from answers for earlier times: in milliseconds, or as 2026-12-31T23:00:00Z."""
    available_until: int | str | None = None
    """Exclude it from answers for this time and later ones."""
    stock: int | None = None
    """With 0 or less, exclude it from every answer; by default stock is not counted."""


class ItemIn(ItemFieldsIn):
    """One catalogue item."""

    item_id: Id
    """1-256 bytes of UTF-8."""


class ItemsIn(Schema):
    """Many catalogue items."""

    items: list[ItemIn] = Field(min_length=1)


class ItemResult(Schema):
    """The outcome of one item."""

    status: Literal["accepted", "rejected"]
    item_id: str | None = None
    error: Problem | None = None


class ItemsOut(Schema):
    """The outcomes of the items, in the order sent."""

    revision: int
    accepted: int
    rejected: int
    results: list[ItemResult]


class ItemSaved(Schema):
    """The item was stored."""

    item_id: str
    status: Literal["accepted"]
    revision: int
    """The catalogue revision that contains the change."""


class ItemOut(Schema):
    """An item as stored."""

    item_id: str
    title: str
    text: str
    categories: list[str]
    attributes: dict[str, Any]
    hidden: bool
    available_from: int | None
    available_until: int | None
    stock: int | None
    revision: int
    updated: int
    """When it was last changed, in milliseconds."""


class ItemPage(Schema):
    """A page of items in ascending id."""

    items: list[ItemOut]
    next_after: str | None
    """Pass it as `after` for the next page; null on the last one."""


class ItemRemoved(Schema):
    """The item was removed from the catalogue."""

    item_id: str
    status: Literal["removed"]


class CategoryOut(Schema):
    """A category of the catalogue."""

    category: str
    items: int
    """How many of its items may be recommended."""


class CategoriesOut(Schema):
    """All categories by name."""

    categories: list[CategoryOut]


def item_out(stored: StoredItem) -> dict[str, object]:
    """A stored item as `ItemOut`."""
    return stored.item.fields() | {"revision": stored.revision, "updated": stored.updated_ms}


_TAG = "items"
_ITEM_ID = (path_parameter("item_id"),)
_ITEM = {"item_id": "lamp", "title": "Camping lamp", "categories": ["camping"], "attributes": {"price": 29.5}}

GET_ITEMS = document(
    ItemPage,
    tag=_TAG,
    parameters=(optional_id_parameter("after", "Start after this id; empty: at the beginning."), limit_parameter()),
)
POST_ITEMS = document(
    ItemsOut,
    tag=_TAG,
    bodies=(ItemIn, ItemsIn),
    examples={"one": _ITEM, "many": {"items": [_ITEM, {"item_id": "mug", "title": "Steel mug"}]}},
)
GET_ITEM = document(ItemOut, tag=_TAG, parameters=_ITEM_ID, errors=ERRORS_404)
PUT_ITEM = document(
    ItemSaved,
    tag=_TAG,
    parameters=_ITEM_ID,
    bodies=(ItemFieldsIn,),
    examples={"an item": {"title": "Camping lamp", "categories": ["camping"]}},
)
PATCH_ITEM = document(
    ItemSaved,
    tag=_TAG,
    parameters=_ITEM_ID,
    bodies=(ItemFieldsIn,),
    examples={
        "hide it": {"hidden": True},
        "sold out": {"stock": 0},
        "attributes": {"attributes": {"price": 24.5, "colour": None}},
    },
    errors=ERRORS_404,
)
PATCH_ITEMS = document(
    ItemsOut,
    tag=_TAG,
    bodies=(ItemIn, ItemsIn),
    examples={"many": {"items": [{"item_id": "lamp", "hidden": True}, {"item_id": "mug", "title": "Steel mug"}]}},
)
DELETE_ITEM = document(ItemRemoved, tag=_TAG, parameters=_ITEM_ID, errors=ERRORS_404)
GET_CATEGORIES = document(CategoriesOut, tag=_TAG)
