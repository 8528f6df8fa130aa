"""docs/api.md and OpenAPI match the API: every route, example and answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Union

import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter
from serving_doubles import Api, Shop

from core.catalogue.items import Item
from core.manage import save_items
from core.records.stored import ModelRecord
from serving.app import create_app
from serving.schemas.base import Schema
from serving.schemas.interactions import EventIn
from serving.schemas.items import ItemIn
from serving.schemas.recommendations import SessionIn

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
EXAMPLE = re.compile(r"```http\n([A-Z]+) (\S+)\n(.*?)```\n```json (\d+)\n(.*?)```", re.S)

CAMPING = [
    Item("tent", "Tent for two", categories=("shelter",)),
    Item("stove", "Gas stove", categories=("kitchen",)),
    Item("lamp", "Camping lamp", categories=("light",)),
    Item("mug", "Steel mug", categories=("kitchen",)),
]


@pytest.fixture
def app() -> FastAPI:
    shop = Shop(item_ids=())
    for item in CAMPING:  # one by one: the axes of the model follow this order
        save_items(shop.store, [item], clock=shop.clock)
    with shop.store.transaction() as tx:
        tx.models.save(ModelRecord("axes-2", "models/axes-1", "challenger", shop.clock.now_ms() + 1))
        tx.commit()
    shop.snapshots.refresh()
    return create_app(shop.services)


def operations(app: FastAPI) -> set[str]:
    paths = app.openapi()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def test_routes_and_headings_of_the_page_match(app: FastAPI) -> None:
    headings = set(re.findall(r"^### ([A-Z]+ /\S*)$", PAGE, re.M))
    assert headings == operations(app)


def test_every_route_has_an_example_on_the_page(app: FastAPI) -> None:
    sections = re.split(r"^#{2,3} ", PAGE, flags=re.M)
    lacking = [
        section.splitlines()[0]
        for section in sections
        if " /" in section.splitlines()[0] and not EXAMPLE.search(section)
    ]
    assert lacking == []


def test_the_examples_of_the_page_answer_as_printed(app: FastAPI) -> None:
    examples = EXAMPLE.findall(PAGE)
    assert len(examples) > len(operations(app))
    with Api(app) as api:
        for method, path, body, status, printed in examples:
            app.state.services.answers.flush()  # what the examples before showed is counted
            reply = api.run(api.client.request(method, path, content=body.strip() or None))
            assert (method, path, reply.status_code) == (method, path, int(status)), reply.text
            assert matched(json.loads(printed), reply.json()) == reply.json(), f"{method} {path}"


def matched(printed: Any, real: Any) -> Any:
    """What the page prints, with the real text wherever it prints "..."."""
    if printed == "..." and isinstance(real, str):
        return real
    if isinstance(printed, dict) and isinstance(real, dict):
        return {name: matched(value, real.get(name)) for name, value in printed.items()}
    if isinstance(printed, list) and isinstance(real, list) and len(printed) == len(real):
        return [matched(*pair) for pair in zip(printed, real, strict=True)]
    return printed


def test_the_examples_of_openapi_are_accepted(app: FastAPI) -> None:
    num_run = 0
    with Api(app) as api:
        for path, methods in app.openapi()["paths"].items():
            for method, operation in methods.items():
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                for example in content.get("examples", {}).values():
                    url = path.format(user_id="ann", item_id="tent", version="axes-2", name="homepage")
                    reply = api.run(api.client.request(method.upper(), url, json=example["value"]))
                    assert reply.status_code == 200, reply.text
                    assert reply.json().get("rejected", 0) == 0
                    num_run += 1
    assert num_run == 29


def schemas_of(app: FastAPI, method: str, path: str, status: int) -> tuple[type[Schema], ...]:
    """The documented schemas of an answer."""
    for template, methods in app.openapi()["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, path.partition("?")[0]) and method.lower() in methods:
            reply = methods[method.lower()]["responses"][str(status)]["content"]["application/json"]["schema"]
            names = {choice["$ref"].rpartition("/")[2] for choice in reply.get("oneOf", [reply])}
            return tuple(shape for shape in Schema.__subclasses__() if shape.__name__ in names)
    raise AssertionError(path)


def test_every_answer_has_exactly_the_documented_schema(app: FastAPI) -> None:
    with Api(app) as api:
        for method, path, body, _, _ in EXAMPLE.findall(PAGE):
            reply = api.run(api.client.request(method, path, content=body.strip() or None))
            shapes = schemas_of(app, method, path, reply.status_code)
            TypeAdapter(Union[shapes]).validate_json(reply.content, strict=True)  # noqa: UP007


def test_every_referenced_schema_is_defined(app: FastAPI) -> None:
    document = json.dumps(app.openapi())
    references = set(re.findall(r"#/components/schemas/(\w+)", document))
    assert references <= set(app.openapi()["components"]["schemas"])


def test_documented_request_fields_are_those_of_the_domain() -> None:
    from core.catalogue.items import ITEM_FIELDS
    from core.events.interactions import FIELDS
    from serving.http.requests import RECOMMENDATION_FIELDS

    assert set(EventIn.model_fields) == set(FIELDS)
    assert set(ItemIn.model_fields) == set(ITEM_FIELDS)
    assert set(SessionIn.model_fields) == {"user_id", "events", "users", *RECOMMENDATION_FIELDS}


def test_the_document_is_made_once_for_all_requests(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    document = app.openapi()
    monkeypatch.setattr(app, "openapi", lambda: made.append(document) or document)
    with Api(app) as api:
        answers = [api.get("/openapi.json").json() for _ in range(3)]
    assert answers == [document] * 3
    assert len(made) == 1
