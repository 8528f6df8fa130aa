"""Counts of what answers show: of lists that a model is meant for, in whole numbers, once each."""

from __future__ import annotations

from domain_doubles import NOW_MS
from doubles import MemoryStore
from outcome_log import OutcomeShop

from core.outcomes.shown_counts import GROUP, shown_counts
from core.outcomes.shown_items import ShownItem
from core.outcomes.shown_lists import shown_lists
from core.records.drift import BUCKET_MS, BucketCounts
from core.records.outcomes import Answer, Origin, new_recommendation_id

ITEMS = {
    "lamp": ShownItem(1, False, 2.0, 0.9, "light"),
    "mug": ShownItem(2, False, 5.0, 0.4, "kitchen"),
    "pan": ShownItem(4, False, 5.0, 0.4, "kitchen"),
    "rope": ShownItem(3, False, 0.0),
}
START_MS = NOW_MS // BUCKET_MS * BUCKET_MS


def answer(*item_ids: str, time_ms: int = START_MS, is_fallback: bool | None = False) -> Answer:
    return Answer(new_recommendation_id(time_ms), None, time_ms, Origin(), item_ids, is_fallback=is_fallback)


def counted(
    answers: list[Answer], waiting: tuple[tuple[str, ...], ...] = ()
) -> tuple[dict[int, BucketCounts], tuple[tuple[str, ...], ...]]:
    lists = shown_lists([given.item_ids for given in answers], ITEMS)
    return shown_counts(zip(answers, lists, strict=True), waiting)


def test_answers_fallbacks_and_mean_percentiles_are_counted_by_bucket() -> None:
    later = answer("rope", time_ms=START_MS + BUCKET_MS)
    counts, _ = counted([answer("lamp", "mug"), answer("lamp", is_fallback=True), later])
    own = {"num_novel": 2, "novelty": 3_500 + 2_000, "num_diverse": 1, "diversity": 1_000}
    assert counts == {
        START_MS: BucketCounts(num_answers=2, num_fallbacks=1, popularity=650 + 900, **own),
        START_MS + BUCKET_MS: BucketCounts(num_answers=1, num_novel=1),
    }


def test_diversity_is_the_share_of_pairs_of_different_categories() -> None:
    counts, _ = counted([answer("lamp", "mug", "pan", "rope")])
    assert (counts[START_MS].num_diverse, counts[START_MS].diversity) == (1, 667), "two of three pairs; rope has none"


def test_coverage_is_the_share_of_different_items_of_twenty_lists() -> None:
    waiting: tuple[tuple[str, ...], ...] = ()
    first, waiting = counted([answer("lamp", "mug")] * (GROUP - 1), waiting)
    assert (first[START_MS].num_grouped, len(waiting)) == (0, GROUP - 1)
    last, waiting = counted([answer("pan", "rope"), answer("lamp")], waiting)
    assert (last[START_MS].num_grouped, last[START_MS].coverage) == (GROUP, GROUP * 100), "4 of 40"
    assert waiting == (("lamp",),)


def test_lists_that_no_model_is_meant_for_are_not_counted() -> None:
    assert counted([answer("lamp", is_fallback=None)]) == ({}, ())


def test_an_answer_that_is_written_twice_counts_once() -> None:
    shop = OutcomeShop(MemoryStore())
    given = answer("lamp", is_fallback=True)
    for _ in range(2):
        shop.log.add(given)
        shop.log.flush()
    with shop.store.read() as read:
        counted = BucketCounts(num_answers=1, num_fallbacks=1, num_novel=1)
        assert read.drift.counts([START_MS]) == {START_MS: counted}


def test_rebuild_keeps_what_was_counted_of_answers() -> None:
    shop = OutcomeShop(MemoryStore())
    shop.log.add(answer("lamp", is_fallback=True))
    shop.log.flush()
    shop.event(("ann", "lamp", "click", 0, None))
    shop.rebuild()
    with shop.store.read() as read:
        counts = read.drift.counts([START_MS])[START_MS]
    assert (counts.num_events, counts.num_answers, counts.num_fallbacks) == (1, 1, 1)
