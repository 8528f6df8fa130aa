"""Blended answers: the sum of encoder, live counts and popularity, item by item, and the reason of each item."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from domain_shop import ALL, Shop, names

from core.blending.blend import COUNTS_BLEND, POPULARITY_FLOOR, SHARE_FLOOR, Blend
from core.blending.neighbour_shares import SHRINKAGE
from core.blending.untrained import UntrainedItems
from core.catalogue.items import Item
from core.recommendation.requests import ItemReason, RecommendationRequest, RecommendationResult, SessionEvent

BLEND = Blend(encoder=0.1, forward=1.0, backward=0.5, recent=0.2, lasting=0.1, events=-0.3)
LOG = [("x", "a"), ("x", "c"), ("y", "a"), ("y", "c"), ("y", "e"), ("z", "e"), ("z", "b")]


def shop(*, blend: Blend | None = BLEND, model: bool = True, untrained: str = "") -> Shop:
    """ "c" has followed "a" twice; ann has had "a"."""
    opened = Shop(blend=blend, counts=True, model=model, untrained=untrained)
    for second, (user_id, item_id) in enumerate(LOG):
        opened.had(item_id, second, user_id=user_id)
    opened.had("a", 10)
    opened.snapshots.refresh()
    return opened


def answer(opened: Shop, request: RecommendationRequest = ALL) -> RecommendationResult:
    return opened.recommender.recommend("ann", request)


def reasons(result: RecommendationResult) -> dict[str, ItemReason | None]:
    return {item.item_id: item.reason for item in result.items}


def by_hand(item: str, *, blend: Blend = BLEND) -> float:
    """The score of an item after "a", 90 s after it, for ann. The encoder's score of "b" is 6, of "c" 5 and so on."""
    events = {"a": 3, "b": 1, "c": 2, "e": 2}
    encoder = {"b": 6, "c": 5, "d": 4, "e": 3, "f": 2, "a": 1}[item] * (1 + 90)
    followers = {"c": 2.0, "e": 0.5}
    forward = followers.get(item, 0.0) / (sum(followers.values()) + SHRINKAGE)
    share = events.get(item, 0) / sum(events.values())
    return (
        blend.encoder * encoder
        + blend.forward * math.log1p(forward / SHARE_FLOOR)
        + (blend.recent + blend.lasting) * math.log(POPULARITY_FLOOR + share)
        + blend.events * math.log1p(events.get(item, 0))
    )


def test_a_score_is_the_sum_of_its_parts() -> None:
    scores = {item.item_id: item.score for item in answer(shop()).items}
    assert scores == pytest.approx({item: by_hand(item) for item in "abcdef"}, rel=1e-5)


def test_an_untrained_item_scores_as_its_counts_say() -> None:
    """The model has been trained on all items but "c" and "d"; "d" has no events, and loses nothing."""
    added = UntrainedItems(forward=2.0, backward=0.0, recent=0.0, lasting=0.0, events=3.0, constant=-1.0)
    opened = shop(blend=replace(BLEND, untrained=added), untrained="cd")
    expected = {item: by_hand(item) for item in "abcdef"}
    expected["c"] += 2 * math.log1p(2 / 3.5 / SHARE_FLOOR) + 3 * math.log1p(2) - 1
    scores = {item.item_id: item.score for item in answer(opened).items}
    assert scores == pytest.approx(expected, rel=1e-5)
    told = reasons(answer(opened))["c"]
    assert told is not None
    assert (told.kind, told.item_id) == ("neighbour", "a")


def test_a_new_item_is_an_untrained_one_at_once() -> None:
    added = UntrainedItems(forward=0.0, backward=0.0, recent=0.0, lasting=0.0, events=0.0, constant=100.0)
    opened = shop(blend=replace(BLEND, untrained=added), untrained="g")
    assert "g" not in names(answer(opened))
    opened.catalogue(Item("g"))
    opened.snapshots.follow_items()
    assert names(answer(opened))[0] == "g"


def test_items_are_ordered_by_the_whole_score() -> None:
    expected = sorted("abcdef", key=by_hand, reverse=True)
    assert names(answer(shop())) == expected
    assert names(answer(shop(), RecommendationRequest(n=2, exclude_seen=False))) == expected[:2]


