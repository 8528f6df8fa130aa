"""Erase a user: all data of the user, and everything derived from it."""

from __future__ import annotations

from core.clock import Clock
from core.conflicts import retried
from core.corrections.derived import events_of, lock_corrections, replace_derived
from core.errors import NotFound
from core.ingestion.derivation import Derivation
from core.outcomes.counting import answer_counts, difference
from core.outcomes.item_counts import changed, item_answer_counts
from core.ports.store import Store


def erase_user(store: Store, user_id: str, *, clock: Clock, derivation: Derivation) -> None:
    """Delete all data of a user, under all ids that were merged into it; raises `NotFound` for an unknown user.

    `clock`: the clock of the events. Events up to its now stay erased if they are delivered again.
    """
    retried(lambda: _erase(store, user_id, clock, derivation))


def _erase(store: Store, user_id: str, clock: Clock, derivation: Derivation) -> None:
    with store.transaction() as tx:
        writer_key = lock_corrections(tx)
        user_ids = [user_id]
        for state in tx.users.lock_known([user_id]).values():
            replace_derived(tx, writer_key, derivation, before=[events_of(tx, state)], after=[])
            user_ids = tx.users.ids_of(state.key)
        answers = tx.answers.erase_users(user_ids)
        tx.outcomes.add_counts(writer_key, difference({}, answer_counts(answers)))
        tx.item_counts.add(writer_key, changed({}, item_answer_counts(answers)))
        if not tx.users.erase(user_id, now_ms=clock.now_ms()) and not answers:
            msg = f"user {user_id!r} is not known"
            raise NotFound(msg)
        tx.commit()
