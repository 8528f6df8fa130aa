"""Trials of blended models: scored as serving would have scored at that moment, and calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, AxisBundle, event, ingestor
from domain_shop import Shop
from hypothesis import given
from hypothesis import strategies as st

from core.blending.blend import Blend
from core.blending.untrained import UntrainedItems
from core.catalogue.items import Catalogue
from core.events.history import WindowShape
from core.ingestion.sources import RequestSource
from core.learn.blended_trial import calibrated, try_bundles
from core.learn.trial import TrialSlice, select_slice, try_model
from core.popularity import DEFAULT_HALF_LIFE_MS
from core.recommendation.requests import RecommendationRequest
from core.records.stored import EventColumns

BLEND = Blend(
    encoder=0.3,
    forward=1.0,
    backward=0.5,
    recent=0.2,
    lasting=0.1,
    events=-0.3,
    untrained=UntrainedItems(forward=0.4, backward=-0.2, recent=0.1, lasting=-0.1, events=0.5, constant=0.7),
)
some_events = st.lists(st.tuples(st.sampled_from(["ann", "bob", "cid"]), st.sampled_from("abcdef")), min_size=4)


def slice_of(shop: Shop, *, since_ms: int, hide_seen: bool) -> TrialSlice:
    with shop.store.read() as read:
        columns, catalogue = read.events.columns(type_codes=TYPES.flagged("window")), read.items.catalogue()
    return select_slice(columns, catalogue, since_ms=since_ms, max_events=100, hide_seen=hide_seen)


@given(some_events, st.booleans(), st.sets(st.sampled_from("abcdef")))
def test_a_trial_ranks_as_serving_would_have(log: list[tuple[str, str]], hide_seen: bool, untrained: set[str]) -> None:
    """The last event is ranked by a trial of the whole log, and by a shop that has seen all but the last."""
    events = [event(user_id, item_id, at_s) for at_s, (user_id, item_id) in enumerate(log)]
    shop, whole = (Shop(blend=BLEND, counts=True, untrained=untrained) for _ in range(2))
    ingestor(shop.store).ingest(events[:-1], RequestSource("api"))
    ingestor(whole.store).ingest(events, RequestSource("api"))
    held_out = slice_of(whole, since_ms=events[-1].time_ms, hide_seen=hide_seen)
    if not len(held_out):  # a first event, or a repeated one that is hidden
        return
    [result] = try_bundles([whole.bundle], held_out, SHAPE, half_life_ms=DEFAULT_HALF_LIFE_MS)
    shop.snapshots.refresh()
    last_ms = max(e.time_ms for e in events[:-1] if e.user_id == log[-1][0])
    request = RecommendationRequest(n=6, exclude_seen=hide_seen, at_ms=last_ms)  # a trial does not know the gap to now
    answer = shop.recommender.recommend(log[-1][0], request)
    position = [item.item_id for item in answer.items].index(log[-1][1])
    scores = [item.score for item in answer.items]
    ties = [index for index, score in enumerate(scores) if score == pytest.approx(scores[position], rel=1e-5)]
    assert ties[0] <= result.ranks[0] <= ties[-1]


def test_a_model_without_weights_is_tried_alone() -> None:
    shop = Shop(counts=True)
    for second, item_id in enumerate("abca"):
        shop.had(item_id, second)
    held_out = slice_of(shop, since_ms=0, hide_seen=False)
    alone = try_model(shop.bundle, held_out, SHAPE)
    [result] = try_bundles([shop.bundle], held_out, SHAPE, half_life_ms=1.0)
    assert result.ranks.tolist() == alone.ranks.tolist()


def random_slice(*, follows_encoder: bool) -> TrialSlice:
    """Histories over 40 items. The axis model expects row + 1 next; else each user walks by 7 rows."""
    random = np.random.default_rng(0)
    step = 1 if follows_encoder else 7
    rows = []
    for user in range(60):
        start = int(random.integers(40))
        rows += [(user, 1 + (start + step * place) % 40, NOW_MS + 1000 * (60 * place + user)) for place in range(5)]
    columns = EventColumns(*np.array(rows, np.int64).T)
    names = tuple(f"i{row}" for row in range(40))
    catalogue = Catalogue(np.arange(1, 41), names, ("",) * 40, ((),) * 40, np.ones(40, np.bool_))
    return select_slice(columns, catalogue, since_ms=NOW_MS + 1, max_events=1000, hide_seen=True)


def test_calibration_trusts_what_predicts() -> None:
    shape, bundle = WindowShape(5, 2), AxisBundle()
    blends = {}
    for follows_encoder in (True, False):
        held_out = random_slice(follows_encoder=follows_encoder)
        encoder = bundle.bind(held_out.catalogue)
        blends[follows_encoder] = calibrated(encoder, held_out, shape, half_life_ms=DEFAULT_HALF_LIFE_MS)
    assert blends[True].encoder > blends[False].encoder
    assert blends[False].forward > 0
    walk = random_slice(follows_encoder=False)
    blended, alone = AxisBundle(blend=blends[False]), AxisBundle()
    better, worse = try_bundles([blended, alone], walk, shape, half_life_ms=DEFAULT_HALF_LIFE_MS)
    assert better.ranks.mean() < worse.ranks.mean()


@pytest.mark.parametrize("shape", [WindowShape(50, 10), WindowShape(2, 1)])
def test_models_tried_together_get_the_ranks_they_get_alone(shape: WindowShape) -> None:
    """The second shape's windows are shorter than the histories that counts read."""
    walk = random_slice(follows_encoder=False)
    bundles = [AxisBundle(blend=BLEND), None, AxisBundle(), AxisBundle(blend=replace(BLEND, forward=-1.0))]
    together = try_bundles(bundles, walk, shape, half_life_ms=DEFAULT_HALF_LIFE_MS)
    alone = [try_bundles([bundle], walk, shape, half_life_ms=DEFAULT_HALF_LIFE_MS)[0] for bundle in bundles]
    assert [result.ranks.tolist() for result in together] == [result.ranks.tolist() for result in alone]
    assert len({tuple(result.ranks) for result in together}) == len(bundles)
