"""Scores say where the model would have placed an event's item, under the state strictly before it, however late."""

from __future__ import annotations

import numpy as np
import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, event
from domain_shop import Shop

from core.blending.blend import Blend
from core.catalogue.items import Item
from core.corrections.erase import erase_user
from core.drift.scoring import Scoring, confidence
from core.ingestion.derivation import Derivation
from core.ingestion.sources import RequestSource
from core.manage import remove_item
from core.recommendation.requests import RecommendationRequest
from core.records.drift import SampledEvent, Score


def sampled(shop: Shop, user_id: str, item_id: str, at_s: int, *, kind: str = "click") -> bytes:
    """An event that was chosen when it was stored."""
    interaction = event(user_id, item_id, at_s, kind=kind)
    with shop.store.read() as read:
        state = read.users.find(user_id)

    def note(tx: object) -> None:
        key = tx.users.lock([user_id])[user_id].key  # type: ignore[attr-defined]
        tx.drift.add_samples([SampledEvent(interaction.event_key, key, interaction.time_ms)])  # type: ignore[attr-defined]

    assert state is not None or at_s == 0
    shop.ingestor.ingest([interaction], RequestSource("api"), extra_writes=note)
    return interaction.event_key


def scores(shop: Shop, *, exclude_seen: bool = True, segments: tuple[str, ...] = ()) -> list[Score]:
    scoring = Scoring(
        shop.store,
        snapshots=shop.snapshots.current,
        types=TYPES,
        shape=SHAPE,
        exclude_seen=exclude_seen,
        segments=segments,
    )
    stored: list[Score] = []
    while batch := scoring.next_scores():
        with shop.store.transaction() as tx:
            tx.drift.save_scores(batch)
            tx.commit()
        stored += batch
    return stored


def topic_of(shop: Shop, name: str) -> int:
    with shop.store.read() as read:
        return next(code for code, topic in read.drift.topics().items() if topic == name)


def ranks(shop: Shop, **options: bool) -> list[int | None]:
    return [score.rank for score in scores(shop, **options)]


