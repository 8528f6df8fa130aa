"""Query parameters: every operation refuses those that its documentation does not name."""

from __future__ import annotations

import pytest
from serving_doubles import Api


def test_every_operation_refuses_an_unknown_query_parameter(api: Api) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    operations = [
        (method, path.replace("{", "").replace("}", ""))
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/v1/")
    ]
    assert len(operations) > 50
    for method, path in operations:
        reply = api.request(method, f"{path}?pgae=2", json={} if method in ("post", "put", "patch") else None)
        assert (reply.status_code, reply.json()["error"]["field"]) == (422, "pgae"), f"{method} {path}: {reply.text}"


@pytest.mark.parametrize("path", ["/v1/items?limit=1&limit=2", "/v1/items/popular?n=1&n=2"])
def test_a_parameter_that_has_one_value_is_given_once(api: Api, path: str) -> None:
    reply = api.get(path)
    assert (reply.status_code, "send it once" in reply.text) == (422, True)


def test_a_list_may_be_given_value_by_value(api: Api) -> None:
    assert api.get("/v1/items/popular?exclude=a&exclude=b").status_code == 200


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_what_load_balancers_ask_for_takes_any_parameter(api: Api, path: str) -> None:
    assert api.get(f"{path}?from=balancer").status_code == 200
