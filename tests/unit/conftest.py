"""A small shop behind the API, for the tests of what it answers over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from serving_doubles import Api, Shop


@pytest.fixture
def shop() -> Shop:
    from serving_doubles import Shop  # with all of the API: nothing for those who run one other test

    return Shop()


@pytest.fixture
def api(shop: Shop) -> Iterator[Api]:
    from serving_doubles import Api

    from serving.app import create_app

    with Api(create_app(shop.services)) as api:
        yield api
