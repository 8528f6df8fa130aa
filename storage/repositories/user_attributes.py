"""Attributes of users, beside `users`: a row for each user that has any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.sql.elements import CompilerElement

from storage.codec import pack_json, unpack_json
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import user_attributes, users

OWN = user_attributes.c


def _find(dialect: Dialect) -> CompilerElement:
    is_owner = OWN.user_key == func.coalesce(users.c.merged_into, users.c.key)
    return select(OWN.attributes).where(users.c.user_id == bindparam("user_id"), is_owner)


def _by_key(dialect: Dialect) -> CompilerElement:
    return select(OWN.user_key, OWN.attributes).where(dialect.is_in(OWN.user_key, "user_keys"))


def _page(dialect: Dialect) -> CompilerElement:
    page = select(OWN.user_key, OWN.attributes).where(OWN.user_key > bindparam("after"))
    return page.order_by(OWN.user_key).limit(bindparam("limit"))


def _save(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(user_attributes, "user_key", "attributes")
    new = {"attributes": insert.excluded["attributes"]}
    return insert.on_conflict_do_update(index_elements=["user_key"], set_=new)


def _delete(dialect: Dialect) -> CompilerElement:
    return delete(user_attributes).where(dialect.is_in(OWN.user_key, "user_keys"))


class UserAttributeRepository:
    """`core.ports.user_attributes.UserAttributeRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, user_id: str) -> Mapping[str, Any]:
        """The attributes of the user that an id means; empty without any."""
        row = self._session.row(_find, user_id=user_id)
        return {} if row is None else unpack_json(row[0])

    def by_key(self, keys: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        """The attributes of the users with these keys."""
        rows = self._session.rows(_by_key, user_keys=self._session.array(keys))
        return {key: unpack_json(packed) for key, packed in rows}

    def pages(self, *, chunk: int = 10_000) -> Iterator[dict[int, Mapping[str, Any]]]:
        """The attributes of all users by key, ascending."""
        after = -1
        while page := self._session.rows(_page, after=after, limit=chunk):
            yield {key: unpack_json(packed) for key, packed in page}
            after = page[-1][0]

    def save(self, attributes: Mapping[int, Mapping[str, Any]]) -> None:
        """Replace the attributes of locked users, by key; empty ones are deleted."""
        rows = [(key, pack_json(dict(values))) for key, values in sorted(attributes.items()) if values]
        self._session.write(_save, rows)
        self.delete([key for key, values in attributes.items() if not values])

    def delete(self, keys: Sequence[int]) -> None:
        """Delete the attributes of users."""
        if keys:
            self._session.run(_delete, user_keys=self._session.array(keys))
