"""A database under test, and what happens where a service is missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest
from sqlalchemy import create_engine, text

from storage import SqlStore


def missing(service: str) -> NoReturn:
    """A missing service skips on a laptop and fails in continuous integration."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(service)
    pytest.skip(service)


@dataclass
class Database:
    """A database with our tables: `store` goes through the product, `sql` around it."""

    url: str
    store: SqlStore

    def sql(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run plain SQL in a transaction of its own."""
        engine = create_engine(self.url)
        try:
            with engine.begin() as connection:
                result = connection.execute(text(statement), parameters)
                return [tuple(row) for row in result] if result.returns_rows else []
        finally:
            engine.dispose()
