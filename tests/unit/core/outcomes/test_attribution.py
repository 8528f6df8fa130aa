"""Attribution: counts equal a recount from events and answers, whatever happens in between."""

from __future__ import annotations

import pytest
from doubles import MemoryStore
from hypothesis import given
from outcome_log import OutcomeShop, Step, step_lists

from core.records.outcomes import Measure


@given(step_lists)
def test_counts_equal_a_recount_before_and_after_a_rebuild(steps: list[Step]) -> None:
    shop = OutcomeShop(MemoryStore())
    shop.apply(steps)
    shop.flush()
    shop.assert_counted()
    shop.rebuild()
    shop.assert_counted()


@given(step_lists)
def test_counts_equal_a_recount_where_every_batch_counts_as_many_events(steps: list[Step]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.outcomes.attribution.MANY_EVENTS", 1)
        shop = OutcomeShop(MemoryStore())
        shop.apply(steps)
        shop.flush()
        shop.assert_counted()


def cells(shop: OutcomeShop) -> dict[tuple[int, Measure], int]:
    """Numbers by position and measure."""
    return {(position, measure): num for (_, _, position, measure), (num, _) in shop.expected().items()}


def test_a_click_before_its_answer_is_stored_counts_when_it_is() -> None:
    shop = OutcomeShop(MemoryStore())
    shop.apply([("answer", ("ann", ["lamp", "mug"], "", 0)), ("event", ("ann", "mug", "click", 0, 0))])
    shop.assert_counted()
    assert cells(shop) == {}
    shop.flush()
    shop.assert_counted()
    assert cells(shop)[2, Measure.CLICK] == 1


def test_an_item_that_is_clicked_twice_counts_once_until_both_are_undone() -> None:
    shop = OutcomeShop(MemoryStore())
    clicks = [("event", ("ann", "mug", "click", at_s, 0)) for at_s in (0, 3000)]
    shop.apply([("answer", ("ann", ["mug"], "", 0)), ("flush", None), *clicks])
    shop.assert_counted()
    assert cells(shop)[1, Measure.CLICK] == 1
    shop.apply([("undo", 0)])
    shop.assert_counted()
    assert cells(shop)[1, Measure.CLICK] == 1
    shop.apply([("undo", 0)])
    shop.assert_counted()
    assert (1, Measure.CLICK) not in cells(shop)


@pytest.mark.parametrize("steps", [["flush", "merge"], ["merge", "flush"]], ids=["stored", "not yet stored"])
def test_what_a_guest_was_shown_counts_for_what_the_user_buys(steps: list[str]) -> None:
    shop = OutcomeShop(MemoryStore())
    values = {"flush": None, "merge": ("ann", "bob")}
    shop.apply([("answer", ("bob", ["tent"], "", 0)), *((step, values[step]) for step in steps)])
    shop.event(("ann", "tent", "purchase", 3000, None))
    shop.assert_counted()
    assert cells(shop)[1, Measure.CONVERSION] == 1


def test_the_newest_answer_within_the_window_gets_an_event_without_an_id() -> None:
    shop = OutcomeShop(MemoryStore())
    answers = [("answer", ("ann", ["rope", "mug"], "", 0)), ("answer", ("ann", ["mug"], "home", 3000))]
    shop.apply([*answers, ("flush", None), ("event", ("ann", "mug", "click", 6000, None))])
    shop.assert_counted()
    assert [sent.answer for sent in shop.events] == [shop.answers[1]]
    shop.event(("ann", "rope", "click", 6000, None))
    assert shop.events[1].answer is None, "the answer that showed it is older than an hour"
    shop.assert_counted()
