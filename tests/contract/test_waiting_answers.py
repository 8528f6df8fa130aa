"""On every store: what becomes of answers that waited to be stored while their user was erased or merged."""

from __future__ import annotations

import pytest
from domain_doubles import NOW_MS
from outcome_log import DERIVATION, OutcomeShop

from core.clock import HOUR_MS, ManualClock
from core.corrections.erase import erase_user
from core.ports.store import Store
from core.records.outcomes import Answer, Origin, StoredAnswer, new_recommendation_id

CLICK = ("lamp", "click", 0, None)


@pytest.fixture
def shop(store: Store) -> OutcomeShop:
    shop = OutcomeShop(store)
    shop.event(("ann", *CLICK))
    return shop


def give_answer(shop: OutcomeShop, user_id: str, *, at_ms: int) -> Answer:
    """An answer that waits, by what is known of the user now and a clock that may be wrong."""
    with shop.store.read() as read:
        state = read.users.find(user_id)
    key = state.key if state else None
    answer = Answer(new_recommendation_id(at_ms), user_id, at_ms, Origin(), ("lamp",), user_key=key)
    shop.log.add(answer)
    return answer


def erase(shop: OutcomeShop, user_id: str) -> None:
    erase_user(shop.store, user_id, clock=ManualClock(NOW_MS), derivation=DERIVATION)


def stored(shop: OutcomeShop, answer: Answer) -> StoredAnswer | None:
    shop.log.flush()
    key = bytes.fromhex(answer.recommendation_id)
    with shop.store.read() as read:
        return read.answers.by_key([key]).get(key)


@pytest.mark.parametrize("ahead_ms", [-HOUR_MS, 0, HOUR_MS])
def test_an_answer_to_a_user_erased_since_is_dropped_whatever_its_clock(shop: OutcomeShop, ahead_ms: int) -> None:
    answer = give_answer(shop, "ann", at_ms=NOW_MS + ahead_ms)
    erase(shop, "ann")
    assert stored(shop, answer) is None


@pytest.mark.parametrize("ahead_ms", [-HOUR_MS, HOUR_MS])
def test_an_answer_to_a_user_who_returned_is_stored_whatever_its_clock(shop: OutcomeShop, ahead_ms: int) -> None:
    erase(shop, "ann")
    before = give_answer(shop, "ann", at_ms=NOW_MS)
    shop.event(("ann", "mug", "click", 60, None))
    returned = give_answer(shop, "ann", at_ms=NOW_MS + ahead_ms)
    assert stored(shop, returned) is not None
    assert stored(shop, before) is None, "not known when it was given, and not later than the erasure"


def test_an_answer_to_a_guest_who_was_merged_since_is_the_users(shop: OutcomeShop) -> None:
    shop.event(("guest", *CLICK))
    answer = give_answer(shop, "guest", at_ms=NOW_MS)
    shop.merge(("ann", "guest"))
    later = give_answer(shop, "guest", at_ms=NOW_MS + 1)
    kept = [stored(shop, each) for each in (answer, later)]
    assert [each and each.user_id for each in kept] == ["ann", "ann"]


def test_an_answer_to_a_guest_who_was_merged_and_erased_since_is_dropped(shop: OutcomeShop) -> None:
    shop.event(("guest", *CLICK))
    answer = give_answer(shop, "guest", at_ms=NOW_MS + HOUR_MS)
    shop.merge(("ann", "guest"))
    erase(shop, "ann")
    assert stored(shop, answer) is None
