"""Requests that schemathesis makes of the OpenAPI document, valid and invalid, against the API on a SQLite database.

Every answer is one that the document allows: its status, its content type, its schema; none is a 5xx, and data that the
document forbids is refused. `make fuzz` sends more: FUZZ=N requests of each kind to each operation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import positive_data_acceptance
from services.databases import Database
from serving_doubles import Shop

from serving.app import create_app

if TYPE_CHECKING:
    from schemathesis.schemas import APIOperation, BaseSchema

NUM_REQUESTS = int(os.environ.get("FUZZ", "1"))
KEY = {"X-API-Key": "secret"}
# Some rules are of two fields together, or of the settings; the document has those of each field alone.
UNCHECKED: list[CheckFunction] = [positive_data_acceptance]

pytestmark = pytest.mark.timeout(120 + 60 * NUM_REQUESTS)


@pytest.fixture
def app(sqlite_database: Database) -> FastAPI:
    return create_app(Shop(sqlite_database.store).with_services(api_key=KEY["X-API-Key"]))


@pytest.fixture
def session(app: FastAPI) -> Iterator[Any]:
    with asgi.get_client(app) as client:
        yield client


def operations(app: FastAPI) -> list[APIOperation[Any, Any, Any, Any]]:
    schema: BaseSchema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    return [result.ok() for result in schema.get_all_operations()]


def violations_of(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, session: Any) -> list[str]:
    """What is wrong with the answers to requests of one kind."""
    found: list[str] = []

    @settings(
        max_examples=NUM_REQUESTS,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        send_one = partial(case.call, session=session, base_url="http://localhost")
        response = send_one(headers=KEY | dict(case.headers or {}) | KEY)
        try:
            case.validate_response(response, excluded_checks=UNCHECKED, headers=KEY)
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
    assert violations == []
