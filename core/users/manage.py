"""Changes of users' attributes, each in one transaction under the users' locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.catalogue.items import parse_attributes
from core.catalogue.patches import merge_patch
from core.conflicts import retried
from core.errors import InvalidInput
from core.ports.store import Store, Transaction
from core.users.attributes import UserAttributes, present


def save_users(store: Store, users: Sequence[UserAttributes]) -> None:
    """Replace the attributes of users, created where they are new; of entries for the same user the last wins."""

    def save() -> None:
        with store.transaction() as tx:
            keys = _locked(tx, users)
            tx.user_attributes.save({keys[entry.user_id]: present(entry.attributes) for entry in users})
            tx.commit()

    retried(save)


def patch_users(store: Store, patches: Sequence[UserAttributes]) -> list[InvalidInput | None]:
    """Change some attributes of users in order, created where they are new.

    Returns for each patch None, or why it was not applied: the user would have too many attributes.
    """
    return retried(lambda: _patch(store, patches))


def _patch(store: Store, patches: Sequence[UserAttributes]) -> list[InvalidInput | None]:
    problems: list[InvalidInput | None] = []
    with store.transaction() as tx:
        keys = _locked(tx, patches)
        known: dict[int, Mapping[str, Any]] = tx.user_attributes.by_key(sorted(set(keys.values())))
        changed: dict[int, Mapping[str, Any]] = {}
        for patch in patches:
            key = keys[patch.user_id]
            try:
                known[key] = changed[key] = parse_attributes(merge_patch(known.get(key, {}), patch.attributes))
                problems.append(None)
            except InvalidInput as error:
                problems.append(error)
        tx.user_attributes.save(changed)
        tx.commit()
    return problems


def _locked(tx: Transaction, users: Sequence[UserAttributes]) -> dict[str, int]:
    """The key of the user that each id means."""
    states = tx.users.lock(sorted({entry.user_id for entry in users}))
    return {user_id: state.key for user_id, state in states.items()}
