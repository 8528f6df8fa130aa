"""Merge one user into another: a guest who signs in. Both histories become one, and both ids mean the same user."""

from __future__ import annotations

from core.conflicts import retried
from core.corrections.derived import events_of, lock_corrections, replace_derived
from core.errors import InvalidInput
from core.ingestion.derivation import Derivation
from core.ports.store import Store
from core.records.stored import UserState
from core.users.attributes import merged_attributes


def merge_users(store: Store, user_id: str, from_id: str, derivation: Derivation) -> tuple[UserState, int]:
    """Merge `from_id` into `user_id` in one transaction; returns the user's new state, and how many events it gained.

    Each event counts once, in the order of the times; at equal times those of `from_id` come later. Later events of
    `from_id`, redelivered or new, are the user's, and erasing either erases both. The answers to `from_id` so far
    become answers to `user_id`: what a guest was shown counts for what the user buys. Of an attribute that both have,
    the user's value stays. Unknown users are created: a
    guest may have no event yet. Merging again changes nothing. Raises `InvalidInput` where both ids are the same, or
    `from_id` belongs to another user already.
    """
    if user_id == from_id:
        msg = f"from: wanted another user than {user_id!r}"
        raise InvalidInput(msg, field="from")
    return retried(lambda: _merge(store, user_id, from_id, derivation))


def _merge(store: Store, user_id: str, from_id: str, derivation: Derivation) -> tuple[UserState, int]:
    with store.transaction() as tx:
        writer_key = lock_corrections(tx)
        states = tx.users.lock([user_id, from_id])
        user, guest = states[user_id], states[from_id]
        if user.key == guest.key:
            return user, 0
        if from_id != tx.users.ids_of(guest.key)[0]:
            msg = f"from: {from_id!r} is merged into another user already; use a new id for each guest"
            raise InvalidInput(msg, field="from")
        own, gained = events_of(tx, user), events_of(tx, guest)
        moved = [row._replace(user_key=user.key, user_seq=user.seq + row.user_seq) for row in gained]
        after = sorted([*own, *moved], key=lambda row: (row.time_ms, row.user_seq))
        replace_derived(tx, writer_key, derivation, before=[own, gained], after=after)
        tx.users.merge(guest, user)
        attributes = tx.user_attributes.by_key([user.key, guest.key])
        if guest.key in attributes:
            both = merged_attributes(attributes.get(user.key, {}), attributes[guest.key])
            tx.user_attributes.save({user.key: both, guest.key: {}})
        tx.answers.rename_user(from_id, to=tx.users.ids_of(user.key)[0])
        window = derivation.window(derivation.history(after))
        changed = UserState(user.key, user.seq + guest.seq + 1, window, user.erased_ms)
        tx.users.save([changed])
        tx.commit()
    return changed, len(gained)
