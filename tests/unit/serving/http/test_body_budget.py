"""Bodies of all requests together stay within their budget."""

from __future__ import annotations

import asyncio

import httpx
from serving_doubles import Api, Shop

from serving.app import Limits, create_app

EVENT = {"event_id": "e", "user_id": "u", "item_id": "a"}


def test_a_body_that_does_not_fit_beside_others_is_refused_until_they_end() -> None:
    services = Shop().with_services(limits=Limits(max_bodies_bytes=100))
    rest = asyncio.Event()

    async def slow_body():  # type: ignore[no-untyped-def]
        yield b'{"event_id": "slow", "user_id": "u", ' + b" " * 60
        await rest.wait()
        yield b'"item_id": "a"}'

    async def both(client: httpx.AsyncClient) -> list[httpx.Response]:
        slow = asyncio.create_task(client.post("/v1/interactions", content=slow_body()))
        await asyncio.sleep(0.1)
        refused = await client.post("/v1/interactions", json=EVENT)
        rest.set()
        return [await slow, refused, await client.post("/v1/interactions", json=EVENT)]

    with Api(create_app(services)) as api:
        slow, refused, accepted = api.run(both(api.client))
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert [slow.status_code, accepted.status_code] == [200, 200]


def test_one_body_alone_may_be_larger() -> None:
    with Api(create_app(Shop().with_services(limits=Limits(max_bodies_bytes=10)))) as api:
        assert api.post("/v1/interactions", json=EVENT).status_code == 200
