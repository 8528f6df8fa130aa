"""The repository of users' attributes: values by name, of those users that have any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol


class UserAttributeReader(Protocol):
    """Reads attributes. Users without any are missing from every result."""

    def of(self, user_id: str) -> Mapping[str, Any]:
        """The attributes of the user that an id means, also after a merge; empty without any. One statement."""
        ...

    def by_key(self, keys: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        """The attributes of the users with these keys."""
        ...

    def pages(self, *, chunk: int = 10_000) -> Iterator[dict[int, Mapping[str, Any]]]:
        """The attributes of all users by key, ascending, at most `chunk` at a time."""
        ...


class UserAttributeRepository(UserAttributeReader, Protocol):
    """Reads and writes attributes."""

    def save(self, attributes: Mapping[int, Mapping[str, Any]]) -> None:
        """Replace the attributes of locked users, by key; empty ones are deleted."""
        ...
