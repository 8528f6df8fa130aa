"""Kept lists: computed once while nothing changes that they depend on, and always what would be computed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from domain_doubles import NOW_MS, ReadSpyingStore
from domain_shop import ALL, Shop
from hypothesis import given
from hypothesis import strategies as st

from core.blending.blend import Blend
from core.catalogue.availability import Availability
from core.catalogue.filters import filter_in
from core.catalogue.items import Item
from core.recommendation.kept_lists import ENTRY_OVERHEAD_BYTES, ITEM_BYTES, KeptLists
from core.recommendation.recommender import Recommender
from core.recommendation.requests import RecommendationRequest, RecommendationResult, ScoredItem
from core.scenarios.scenario import Exploration, Scenario

BLEND = Blend(encoder=0.1, forward=1.0, backward=0.5, recent=0.2, lasting=0.1, events=-0.3)
LIMIT_MS = NOW_MS + 150_000


def shop() -> Shop:
    """ann and bob have had items; "f" is available until `LIMIT_MS`."""
    opened = Shop(blend=BLEND, counts=True)
    opened.catalogue(Item("f", title="F", availability=Availability(None, LIMIT_MS, None)))
    for second, (user_id, item_id) in enumerate([("ann", "a"), ("bob", "a"), ("bob", "c"), ("ann", "b")]):
        opened.had(item_id, second, user_id=user_id)
    opened.snapshots.refresh()
    return opened


def ask(opened: Shop, request: RecommendationRequest = ALL, user_id: str = "ann") -> tuple[ScoredItem, ...]:
    return opened.recommender.recommend(user_id, request).items


def said(answer: RecommendationResult) -> tuple[object, ...]:
    """All of an answer but its id."""
    of_list = (answer.items, answer.source, answer.reason, answer.model_version)
    return (*of_list, answer.now_ms, answer.user_seq, answer.gap_ms, answer.scenario, answer.arm)


def without_keeping(opened: Shop) -> Recommender:
    """A recommender of the shop that keeps no list."""
    return opened.recommender_with(KeptLists(max_mib=0))


def test_a_list_is_computed_once_while_nothing_changes() -> None:
    opened = shop()
    first = ask(opened)
    opened.snapshots.refresh()
    assert ask(opened) is first
    assert ask(opened, replace(ALL, record=False)) is first


def test_each_answer_has_an_id_and_a_time_of_its_own() -> None:
    opened = shop()
    opened.clock.advance(by_ms=1)
    answers = [opened.recommender.recommend("nobody", ALL) for _ in range(2)]
    opened.clock.advance(by_ms=1)
    answers.append(opened.recommender.recommend("nobody", ALL))
    assert len({answer.recommendation_id for answer in answers}) == 3
    assert answers[2].now_ms == answers[1].now_ms + 1
    assert answers[2].items is answers[0].items


CHANGES: dict[str, Callable[[Shop], object]] = {
    "an event of the user": lambda opened: opened.had("c", 20),
    "an event of another user": lambda opened: opened.had("d", 20, user_id="bob"),
    "a hidden item": lambda opened: opened.catalogue(Item("e", title="E", hidden=True)),
    "another title": lambda opened: opened.catalogue(Item("e", title="new")),
    "a longer gap to now": lambda opened: opened.clock.advance(by_ms=1_000),
    "an item whose time is over": lambda opened: opened.clock.advance(by_ms=LIMIT_MS - opened.clock.now_ms()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_in_the_next_list(change: Callable[[Shop], object]) -> None:
    opened = shop()
    before = ask(opened)
    change(opened)
    opened.snapshots.refresh()
    after = ask(opened)
    assert after is not before
    assert after == without_keeping(opened).recommend("ann", ALL).items


def test_lists_of_other_requests_and_users_are_their_own() -> None:
    opened = shop()
    requests = [
        ALL,
        replace(ALL, n=2),
        replace(ALL, category="early"),
        replace(ALL, exclude=["c"]),
        replace(ALL, reasons=False),
    ]
    lists = [ask(opened, request) for request in requests] + [ask(opened, ALL, "bob")]
    again = [ask(opened, request) for request in requests] + [ask(opened, ALL, "bob")]
    assert len({id(items) for items in lists}) == len(lists)
    assert all(one is two for one, two in zip(lists, again, strict=True))


@pytest.mark.parametrize(
    "request_",
    [
        replace(ALL, scenario=Scenario("home", exploration=Exploration(0.5))),
        replace(ALL, scenario=Scenario("new", max_age_ms=10**12)),
        replace(ALL, at_ms=NOW_MS + 50_000),
        replace(ALL, explain=True),
    ],
    ids=["drawn", "by age", "at another time", "explained"],
)
def test_a_list_that_depends_on_more_is_computed_each_time(request_: RecommendationRequest) -> None:
    opened = shop()
    assert ask(opened, request_) is not ask(opened, request_)


def test_the_least_recently_asked_lists_make_room() -> None:
    opened = shop()
    lists = KeptLists(max_mib=3.5 * (ENTRY_OVERHEAD_BYTES + 6 * ITEM_BYTES) / 2**20)  # room for three
    recommender = opened.recommender_with(lists)
    kept = [recommender.recommend(user_id, ALL).items for user_id in ("ann", "bob", "nobody")]
    recommender.recommend("ann", ALL)
    recommender.recommend("ann", replace(ALL, n=19))
    assert len(lists) == 3
    assert recommender.recommend("ann", ALL).items is kept[0]
    assert recommender.recommend("bob", ALL).items is not kept[1]


def test_a_kept_answer_is_the_one_of_a_computed_list() -> None:
    opened = shop()
    recommender = opened.recommender
    for user_id in ("ann", "nobody"):
        assert recommender.kept(user_id, ALL) is None
        first = recommender.recommend(user_id, ALL)
        kept = recommender.kept(user_id, ALL)
        assert kept is not None
        assert kept.ranked is first.ranked
        assert said(kept) == said(first)
        assert kept.recommendation_id != first.recommendation_id


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_after_a_change_no_answer_is_kept(change: Callable[[Shop], object]) -> None:
    opened = shop()
    ask(opened)
    change(opened)
    opened.snapshots.refresh()
    assert opened.recommender.kept("ann", ALL) is None


def test_an_event_or_item_change_is_noticed_before_the_next_refresh() -> None:
    for change in (lambda opened: opened.had("c", 20), lambda opened: opened.catalogue(Item("e", hidden=True))):
        opened = shop()
        ask(opened)
        change(opened)
        assert opened.recommender.kept("ann", ALL) is None


def test_a_kept_answer_reads_no_more_than_a_version() -> None:
    store = ReadSpyingStore()
    opened = Shop(store=store)
    opened.had("b")
    assert store.reads_of(lambda: opened.recommender.kept("ann", ALL)) == []
    ask(opened)
    assert store.reads_of(lambda: opened.recommender.kept("ann", ALL)) == ["users.version"]
    of_the_user = replace(ALL, where=filter_in(["user.country:de"]))
    for request in (of_the_user, replace(ALL, explain=True)):
        ask(opened, request)
        assert store.reads_of(lambda request=request: opened.recommender.kept("ann", request)) == []  # type: ignore[misc]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from(["ann", "bob", "cy"]), st.sampled_from("abcdef")),
        st.tuples(st.just("item"), st.sampled_from("abcdef"), st.booleans()),
        st.tuples(st.just("time"), st.sampled_from([1, 1_000, 60_000]), st.none()),
        st.tuples(st.just("refresh"), st.none(), st.none()),
    ),
    max_size=8,
)


@given(STEPS)
def test_a_kept_list_is_the_one_that_would_be_computed_again(steps: list[tuple[str, str, str]]) -> None:
    opened = shop()
    computing = without_keeping(opened)
    for second, (kind, one, two) in enumerate(steps, start=20):
        if kind == "event":
            opened.had(two, second, user_id=one)
        elif kind == "item":
            opened.catalogue(Item(one, title=one.upper(), hidden=bool(two)))
        elif kind == "time":
            opened.clock.advance(by_ms=int(one))
        else:
            opened.snapshots.refresh()
        for user_id in ("ann", "bob", "nobody"):
            for request in (ALL, RecommendationRequest(n=3)):
                kept = opened.recommender.kept(user_id, request)
                computed = computing.recommend(user_id, request)
                for answer in (kept or computed, opened.recommender.recommend(user_id, request)):
                    assert said(answer) == said(computed)
