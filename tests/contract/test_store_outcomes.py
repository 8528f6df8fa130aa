"""Outcomes on every store: what is counted equals a recount from events and answers."""

from __future__ import annotations

from random import Random

import pytest
from outcome_log import OutcomeShop, random_steps

from core.clock import DAY_MS
from core.ports.offsets import ANSWERS
from core.ports.store import Store
from core.records.item_counts import ItemCountKey
from core.records.outcomes import CountKey, Measure, Origin, Outcome, StoredAnswer, Wanted, first_key_at

DAY = 20_000
MORNING_MS = DAY * DAY_MS


def answer(number: int, *, user_id: str | None = "ann", at_ms: int = MORNING_MS, origin_key: int = 1) -> StoredAnswer:
    key = (int.from_bytes(first_key_at(at_ms), "big") + number).to_bytes(16, "big")
    return StoredAnswer(key, user_id, at_ms, origin_key, (7, 4_000_000_000), (0.5, 1.0), 1, 2.5)


def outcome(number: int, of: StoredAnswer, *, position: int = 1, measure: Measure = Measure.CLICK) -> Outcome:
    key = number.to_bytes(16, "big")
    return Outcome(of.key, position, measure, key, of.origin_key, of.time_ms, of.propensity_at(position), 1.5)


@pytest.mark.parametrize("seed", range(5))
def test_counts_equal_a_recount_before_and_after_a_rebuild(store: Store, seed: int) -> None:
    shop = OutcomeShop(store)
    shop.apply(random_steps(Random(seed)))
    shop.flush()
    shop.assert_counted()
    shop.rebuild()
    shop.assert_counted()


def test_answers_are_stored_once_and_read_as_they_were(store: Store) -> None:
    first, second, nameless = answer(1), answer(2, at_ms=MORNING_MS + 5), answer(3, user_id=None)
    with store.transaction() as tx:
        assert tx.answers.add([second, first, nameless]) == [second, first, nameless]
        assert tx.answers.add([first, answer(4)]) == [answer(4)]
        tx.commit()
    with store.read() as read:
        assert read.answers.by_key([first.key, nameless.key]) == {first.key: first, nameless.key: nameless}


def test_the_newest_answers_in_which_something_was_drawn_are_found(store: Store) -> None:
    drawn = [answer(number, at_ms=MORNING_MS + number) for number in range(3)]
    others = [answer(4, user_id=None), answer(5)._replace(propensities=None), answer(6, origin_key=2)]
    with store.transaction() as tx:
        tx.answers.add([*drawn, *others])
        assert tx.answers.randomised([1], limit=2) == [drawn[2], drawn[1]]
        assert tx.answers.randomised([2, 3], limit=9) == [others[2]]
        assert tx.answers.randomised([], limit=9) == []


def test_the_newest_answer_that_showed_an_item_to_a_user_is_found(store: Store) -> None:
    first, second, nameless = answer(1), answer(2, at_ms=MORNING_MS + 5), answer(3, user_id=None, at_ms=MORNING_MS + 6)
    crossing = StoredAnswer(first_key_at(MORNING_MS + 9), "ann", MORNING_MS + 9, 1, (7 << 16, 0))  # 7 across two keys
    with store.transaction() as tx:
        tx.answers.add([first, second, nameless, crossing])
        times = (MORNING_MS - 1, MORNING_MS, MORNING_MS + 4, MORNING_MS + 5, MORNING_MS + 20)
        wanted = [Wanted("ann", 7, MORNING_MS, at_ms) for at_ms in times]
        assert tx.answers.newest(wanted) == [None, first.key, first.key, second.key, second.key]
        others = [("ann", 8, 0), ("bob", 7, 0), ("ann", 7, MORNING_MS + 6)]
        assert tx.answers.newest([Wanted(*other, MORNING_MS + 20) for other in others]) == [None, None, None]


def test_whether_any_answer_was_given_in_a_period(store: Store) -> None:
    with store.transaction() as tx:
        tx.answers.add([answer(1)])
        periods = [(MORNING_MS, MORNING_MS), (0, MORNING_MS - 1), (MORNING_MS + 1, MORNING_MS + 9)]
        assert [tx.answers.any_between(*period) for period in periods] == [True, False, False]


def test_answers_are_renamed_erased_and_grow_old(store: Store) -> None:
    old, guest, other = answer(1, at_ms=MORNING_MS - 1), answer(2, user_id="guest"), answer(3, user_id="bob")
    with store.transaction() as tx:
        tx.answers.add([old, guest, other])
        tx.answers.rename_user("guest", to="ann")
        origin_key = tx.answers.name_origins([Origin()])[Origin()]
        tx.answers.add_items_shown([(DAY - 1, origin_key, 7), (DAY, origin_key, 7)])
        assert tx.answers.delete_before(MORNING_MS, limit=10) == 2, "one answer, one item of the day before"
        assert [gone.key for gone in tx.answers.erase_users(["ann"])] == [guest.key]
        assert tx.answers.lock([old.key, guest.key, other.key]) == {other.key: other}
        assert tx.answers.num_items_shown(None, since_day=0, until_day=DAY) == {"": 1}


