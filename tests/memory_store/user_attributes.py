"""Attributes of users of a store in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from memory_store.data import MemoryRepository
from memory_store.users import MemoryUsers


class MemoryUserAttributes(MemoryRepository):
    """`core.ports.user_attributes.UserAttributeRepository`."""

    def of(self, user_id: str) -> Mapping[str, Any]:
        state = MemoryUsers(self.data).find(user_id)
        return {} if state is None else self.data.user_attributes.get(state.key, {})

    def by_key(self, keys: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        return {key: self.data.user_attributes[key] for key in keys if key in self.data.user_attributes}

    def pages(self, *, chunk: int = 10_000) -> Iterator[dict[int, Mapping[str, Any]]]:
        keys = sorted(self.data.user_attributes)
        for first in range(0, len(keys), chunk):
            yield self.by_key(keys[first : first + chunk])

    def save(self, attributes: Mapping[int, Mapping[str, Any]]) -> None:
        changed = {**self.data.user_attributes, **attributes}
        self.data.user_attributes = {key: values for key, values in changed.items() if values}