@pytest.mark.parametrize("block", [2, 65_536])
def test_the_rank_is_the_place_among_what_might_have_been_recommended(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.drift.scoring.BLOCK", block)
    shop = Shop()  # after "a" the order is b, c, d, e, f
    shop.had("a")
    sampled(shop, "ann", "d", 10)
    (score,) = scores(shop)
    assert (score.rank, score.version, score.topic) == (3, "v1", topic_of(shop, "late"))
    logits = (1 + 10) * np.arange(6.0, 1.0, -1)  # the double's scores at a gap of 10 s, without the seen "a"
    assert score.loss == pytest.approx(np.log(np.exp(logits - logits[2]).sum()), rel=1e-5)


def test_the_confidence_is_the_probability_of_the_ten_first_items() -> None:
    assert confidence(np.array([7.0, *range(1, 7), *range(8, 12)])) == pytest.approx(65 / 66), (
        "all of 11 but the lowest"
    )
    assert confidence(np.ones(3)) == 1
    shop = Shop()
    shop.had("a")
    sampled(shop, "ann", "d", 10)
    assert [score.confidence for score in scores(shop)] == [1.0], "of five items"


def test_what_happened_later_changes_nothing() -> None:
    shop = Shop()
    shop.had("a")
    sampled(shop, "ann", "d", 10)
    shop.had("e", 20)
    shop.had("c", 5)  # earlier, though it came later: the state before the event knows it
    shop.snapshots.refresh()
    assert ranks(shop) == [1]


def test_seen_items_are_not_scored_unless_repeats_are_allowed() -> None:
    shop = Shop()
    shop.had("a")
    shop.had("b", 1)
    sampled(shop, "ann", "a", 10)
    assert ranks(shop) == [None]
    repeating = Shop()
    repeating.had("a")
    repeating.had("b", 1)
    sampled(repeating, "ann", "a", 10)
    assert ranks(repeating, exclude_seen=False) == [5]


def test_what_the_history_adds_to_its_own_items_counts() -> None:
    shop = Shop(each_adds=9_999.0)
    shop.had("a")
    shop.had("b", 1)
    sampled(shop, "ann", "a", 10)
    (score,) = scores(shop, exclude_seen=False)
    assert score.rank == 1, "it was the fifth by the vectors alone"


def blended() -> Shop:
    """A shop in which two others went from "a" to "e"; followers rank first, the network orders the rest."""
    shop = Shop(blend=Blend(encoder=1e-3, forward=1.0, backward=0.5, recent=0.0, lasting=0.0, events=0.0), counts=True)
    for user_id in ("bob", "eve"):
        shop.had("a", user_id=user_id)
        shop.had("e", 1, user_id=user_id)
    shop.had("a", 2)
    shop.snapshots.refresh()
    return shop


@pytest.mark.parametrize(("item_id", "rank"), [("e", 1), ("b", 2), ("f", 5)])
def test_the_rank_is_that_of_the_blended_answer_before_the_event(item_id: str, rank: int) -> None:
    shop = blended()
    served = shop.for_ann(RecommendationRequest(n=6, exclude_seen=True))
    sampled(shop, "ann", item_id, 10)
    shop.snapshots.refresh()  # the counts hold the event now
    assert ranks(shop) == [served.index(item_id) + 1] == [rank]


def test_only_the_events_own_part_of_the_counts_is_left_out() -> None:
    shop = blended()
    sampled(shop, "ann", "f", 10)
    for user_id in ("kim", "lea"):
        shop.had("a", 3, user_id=user_id)
        shop.had("f", 4, user_id=user_id)
    shop.snapshots.refresh()
    assert ranks(shop) == [2], "equal to e by what others did, and behind it by the network"


def test_who_had_no_history_is_not_scored() -> None:
    shop = Shop()
    sampled(shop, "ann", "a", 0)
    assert ranks(shop) == [None]


def test_an_item_that_is_not_listed_is_not_scored() -> None:
    shop = Shop()
    shop.had("a")
    sampled(shop, "ann", "unknown", 5)
    sampled(shop, "ann", "d", 10)
    remove_item(shop.store, "d", clock=shop.clock)
    shop.snapshots.refresh()
    assert ranks(shop) == [None, None]


def test_without_a_model_nothing_is_scored_and_nothing_waits() -> None:
    shop = Shop(model=False)
    shop.had("a")
    sampled(shop, "ann", "b", 5)
    assert [score.version for score in scores(shop)] == [None]
    with shop.store.read() as read:
        assert read.drift.unscored(limit=9) == []


def test_the_samples_of_an_erased_user_are_gone() -> None:
    shop = Shop()
    shop.had("a")
    sampled(shop, "ann", "b", 5)
    erase_user(shop.store, "ann", clock=shop.clock, derivation=Derivation(TYPES, SHAPE))
    assert scores(shop) == []


def test_a_score_names_the_segments_that_are_watched() -> None:
    shop = Shop()
    shop.catalogue(Item("d", categories=("late", "sale"), attributes={"brand": "Acme", "price": 2.5}))
    shop.snapshots.refresh()
    shop.had("a")
    sampled(shop, "ann", "d", 10)
    (score,) = scores(shop, segments=("category", "item.brand", "item.colour", "event.country"))
    assert score.segments == ("category=late", "category=sale", "item.brand=Acme")
    assert score.time_ms == NOW_MS + 10_000


def test_an_item_without_a_category_belongs_to_the_topic_of_its_text() -> None:
    shop = Shop()
    shop.catalogue(Item("d", title="Small candle pot"))
    with shop.store.transaction() as tx:
        code = tx.drift.name_topics(["candle, small, pot"])["candle, small, pot"]
        tx.drift.set_topics({tx.items.resolve(["d"])["d"]: code})
        tx.commit()
    shop.snapshots.refresh()
    shop.had("a")
    sampled(shop, "ann", "d", 10)
    (score,) = scores(shop, segments=("category",))
    assert score.segments == ("category=candle, small, pot",)
