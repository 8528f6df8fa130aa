"""The metrics of the API: counters by route, not by path; gauges of the engine and the snapshot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving_doubles import NOW_MS, Api, Shop

from serving.app import create_app


@pytest.fixture
def api(shop: Shop) -> Iterator[Api]:
    services = shop.with_services(num_encoded=lambda: 7, snapshot_age_s=lambda: 1.5)
    with Api(create_app(services)) as api:
        yield api


def value(api: Api, name: str, **labels: str) -> float | None:
    """A sample as Prometheus reads it; None where there is no such series."""
    for family in text_string_to_metric_families(api.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None


def event(number: int) -> dict[str, object]:
    return {"event_id": f"e{number}", "user_id": "u", "item_id": "a", "time": NOW_MS}


def test_requests_are_counted_by_route_not_by_path(api: Api) -> None:
    for user_id in ("u", "v", "a%2Fb"):
        api.get(f"/v1/users/{user_id}/recommendations")
    labels = {"method": "GET", "route": "/v1/users/{user_id}/recommendations", "client": "other"}
    assert value(api, "tidewise_http_requests_total", **labels, status="200") == 3
    assert value(api, "tidewise_http_request_seconds_count", **labels) == 3


@pytest.mark.parametrize("client", ["dashboard", "other"])
def test_requests_of_the_dashboard_are_counted_by_a_label(api: Api, client: str) -> None:
    for user_id in ("u", "v"):
        api.get(f"/v1/users/{user_id}/recommendations", headers={"X-Tidewise-Client": client})
    labels = {"method": "GET", "route": "/v1/users/{user_id}/recommendations", "client": client}
    assert value(api, "tidewise_http_requests_total", **labels, status="200") == 2
    assert value(api, "tidewise_http_request_seconds_count", **labels) == 2


def test_a_client_that_names_the_dashboard_hides_no_load(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    took_s: list[float] = []
    monkeypatch.setattr(api.app.state.engine.activity, "add_recommendation", took_s.append)
    api.get("/v1/users/u/recommendations", headers={"X-Tidewise-Client": "dashboard"})
    assert len(took_s) == 1


def test_unknown_paths_and_methods_share_one_series(api: Api) -> None:
    api.get("/admin.php")
    api.run(api.client.request("BREW", "/pot"))
    assert value(api, "tidewise_http_requests_total", method="GET", route="none", client="other", status="404") == 1
    assert value(api, "tidewise_http_requests_total", method="other", route="none", client="other", status="404") == 1


def test_rejected_requests_are_counted(shop: Shop) -> None:
    key = "k" * 16
    with Api(create_app(shop.with_services(api_key=key))) as api:
        assert api.get("/metrics").status_code == 401
        api.client.headers["X-API-Key"] = key
        assert value(api, "tidewise_http_requests_total", method="GET", route="none", client="other", status="401") == 1


def test_events_are_counted_by_status(api: Api) -> None:
    api.post("/v1/interactions", json={"events": [event(1), event(1), {"user_id": "u"}]})
    api.post("/v1/interactions", json={"user_id": "u"})
    counts = {status: value(api, "tidewise_events_total", status=status) for status in ("accepted", "duplicate")}
    assert counts == {"accepted": 1, "duplicate": 1}
    assert value(api, "tidewise_events_total", status="rejected") == 2


def test_recommendations_are_counted_by_list_and_source(api: Api) -> None:
    api.post("/v1/interactions", json=event(1))
    api.get("/v1/users/u/recommendations")
    api.get("/v1/items/popular")
    api.get("/v1/items/popular?record=false")
    assert value(api, "tidewise_recommendations_total", list="next", source="model") == 1
    assert value(api, "tidewise_recommendations_total", list="popular", source="popularity") == 1


def test_the_serving_model_and_snapshot_are_exported(api: Api, shop: Shop) -> None:
    assert value(api, "tidewise_model_info", version="axes-1") == 1
    assert value(api, "tidewise_listed_items") == 6
    assert value(api, "tidewise_catalogue_revision") == shop.snapshots.current().catalogue.revision
    assert (value(api, "tidewise_index_approximate"), value(api, "tidewise_index_recall")) == (0, 1)
    assert value(api, "tidewise_vectors_encoded_total") == 7
    assert value(api, "tidewise_snapshot_age_seconds") == 1.5
    assert (value(api, "tidewise_waiting_events"), value(api, "tidewise_waiting_requests")) == (0, 0)
