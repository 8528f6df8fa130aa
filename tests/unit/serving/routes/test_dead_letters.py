"""Dead letters over HTTP: list, retry, discard."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from serving_doubles import NOW_MS, Api, Shop

from core.events.interactions import Interaction
from core.records.stored import DeadLetter
from serving.app import create_app
from serving.runtime.services import DeadLetterDecoder


def decode(letter: DeadLetter) -> tuple[Sequence[Interaction], Sequence[str]]:
    if b"bad" in letter.payload:
        return [], ["still bad"]
    return [Interaction(f"letter-{letter.key}", "ann", "a", "click", NOW_MS)], []


def keep(shop: Shop, *letters: tuple[str, bytes]) -> list[int]:
    with shop.store.transaction() as tx:
        tx.dead_letters.add(
            [DeadLetter(source, 0, at, "no user", payload, NOW_MS) for at, (source, payload) in enumerate(letters)]
        )
        tx.commit()
    with shop.store.read() as read:
        return [letter.key or 0 for letter in read.dead_letters.page()]


def test_dead_letters_are_listed_newest_first_with_retryability(shop: Shop) -> None:
    keep(shop, ("topic", b'{"a": 1}'), ("log.csv", b"\xff"))
    services = shop.with_services(dead_letter_decoder=DeadLetterDecoder(decode, ("topic",)))
    with Api(create_app(services)) as api:
        listing = api.get("/v1/dead-letters").json()
    assert listing["total"] == 2
    assert [(letter["source"], letter["retryable"]) for letter in listing["dead_letters"]] == [
        ("log.csv", False),
        ("topic", True),
    ]
    assert (listing["dead_letters"][0]["payload_base64"], listing["dead_letters"][1]["payload"]) == ("/w==", '{"a": 1}')


def test_a_retry_applies_what_decodes_now_and_keeps_the_rest(shop: Shop) -> None:
    keys = keep(shop, ("topic", b"good"), ("topic", b"bad"), ("log.csv", b"good"))
    services = shop.with_services(dead_letter_decoder=DeadLetterDecoder(decode, ("topic",)))
    with Api(create_app(services)) as api:
        failed = api.post("/v1/dead-letters/retry", json={"keys": [keys[1]]}).json()
        retried = api.post("/v1/dead-letters/retry", json={"all": True}).json()
        remaining = api.get("/v1/dead-letters").json()
    assert (failed["retried"], failed["failed"], failed["failures"][0]["reason"]) == (1, 1, "still bad")
    assert [retried[name] for name in ("retried", "succeeded", "accepted", "failed")] == [2, 1, 1, 1]
    assert [letter["retries"] for letter in remaining["dead_letters"]] == [0, 2]


def test_dead_letters_are_discarded_by_key_or_all(shop: Shop, api: Api) -> None:
    keys = keep(shop, ("topic", b"1"), ("topic", b"2"), ("log.csv", b"3"))
    assert api.post("/v1/dead-letters/discard", json={"keys": [keys[0]]}).json() == {"discarded": 1}
    assert api.post("/v1/dead-letters/discard", json={"all": True}).json() == {"discarded": 2}


@pytest.mark.parametrize(
    "body", [{}, {"keys": []}, {"keys": ["1"]}, {"keys": [True]}, {"keys": [2**63]}, {"all": 1}, []]
)
def test_retry_and_discard_need_keys_or_all(api: Api, body: object) -> None:
    for action in ("retry", "discard"):
        assert api.post(f"/v1/dead-letters/{action}", content=json.dumps(body)).status_code == 422
