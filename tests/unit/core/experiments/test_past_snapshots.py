"""Past snapshots: they rank as the snapshot that served then, whatever users did since."""

from __future__ import annotations

from random import Random

import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES
from domain_shop import Shop, names

from core.blending.blend import COUNTS_BLEND
from core.experiments.past_snapshots import PastSnapshots
from core.popularity import DEFAULT_HALF_LIFE_MS
from core.recommendation.kept_lists import KeptLists
from core.recommendation.recommender import Recommender
from core.recommendation.requests import RecommendationRequest, SessionEvent
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.recommendation.user_vectors.user_snapshots import UserSnapshots

SESSION = [SessionEvent("a", NOW_MS)]
REQUEST = RecommendationRequest(n=20, exclude_seen=False)


def ranked_on(shop: Shop, snapshot: ServingSnapshot) -> list[str]:
    """The items for a session."""
    recommender = Recommender(
        shop.store,
        snapshots=lambda: snapshot,
        clock=shop.clock,
        types=TYPES,
        shape=SHAPE,
        vectors=shop.vectors,
        users=UserSnapshots(max_mib=1),
        lists=KeptLists(max_mib=1),
    )
    return names(recommender.recommend_session(SESSION, REQUEST))


@pytest.mark.parametrize("model", [False, True])
def test_lists_are_those_that_were_given_then(model: bool) -> None:
    shop = Shop(model=model, counts=True, blend=COUNTS_BLEND if model else None)
    draw, moments = Random(model), []
    for second in range(0, 60, 2):
        shop.had(draw.choice("abcdef"), second, user_id=draw.choice(["ann", "bob", "cid"]))
        if second % 6 == 0:
            shop.snapshots.refresh()
            moments.append((NOW_MS + 1000 * second + 1000, ranked_on(shop, shop.snapshots.current())))
    shop.snapshots.refresh()
    with shop.store.read() as read:
        past = PastSnapshots(
            read, shop.snapshots.current(), TYPES, until_ms=moments[-1][0], half_life_ms=DEFAULT_HALF_LIFE_MS
        )
    assert [ranked_on(shop, past.at(time_ms)) for time_ms, _ in moments] == [given for _, given in moments]
    assert len({tuple(given) for _, given in moments}) > 3, "events change the order"


def test_without_counts_popularity_alone_is_of_the_past() -> None:
    shop = Shop(model=False)
    shop.had("d", 0)
    shop.had("e", 10, user_id="bob")
    shop.had("e", 11, user_id="cid")
    shop.snapshots.refresh()
    with shop.store.read() as read:
        past = PastSnapshots(
            read, shop.snapshots.current(), TYPES, until_ms=NOW_MS + 5000, half_life_ms=DEFAULT_HALF_LIFE_MS
        )
    assert names(shop.recommender.popular(REQUEST))[0] == "e"
    assert past.at(NOW_MS + 5000).popularity.argmax() == 3, "of d"