def test_events_of_others_change_the_answer_at_the_next_refresh() -> None:
    opened = shop(blend=Blend(encoder=0.0, forward=1.0, backward=0.0, recent=0.0, lasting=0.0, events=0.0))
    assert names(answer(opened))[0] == "c"
    for second in range(20, 40, 2):
        opened.had("a", second, user_id=f"u{second}")
        opened.had("f", second + 1, user_id=f"u{second}")
    opened.snapshots.refresh()
    assert names(answer(opened))[0] == "f"


def test_hidden_items_are_not_in_the_shares_of_the_others() -> None:
    opened = shop(blend=Blend(encoder=0.0, forward=1.0, backward=0.0, recent=0.0, lasting=0.0, events=0.0))
    opened.had("c", 11)
    opened.had("a", 12)
    opened.snapshots.refresh()
    shown = answer(opened, RecommendationRequest(n=3))
    assert "c" not in names(shown)
    assert shown.items[0].item_id == "e"


def test_every_item_of_a_blended_answer_has_a_reason() -> None:
    told = reasons(answer(shop()))
    assert None not in told.values()
    assert told["b"] is not None
    assert told["b"].kind == "history"


def test_the_shares_of_a_reason_sum_to_one_and_differ_between_items() -> None:
    told = [dict(reason.shares) for reason in reasons(answer(shop())).values() if reason is not None]
    assert [sum(shares.values()) for shares in told] == pytest.approx([1.0] * len(told))
    assert len({tuple(shares.items()) for shares in told}) > 1


def test_the_contributions_of_a_blended_answer_are_those_of_counts_too() -> None:
    opened = shop(blend=Blend(encoder=0.0, forward=1.0, backward=0.0, recent=0.0, lasting=0.0, events=0.0))
    opened.had("d", 12)
    opened.snapshots.refresh()
    first = answer(opened, RecommendationRequest(n=1, explain=True)).items[0]
    assert first.item_id == "c"
    assert [(event.item_id, event.share) for event in first.contributions or ()] == [("a", 1.0)]


def test_a_neighbour_names_the_item_that_it_came_next_to() -> None:
    opened = shop(blend=Blend(encoder=0.0, forward=1.0, backward=0.0, recent=0.1, lasting=0.0, events=0.0))
    told = reasons(answer(opened))["c"]
    assert told is not None
    assert (told.kind, told.item_id, told.title) == ("neighbour", "a", "A")


def test_without_a_model_counts_rank() -> None:
    result = answer(shop(model=False))
    assert (result.source, result.model_version) == ("counts", None)
    assert result.reason == "ranked by what often followed the user's last items; no model serves yet"
    assert result.items[0].item_id == "c"
    assert result.items[0].score == pytest.approx(
        COUNTS_BLEND.forward * math.log1p(2 / 3.5 / SHARE_FLOOR)
        + (COUNTS_BLEND.recent + COUNTS_BLEND.lasting) * math.log(POPULARITY_FLOOR + 2 / 8)
        + COUNTS_BLEND.events * math.log1p(2),
        rel=1e-5,
    )


def test_a_model_without_weights_ranks_alone() -> None:
    result = answer(shop(blend=None))
    assert names(result) == list("bcdefa")
    assert set(reasons(result).values()) == {None}


def test_a_session_is_blended_like_a_history() -> None:
    opened = shop()
    session = opened.recommender.recommend_session([SessionEvent("a", opened.clock.now_ms() - 90_000)], ALL)
    stored = answer(opened)
    assert names(session) == names(stored)
    assert [item.score for item in session.items] == pytest.approx([item.score for item in stored.items])


def test_ranking_given_items_gives_the_same_scores() -> None:
    opened = shop()
    scores = {item.item_id: item.score for item in answer(opened).items}
    ranked = opened.recommender.rank("ann", ["f", "c"])
    assert {item.item_id: item.score for item in ranked.items} == pytest.approx({i: scores[i] for i in "fc"})


def test_an_unknown_session_item_has_no_neighbours() -> None:
    result = shop().recommender.recommend_session([SessionEvent("never seen", 0)], ALL)
    assert result.source == "model"
    assert np.isfinite([item.score for item in result.items if item.score is not None]).all()
