"""Recommend: nobody sees what they should not, every answer says what it rests on, and `at` moves only now.

The model is of axis vectors: after an item the items behind it score highest, in catalogue order, round the end.
"""

from __future__ import annotations

import pytest
from domain_doubles import NOW_MS, AxisBundle, ReadSpyingStore, crown, user
from domain_shop import ALL, Shop, names, popular_shop

from core.catalogue.items import Item
from core.manage import remove_item
from core.recommendation.ranking.selection import NUM_SPARE
from core.recommendation.requests import RecommendationRequest, SessionEvent

# --- for a user with a history


def test_items_are_ranked_by_the_users_last_event() -> None:
    shop = Shop()
    shop.had("b")
    assert shop.for_ann() == ["c", "d", "e", "f", "a", "b"]


def test_an_answer_says_what_it_rests_on() -> None:
    shop = Shop()
    shop.had("b", 40)
    answer = shop.recommender.recommend("ann", RecommendationRequest(n=1))
    assert (answer.source, answer.reason, answer.model_version) == ("model", "ranked by the user's history", "v1")
    assert (answer.user_seq, answer.now_ms, answer.gap_ms) == (1, NOW_MS + 100_000, 60_000)
    (best,) = answer.items
    assert (best.item_id, best.title, best.categories) == ("c", "C", ("early",))
    assert best.score == pytest.approx(6 * 61)


def test_an_empty_catalogue_is_the_reason_of_an_empty_answer() -> None:
    shop = Shop(items=())
    shop.had("b")
    shop.snapshots.refresh()
    answers = [shop.recommender.recommend("ann", ALL), shop.recommender.popular(ALL)]
    assert [(answer.items, answer.reason) for answer in answers] == [
        ((), "the catalogue has no item that can be recommended")
    ] * 2


def test_every_answer_has_an_id_of_its_own() -> None:
    shop = Shop()
    assert len({shop.recommender.popular(RecommendationRequest()).recommendation_id for _ in range(10)}) == 10


def test_an_event_changes_the_next_answer_without_any_refresh() -> None:
    shop = Shop()
    shop.had("b", 0)
    before = shop.for_ann()[0]
    shop.had("d", 1)
    assert (before, shop.for_ann()[0]) == ("c", "e")


def test_seen_items_are_left_out_unless_repeats_are_wanted() -> None:
    shop = Shop()
    shop.had("b", 0)
    shop.had("d", 1)
    assert shop.for_ann(RecommendationRequest(n=20)) == ["e", "f", "a", "c"]
    assert {"b", "d"} <= set(shop.for_ann(RecommendationRequest(n=20, exclude_seen=False)))


def test_repeat_scores_move_seen_items_if_seen_items_are_included() -> None:
    plain, never, soon = (Shop(each_adds=score) for score in (None, -9_999.0, 9_999.0))
    for shop in (plain, never, soon):
        shop.had("e", 0)
        shop.had("b", 1)
    assert plain.for_ann() == ["c", "d", "e", "f", "a", "b"]
    assert never.for_ann() == ["c", "d", "f", "a", "e", "b"]
    assert soon.for_ann() == ["e", "b", "c", "d", "f", "a"]
    assert soon.for_ann(RecommendationRequest(n=1)) == ["c"], "what is left out stays out"
    assert names(soon.recommender.rank("ann", ["c", "b"])) == ["b", "c"]
    session = [SessionEvent("b", NOW_MS)]
    assert names(soon.recommender.recommend_session(session, ALL))[0] == "b"


def test_seen_means_the_whole_history_not_the_window() -> None:
    shop = Shop()
    for at_s, name in enumerate(["a", *"bcbcbcbcbc"]):
        shop.had(name, at_s)
    assert "a" not in shop.for_ann(RecommendationRequest(n=20))


def test_a_disliked_item_is_gone_even_where_repeats_are_wanted() -> None:
    shop = Shop()
    shop.had("b", 0)
    shop.had("c", 1, kind="dislike")
    assert shop.for_ann(ALL) == ["d", "e", "f", "a", "b"]


def test_a_later_like_takes_a_dislike_back_whatever_arrives_first() -> None:
    dislike_first, like_first, disliked_again = Shop(), Shop(), Shop()
    for shop, order in ((dislike_first, ("dislike", "like")), (like_first, ("like", "dislike"))):
        shop.had("b", 0)
        for kind in order:
            shop.had("c", {"dislike": 1, "like": 2}[kind], kind=kind)
    disliked_again.had("b", 0)
    for at_s, kind in enumerate(("dislike", "like", "dislike"), start=1):
        disliked_again.had("c", at_s, kind=kind)
    assert "c" in dislike_first.for_ann(ALL)
    assert like_first.for_ann(ALL) == dislike_first.for_ann(ALL)
    assert "c" not in disliked_again.for_ann(ALL)
    assert "c" not in dislike_first.for_ann(RecommendationRequest(n=20)), "a liked item is a seen one"


