"""Requests that schemathesis makes of the OpenAPI document, valid and invalid, against the API on a SQLite database.

Every answer is one that the document allows: its status, its content type, its schema; none is a 5xx, and data that the
document forbids is refused. Sequences of requests use what earlier ones named: what was made is there, what was deleted
is gone. `make fuzz` sends more: FUZZ=N requests of each kind to each operation, and 10 N sequences.
"""

from __future__ import annotations

import copy
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import positive_data_acceptance, use_after_free
from services.databases import Database
from serving_doubles import Shop

from core.ports.store import Store
from serving.app import create_app
from storage import open_store

if TYPE_CHECKING:
    from schemathesis.schemas import APIOperation, BaseSchema

NUM_REQUESTS = int(os.environ.get("FUZZ", "1"))
NUM_SEQUENCES, NUM_STEPS = 10 * NUM_REQUESTS, 10
KEY = {"X-API-Key": "secret"}
GENERATED = settings(
    database=None,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
TWO_TIMES = "a period ends after it begins; and a time may be text in several forms"
ITEM = "what is available until a time is so from an earlier one; each category is an id"
FILTER = "a definition holds filters, which are a small language, and may name a scenario or a segment"
PAGE = "the scenario must exist, `next` excludes what its page was asked with, and the settings limit `n`"
CREATING = "PATCH /v1/users/{user_id}"  # attributes make a user, also one who was erased and came back
# Operations that may refuse what the document allows, and why: rules of two fields together, of the settings, of what
# is stored. All others must accept it.
REFUSING = {
    "POST /v1/interactions": "the settings name the types of events; a time may be text in several forms",
    "POST /v1/recommendations": PAGE,
    "GET /v1/users/{user_id}/recommendations": PAGE,
    "GET /v1/items/trending": PAGE,
    "GET /v1/items/latest": PAGE,
    "GET /v1/items/popular": PAGE,
    "GET /v1/items/{item_id}/similar": PAGE,
    "GET /v1/items/search": TWO_TIMES,
    "GET /v1/items/{item_id}/statistics": TWO_TIMES,
    "GET /v1/interests": TWO_TIMES,
    "GET /v1/outcomes": TWO_TIMES,
    "GET /v1/timeline": TWO_TIMES,
    "POST /v1/items": ITEM,
    "PATCH /v1/items": ITEM,
    "PUT /v1/items/{item_id}": ITEM,
    "PATCH /v1/items/{item_id}": ITEM,
    "GET /v1/users": "`after` is an id or a position, by `order`",
    "POST /v1/users/{user_id}/merge": "the guest is another user, who is not merged yet",
    "POST /v1/models/{version}/promote": "a model that serves already is not promoted",
    "POST /v1/scenarios/preview": FILTER,
    "PUT /v1/scenarios/{name}": FILTER,
    "PUT /v1/segments/{name}": FILTER,
    "PUT /v1/experiments/{name}": FILTER,
    "POST /v1/dead-letters/retry": "either `keys` or `all` is given",
    "POST /v1/dead-letters/discard": "either `keys` or `all` is given",
}

pytestmark = pytest.mark.timeout(120 + 60 * NUM_REQUESTS)


@pytest.fixture
def app(sqlite_database: Database) -> FastAPI:
    return api_on(sqlite_database.store)


def api_on(store: Store) -> FastAPI:
    return create_app(Shop(store).with_services(api_key=KEY["X-API-Key"]))


@pytest.fixture
def session(app: FastAPI) -> Iterator[Any]:
    with asgi.get_client(app) as client:
        yield client


def schema_of(app: FastAPI, document: dict[str, Any]) -> BaseSchema:
    schema: BaseSchema = schemathesis.openapi.from_dict(document)
    schema.app = app
    return schema


def operations(app: FastAPI) -> list[APIOperation[Any, Any, Any, Any]]:
    return [result.ok() for result in schema_of(app, app.openapi()).get_all_operations()]


def linked_schema_of(app: FastAPI) -> BaseSchema:
    """The document, with links from what makes or deletes something to what reads it."""
    document = copy.deepcopy(app.openapi())
    for path, methods in document["paths"].items():
        same = {name: f"$request.path.{name}" for name in re.findall(r"{(\w+)}", path)}
        for method in ("put", "delete"):
            if same and method in methods and "get" in methods:
                link = {"operationId": methods["get"]["operationId"], "parameters": same}
                methods[method]["responses"]["200"]["links"] = {"read": link}
    return schema_of(app, document)


def unchecked(operation: APIOperation[Any, Any, Any, Any]) -> list[CheckFunction]:
    return [positive_data_acceptance] if operation.label in REFUSING else []


def violations_of(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, session: Any) -> list[str]:
    """What is wrong with the answers to requests of one kind."""
    found: list[str] = []

    @settings(GENERATED, max_examples=NUM_REQUESTS)
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        send_one = partial(case.call, session=session, base_url="http://localhost")
        response = send_one(headers=KEY | dict(case.headers or {}) | KEY)
        try:
            case.validate_response(response, excluded_checks=unchecked(operation), headers=KEY)
        except BaseExceptionGroup as errors:
            found.extend(f"{operation.label}: {error}" for error in errors.exceptions)
        except AssertionError as error:
            found.append(f"{operation.label}: {error}")

    with suppress(Unsatisfiable):  # a request without parameters cannot be made invalid
        send()
    return found


def test_every_answer_is_one_that_the_document_allows(app: FastAPI, session: Any) -> None:
    violations = [
        violation
        for operation in operations(app)
        for mode in GenerationMode
        for violation in violations_of(operation, mode, session)
    ]
    assert violations == [], "\n\n".join(violations)


def test_every_operation_that_may_refuse_valid_data_exists(app: FastAPI) -> None:
    assert REFUSING.keys() <= {operation.label for operation in operations(app)}


def test_answers_in_sequences_of_requests_are_allowed_as_well(app: FastAPI, tmp_path: Path) -> None:
    numbers, linked = itertools.count(), Counter[str]()

    class Sequences(linked_schema_of(app).as_state_machine()):  # type: ignore[misc] # made of the document
        """Requests linked by ids, most as schemathesis infers from the document; each sequence on a shop of its own."""

        def setup(self) -> None:
            self.store = open_store(f"sqlite:///{tmp_path / f'{next(numbers)}.db'}")
            self.own = {"app": api_on(self.store), "base_url": "http://localhost"}

        def teardown(self) -> None:
            asgi.shutdown_lifespans()
            self.store.close()

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return self.own | {"headers": KEY | dict(case.headers or {}) | KEY}

        def validate_response(self, response: Any, case: Any, **_options: Any) -> None:
            linked[case.operation.label] += self.recorder.find_parent(case_id=case.id) is not None
            creates = case.operation.label == CREATING
            case.validate_response(
                response,
                # what is stored by then may forbid valid data
                excluded_checks=[positive_data_acceptance, *([use_after_free] if creates else [])],
                headers=KEY,
                transport_kwargs=self.own,
                recorder=self.recorder,
            )

    Sequences.run(settings=settings(GENERATED, max_examples=NUM_SEQUENCES, stateful_step_count=NUM_STEPS))
    assert len(+linked) > 10, "operations that were given what others had named"
