"""Kept lists over HTTP: answered by the event loop itself, with everything that holds for other answers."""

from __future__ import annotations

from typing import Any

import pytest
from doubles import MemoryStore
from serving_doubles import NOW_MS, Api, Shop

from core.access.key_management import create_key
from core.catalogue.items import Item
from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource
from core.manage import save_items
from core.recommendation.requests import RecommendationRequest
from core.records.api_keys import ApiKey, Scope, digest_of
from core.records.outcomes import Measure
from serving.app import Limits, create_app

NO_READERS = Limits(max_waiting_reads=0)  # whatever needs a reader thread is refused
PATH = "/v1/users/u/recommendations"


class DistantStore(MemoryStore):
    """A store whose queries wait for another machine."""

    is_embedded = False


@pytest.fixture
def shop() -> Shop:
    return kept_in(Shop())


def kept_in(shop: Shop) -> Shop:
    """The shop, after a click of u and an answer to u."""
    shop.services.ingestor.ingest([Interaction("e1", "u", "a", "click", NOW_MS)], RequestSource("api"))
    shop.services.recommender.recommend("u", RecommendationRequest())
    return shop


def without_readers(shop: Shop, **changes: Any) -> Api:
    return Api(create_app(shop.with_services(limits=NO_READERS, **changes)))


def test_a_kept_list_waits_for_no_reader_thread(shop: Shop) -> None:
    with without_readers(shop) as api:
        kept, other = api.get(PATH), api.get(f"{PATH}?n=2")
    assert (kept.status_code, other.status_code) == (200, 503)
    assert [item["item_id"] for item in kept.json()["items"]] == ["b", "c", "d", "e", "f"]


def test_queries_of_a_distant_database_are_left_to_reader_threads() -> None:
    with without_readers(kept_in(Shop(DistantStore()))) as api:
        assert api.get(PATH).status_code == 503


def test_a_kept_answer_differs_from_a_computed_one_by_its_id_alone(shop: Shop) -> None:
    with Api(create_app(shop.services)) as api:
        replies = [api.get(f"{PATH}?n=3") for _ in range(3)]
    answers = [reply.json() for reply in replies]
    assert len({answer.pop("recommendation_id") for answer in answers}) == 3
    assert answers[1] == answers[0] == answers[2]
    assert replies[0].headers == replies[1].headers


def test_the_answer_after_an_event_or_a_hidden_item_is_no_kept_one(shop: Shop) -> None:
    with Api(create_app(shop.services)) as api:
        assert api.get(PATH).json()["user_seq"] == 1
        api.post("/v1/interactions", json={"user_id": "u", "item_id": "c", "time": NOW_MS + 1})
        after_event = api.get(PATH).json()
        api.get(PATH)
        save_items(shop.store, [Item("d", hidden=True)], clock=shop.clock)  # by another process
        after_hiding = api.get(PATH).json()
    assert (after_event["user_seq"], after_event["items"][0]["item_id"]) == (2, "d")
    assert [item["item_id"] for item in after_hiding["items"]] == ["e", "f", "b"]


def test_kept_answers_are_counted_and_remembered_unless_record_is_false(shop: Shop) -> None:
    with Api(create_app(shop.services)) as api:
        for query in ("", "", "?record=false"):
            assert api.get(f"{PATH}{query}").status_code == 200
        text = api.get("/metrics").text
    with shop.store.read() as read:
        totals = read.outcomes.totals("day", since_day=0, until_day=10**6)
    assert 'tidewise_recommendations_total{list="next",source="model"} 2.0' in text
    assert [num for _, measure, num, _ in totals if measure == Measure.ANSWER] == [2]


def test_kept_answers_need_a_key_and_use_up_its_rate(shop: Shop) -> None:
    with shop.store.transaction() as tx:
        tx.keys.add(ApiKey(digest_of(b"s" * 16), "app", Scope.READ, NOW_MS, max_per_s=2))
        tx.commit()
    with without_readers(shop, api_key="k" * 16) as api:
        statuses = [api.get(PATH, headers={"X-API-Key": key}).status_code for key in ("?" * 16, *["s" * 16] * 3)]
    assert statuses == [401, 200, 200, 429]


def test_an_experiment_takes_in_users_whose_query_was_asked_before(shop: Shop) -> None:
    experiment = {"arms": [{"name": "one", "share": 0.5}, {"name": "two", "share": 0.5, "scenario": "short"}]}
    with Api(create_app(shop.services)) as api:
        before = [api.get(f"/v1/users/{user_id}/recommendations").json() for user_id in "uvwxyz"]
        api.put("/v1/scenarios/short", json={"n": 1})
        assert api.put("/v1/experiments/all", json=experiment | {"scenario": ""}).status_code == 200
        after = [api.get(f"/v1/users/{user_id}/recommendations").json() for user_id in "uvwxyz"]
    assert all("arm" not in answer for answer in before)
    assert {answer["arm"] for answer in after} == {"all/one", "all/two"}
    assert {len(answer["items"]) for answer in after if answer["arm"] == "all/two"} == {1}


def test_a_query_that_was_asked_before_is_refused_to_a_key_of_one_scenario(shop: Shop) -> None:
    secret = create_key(shop.store, "page", Scope.READ, now_ms=NOW_MS, scenarios=["home"])
    with Api(create_app(shop.with_services(api_key="k" * 16))) as api:
        statuses = [api.get(PATH, headers={"X-API-Key": key}).status_code for key in ("k" * 16, "k" * 16, secret)]
    assert statuses == [200, 200, 403]