def test_ranking_excludes_disliked_items() -> None:
    shop = Shop()
    shop.had("b", 0)
    shop.had("c", 1, kind="dislike")
    answer = shop.recommender.rank("ann", ["c", "d", "b"])
    assert (names(answer), answer.excluded) == (["d", "b"], {"c": "disliked by the user"})
    shop.had("c", 2, kind="like")
    assert sorted(names(shop.recommender.rank("ann", ["c", "d", "b"]))) == ["b", "c", "d"]


def test_an_impression_is_not_seen() -> None:
    shop = Shop()
    shop.had("b", 0)
    shop.had("c", 1, kind="impression")
    assert shop.for_ann(RecommendationRequest(n=1)) == ["c"]


def test_what_others_had_does_not_matter() -> None:
    shop = Shop()
    shop.had("b", 0)
    shop.had("c", 1, user_id="bob", kind="dislike")
    assert shop.for_ann(RecommendationRequest(n=1)) == ["c"]


def test_hidden_or_removed_item_is_excluded_without_a_refresh() -> None:
    shop = Shop()
    shop.had("b")
    shop.catalogue(Item("c", hidden=True))
    remove_item(shop.store, "d", clock=shop.clock)
    assert shop.for_ann(RecommendationRequest(n=2)) == ["e", "f"]


def test_a_new_title_is_in_the_next_answer_without_any_refresh() -> None:
    shop = Shop()
    shop.had("b")
    shop.catalogue(Item("c", title="new"))
    assert shop.recommender.recommend("ann", RecommendationRequest(n=1)).items[0].title == "new"


def test_items_removed_by_the_final_check_are_replaced() -> None:
    item_ids = tuple(f"i{number:03}" for number in range(4 * NUM_SPARE + 3))
    shop = Shop(items=item_ids)
    shop.had(item_ids[-1])
    for item_id in item_ids[: 2 * NUM_SPARE]:
        remove_item(shop.store, item_id, clock=shop.clock)
    assert shop.for_ann(RecommendationRequest(n=2)) == list(item_ids[2 * NUM_SPARE : 2 * NUM_SPARE + 2])


def test_an_answer_is_shorter_only_where_nothing_else_may_be_shown() -> None:
    shop = Shop()
    shop.had("b")
    for item_id in "cdef":
        remove_item(shop.store, item_id, clock=shop.clock)
    assert shop.for_ann(RecommendationRequest(n=5)) == ["a"]


def test_a_category_and_excluded_items_narrow_the_answer() -> None:
    shop = Shop()
    shop.had("b")
    assert shop.for_ann(RecommendationRequest(n=20, category="late")) == ["d", "e", "f"]
    assert shop.for_ann(RecommendationRequest(n=20, category="late", exclude=["e", "e", "unknown"])) == ["d", "f"]
    assert shop.for_ann(RecommendationRequest(n=20, category="no such")) == []


def test_at_moves_the_gap_and_nothing_else() -> None:
    shop = Shop()
    shop.had("b", 0)
    shop.had("d", 50)
    plain = shop.recommender.recommend("ann", ALL)
    later = shop.recommender.recommend("ann", RecommendationRequest(n=20, exclude_seen=False, at_ms=NOW_MS + 150_000))
    before = shop.recommender.recommend("ann", RecommendationRequest(n=20, exclude_seen=False, at_ms=NOW_MS + 10_000))
    assert [answer.gap_ms for answer in (plain, later, before)] == [50_000, 100_000, 0]
    assert [answer.now_ms - NOW_MS for answer in (plain, later, before)] == [100_000, 150_000, 10_000]
    assert {answer.user_seq for answer in (plain, later, before)} == {2}
    assert names(plain) == names(later) == names(before)
    assert [answer.items[0].score for answer in (plain, later, before)] == [6 * 51, 6 * 101, 6]


# --- vectors are kept while they are current


def test_user_is_encoded_once_by_the_queue_or_by_a_request() -> None:
    shop = Shop()
    shop.had("b", 0)
    assert shop.recommender.encode([user(shop.store)]) == 1
    for _ in range(3):
        shop.for_ann()
    assert shop.num_encoded == 1
    shop.had("d", 1)
    shop.for_ann()
    assert shop.recommender.encode([user(shop.store)]) == 0
    assert shop.num_encoded == 2


def test_there_is_nothing_to_encode_without_a_model_or_without_a_history() -> None:
    without_model = Shop(model=False)
    without_model.had("b")
    assert without_model.recommender.encode([user(without_model.store)]) == 0
    shop = Shop()
    shop.had("b", kind="impression")
    assert shop.recommender.encode([user(shop.store)]) == 0


