"""What each key may do: every operation of the API with every kind of key, and paths that could be taken for others."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from serving_doubles import NOW_MS, Api, Shop

from core.access.key_management import create_key
from core.records.api_keys import Scope
from serving.app import create_app

KINDS = ("none", "scenario", "read", "write", "admin")
OPEN = {"GET /health", "GET /ready"}
BY_SCENARIO = {"GET /v1/users/{user_id}/recommendations", "POST /v1/recommendations"}
READING_POSTS = {"POST /v1/recommendations", "POST /v1/users/{user_id}/rank", "POST /v1/scenarios/preview"}
WRITES = re.compile(r"(POST|PUT|PATCH|DELETE) /v1/(interactions|items|users)\b.*")
ADMIN_ALONE = {"DELETE /v1/users/{user_id}", "GET /v1/audit"}


@pytest.fixture(scope="module")
def keyed() -> Iterator[tuple[Api, dict[str, dict[str, str]]]]:
    """An API, and the headers of each kind of key."""
    shop = Shop()
    secrets = {
        "scenario": create_key(shop.store, "page", Scope.READ, now_ms=NOW_MS, scenarios=["home"]),
        **{scope.name.lower(): create_key(shop.store, f"a-{scope}", scope, now_ms=NOW_MS) for scope in Scope},
    }
    with Api(create_app(shop.with_services(api_key="the-key-of-the-settings"))) as api:
        yield api, {"none": {}, **{kind: {"X-API-Key": secret} for kind, secret in secrets.items()}}


def least_of(operation: str) -> str:
    """The least kind of key that an operation needs."""
    if operation in OPEN:
        return "none"
    if operation in BY_SCENARIO:
        return "scenario"
    if operation in ADMIN_ALONE:
        return "admin"
    if operation.startswith("GET ") or operation in READING_POSTS:
        return "read"
    return "write" if WRITES.fullmatch(operation) else "admin"


def test_every_operation_needs_its_scope(keyed: tuple[Api, dict[str, dict[str, str]]]) -> None:
    api, headers = keyed
    paths = api.app.openapi()["paths"]
    operations = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert len(operations) > 60
    wrong = []
    for operation in operations:
        method, path = re.sub(r"\{[^}]*\}", "x", operation).split()
        for kind in KINDS:
            body = {"json": {"scenario": "other"}} if method in ("POST", "PUT", "PATCH") else {}
            status = api.run(api.client.request(method, path, headers=headers[kind], **body)).status_code
            refused = 401 if kind == "none" else 403
            may = KINDS.index(kind) >= KINDS.index(least_of(operation)) and not (
                kind == "scenario" and operation in BY_SCENARIO  # of a scenario that it is not for
            )
            if (status == refused) is may or (not may and status != refused):
                wrong.append((operation, kind, status))
    assert wrong == []


TRICKS = [
    "/health/../v1/status",
    "/health/%2e%2e/v1/status",
    "/health;/v1/status",
    "/pages/../v1/status",
    "/pages/..%2f..%2fapp.py",
    "/pages//etc/passwd",
    "/sign-in/../v1/status",
    "//v1/status",
    "/./v1/status",
    "/V1/status",
    "/v1/%73tatus",
    "/v1/status/",
    "/v1/status%00",
    "/v1/status?api_key={key}",
    "/v1/status?X-API-Key={key}",
]


@pytest.mark.parametrize("path", TRICKS)
def test_no_way_of_writing_a_path_leads_past_the_key(keyed: tuple[Api, dict[str, dict[str, str]]], path: str) -> None:
    api, headers = keyed
    url = httpx.URL("http://localhost", raw_path=path.format(key=headers["admin"]["X-API-Key"]).encode())
    assert api.run(api.client.get(url)).status_code in (401, 404)


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("DELETE", "/v1/users/x/rank", "write"),
        ("DELETE", "/v1/%75sers/x", "write"),
        ("POST", "/v1/models/x/promote", "write"),
        ("HEAD", "/v1/audit", "read"),
        ("GET", "/v1/audit?limit=1", "write"),
        ("GET", "/v1/users/x/events%2Frecommendations", "scenario"),
        ("GET", "/v1/users/x/recommendations", "scenario"),
    ],
)
def test_no_way_of_writing_a_path_raises_a_scope(
    keyed: tuple[Api, dict[str, dict[str, str]]], method: str, path: str, kind: str
) -> None:
    api, headers = keyed
    url = httpx.URL("http://localhost", raw_path=path.encode())
    assert api.run(api.client.request(method, url, headers=headers[kind])).status_code == 403