def test_items_shown_are_counted_once_in_each_group(store: Store) -> None:
    home, cart = Origin("home", "test/a", "v1"), Origin("cart", "", "v1")
    with store.transaction() as tx:
        keys = tx.answers.name_origins([home, cart])
        assert tx.answers.name_origins([cart]) == {cart: keys[cart]}
        shown = [(DAY, keys[home], 7), (DAY, keys[home], 8), (DAY, keys[cart], 7), (DAY + 1, keys[cart], 7)]
        tx.answers.add_items_shown(shown)
        tx.answers.add_items_shown(shown[:1])
        tx.commit()
    with store.read() as read:
        days = {"since_day": DAY, "until_day": DAY + 1}
        assert read.answers.origins() == {keys[home]: home, keys[cart]: cart}
        assert read.answers.num_items_shown("scenario", **days) == {"home": 2, "cart": 1}
        assert read.answers.num_items_shown("model_version", **days) == {"v1": 2}
        assert read.answers.num_items_shown("day", **days) == {DAY: 2, DAY + 1: 1}
        assert read.answers.num_items_shown(None, since_day=0, until_day=1) == {"": 0}


def test_outcomes_are_read_by_answer_by_event_and_in_pages(store: Store) -> None:
    first, second = answer(1), answer(2)
    rows = [outcome(1, first), outcome(2, first, position=2), outcome(3, second, measure=Measure.CONVERSION)]
    with store.transaction() as tx:
        tx.outcomes.add(rows)
        tx.commit()
    with store.transaction() as tx:
        assert tx.outcomes.of_answers([first.key]) == rows[:2]
        assert tx.outcomes.of_events([rows[2].event_key]) == rows[2:]
        pages = list(tx.outcomes.pages(chunk=1))
        assert [row for page in pages for row in page] == rows
        in_pages = [key for page in pages for key in {row.answer_key for row in page}]
        assert len(in_pages) == len(set(in_pages)), "no page splits an answer"
        tx.outcomes.delete([rows[0].event_key])
        assert tx.outcomes.of_answers([first.key]) == rows[1:2]


def test_counts_of_writers_are_summed_by_group(store: Store) -> None:
    counts = {CountKey(DAY, 1, 1, Measure.CLICK): (2, 0.0), CountKey(DAY, 2, 1, Measure.CONVERSION): (1, 9.5)}
    with store.transaction() as tx:
        writers = tx.offsets.lock(ANSWERS, [0, 1])
        for writer in writers.values():
            tx.outcomes.add_counts(writer.key, counts)
        tx.outcomes.add_counts(writers[0].key, {CountKey(DAY + 1, 1, 3, Measure.SHOWN): (5, 0.0)})
        tx.commit()
    with store.transaction() as tx:
        days = {"since_day": DAY, "until_day": DAY + 1}
        assert tx.outcomes.totals("origin", **days) == [(1, 1, 4, 0.0), (1, 3, 5, 0.0), (2, 2, 2, 19.0)]
        assert tx.outcomes.totals("position", **days) == [(1, 1, 4, 0.0), (1, 2, 2, 19.0), (3, 3, 5, 0.0)]
        assert tx.outcomes.totals("day", since_day=DAY, until_day=DAY) == [(DAY, 1, 4, 0.0), (DAY, 2, 2, 19.0)]
        tx.outcomes.clear_counts()
        assert tx.outcomes.totals("origin", **days) == [(1, 3, 5, 0.0)], "what answers showed is not in the events"


def test_counts_by_item_are_summed_over_writers(store: Store) -> None:
    shown, clicked, later = (ItemCountKey(*key) for key in ((3, DAY, 7), (1, DAY, 7), (1, DAY + 1, 8)))
    with store.transaction() as tx:
        writers = tx.offsets.lock(ANSWERS, [0, 1])
        for writer in writers.values():
            tx.item_counts.add(writer.key, {shown: 5, clicked: 2})
        tx.item_counts.add(writers[0].key, {later: 1, ItemCountKey(3, DAY - 1, 7): 4, clicked: -1})
        tx.commit()
    with store.transaction() as tx:
        days = {"since_day": DAY, "until_day": DAY + 1}
        assert tx.item_counts.of_items([7, 9], measures=[1, 3], **days) == {shown: 10, clicked: 3}
        assert tx.item_counts.of_items([8], measures=[1], since_day=DAY, until_day=DAY) == {}
        by_item, by_day = (tx.item_counts.totals(by, measures=[1, 3], **days).tolist() for by in ("item", "day"))
        assert by_item == [[7, 1, 3], [7, 3, 10], [8, 1, 1]]
        assert by_day == [[DAY, 1, 3], [DAY, 3, 10], [DAY + 1, 1, 1]]
        assert tx.item_counts.delete_shown_before(DAY, limit=10) == 1
        tx.item_counts.clear()
        kept = tx.item_counts.totals("item", measures=[1, 3], since_day=0, until_day=DAY + 1).tolist()
        assert kept == [[7, 3, 10]], "what answers showed is not in the events"


def test_deferred_events_wait_for_their_answer_for_a_while(store: Store) -> None:
    stored, missing = answer(1), answer(2)
    with store.transaction() as tx:
        tx.outcomes.defer([(b"a" * 16, stored.key), (b"b" * 16, missing.key)], now_ms=10)
        assert tx.outcomes.deferred(limit=10) == []
        tx.answers.add([stored])
        assert tx.outcomes.deferred(limit=10) == [(b"a" * 16, stored.key)]
        tx.outcomes.expire_deferred(before_ms=11)
        tx.answers.add([missing])
        assert tx.outcomes.deferred(limit=10) == [(b"a" * 16, stored.key)]
        tx.outcomes.delete_deferred([b"a" * 16])
        assert tx.outcomes.deferred(limit=10) == []