def test_a_changed_item_or_a_new_model_lets_no_old_vector_through() -> None:
    shop = Shop()
    shop.had("b")
    shop.for_ann()
    shop.catalogue(Item("b", title="new"), Item("g"))
    shop.snapshots.refresh()
    assert shop.for_ann() == ["c", "d", "e", "f", "g", "a", "b"]
    shop.bundle = AxisBundle("v2")
    crown(shop.store, "v2", created_ms=NOW_MS + 1)
    shop.snapshots.refresh()
    assert shop.recommender.recommend("ann", ALL).model_version == "v2"
    assert len(shop.bundle.encoders[0].encoded) == 1


def test_a_vector_stays_valid_while_only_other_items_change() -> None:
    shop = Shop()
    shop.had("b")
    shop.for_ann()
    encoded = shop.recommender.num_encoded
    shop.catalogue(Item("c", title="new"), Item("g"), Item("b", title="B", categories=("early",), attributes={"x": 1}))
    shop.snapshots.refresh()
    shop.for_ann()
    assert shop.recommender.num_encoded == encoded


# --- without a history or a model


def test_unknown_user_gets_popular_items_with_a_reason() -> None:
    answer = popular_shop().recommender.recommend("ann", ALL)
    assert names(answer) == ["d", "b", "f", "e", "c", "a"]
    assert (answer.source, answer.reason, answer.model_version) == ("popularity", "the user is unknown", None)
    assert (answer.user_seq, answer.gap_ms) == (None, None)


def test_scores_of_items_without_events_are_not_known() -> None:
    answer = popular_shop().recommender.popular(ALL)
    assert [item.score is not None for item in answer.items] == [True, True, False, False, False, False]


def test_a_user_without_a_windowed_event_gets_what_is_popular() -> None:
    shop = popular_shop()
    shop.had("d", kind="dislike")
    answer = shop.recommender.recommend("ann", ALL)
    assert (answer.reason, answer.user_seq, names(answer)[0]) == ("the user has no history", 1, "b")


def test_before_there_is_a_model_a_user_gets_what_is_popular_and_unseen() -> None:
    shop = popular_shop(model=False)
    shop.had("d")
    answer = shop.recommender.recommend("ann", RecommendationRequest(n=2))
    assert (answer.reason, names(answer)) == ("no model serves yet", ["b", "f"])


def test_an_empty_catalogue_gives_an_empty_answer() -> None:
    shop = Shop(items=())
    assert names(shop.recommender.recommend("ann", ALL)) == []
    shop.had("a")
    assert names(shop.recommender.recommend("ann", ALL)) == []


# --- items that only events have named


def test_uncatalogued_item_is_not_recommended_until_it_is_catalogued() -> None:
    shop = Shop()
    shop.had("new", user_id="bob")
    shop.snapshots.refresh()
    assert "new" not in shop.for_ann()
    assert "new" not in names(shop.recommender.popular(ALL))
    shop.catalogue(Item("new"))
    shop.snapshots.refresh()
    assert "new" in shop.for_ann()


def test_uncatalogued_items_are_recommended_if_included() -> None:
    shop = Shop(include_uncatalogued=True, items=())
    shop.had("x", user_id="bob")
    assert shop.snapshots.refresh()
    assert shop.for_ann() == ["x"]


def test_history_of_items_newer_than_the_snapshot_is_ranked() -> None:
    shop = Shop()
    shop.had("newer than the snapshot")
    assert shop.for_ann() == ["a", "b", "c", "d", "e", "f"]  # an unknown item counts as row -1


# --- what an answer reads


def test_an_answer_reads_the_store_once_while_no_item_changes() -> None:
    store = ReadSpyingStore()
    shop = Shop(store=store)
    shop.had("b")
    requests = (ALL, RecommendationRequest(n=2, category="late", exclude=["d", "new"], explain=True))
    for request in requests:
        assert store.reads_of(lambda request=request: shop.for_ann(request)) == ["users.snapshot"]  # type: ignore[misc]
    assert store.reads_of(lambda: shop.recommender.rank("ann", ["c", "b"])) == ["users.snapshot"]
    assert store.reads_of(lambda: shop.recommender.popular(ALL)) == ["items.revision"]
    assert store.reads_of(lambda: shop.recommender.similar("b", ALL)) == ["items.revision"]


def test_an_answer_reads_its_items_after_one_has_changed() -> None:
    store = ReadSpyingStore()
    shop = Shop(store=store)
    shop.had("b")
    shop.catalogue(Item("c", title="new"))
    assert store.reads_of(shop.for_ann) == ["users.snapshot", "items.changed"]
    shop.snapshots.refresh()
    assert store.reads_of(shop.for_ann) == ["users.snapshot"]
