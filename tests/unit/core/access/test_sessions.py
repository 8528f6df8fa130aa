"""Sessions of people: keys that expire, several of one person side by side."""

from __future__ import annotations

import pytest
from doubles import MemoryStore

from core.access.key_management import create_key
from core.access.sessions import end_session, open_session
from core.records.api_keys import ApiKey, Scope, digest_of


def stored(store: MemoryStore) -> list[ApiKey]:
    with store.read() as read:
        return read.keys.all()


def test_a_session_is_a_key_that_expires() -> None:
    store = MemoryStore()
    secret = open_session(store, "ann@example.com", Scope.WRITE, now_ms=1, expires_ms=9)
    assert stored(store) == [ApiKey(digest_of(secret.encode()), "person:ann@example.com", Scope.WRITE, 1, 9)]


def test_a_new_session_ends_the_expired_ones_of_its_person_alone() -> None:
    store = MemoryStore()
    for person, expires_ms in (("ann", 5), ("ann", 20), ("bob", 5)):
        open_session(store, person, Scope.READ, now_ms=1, expires_ms=expires_ms)
    open_session(store, "ann", Scope.READ, now_ms=10, expires_ms=30)
    assert [(key.name, key.expires_ms) for key in stored(store)] == [
        ("person:ann", 20),
        ("person:ann", 30),
        ("person:bob", 5),
    ]


def test_a_session_is_ended_by_its_secret_and_no_key_of_a_program() -> None:
    store = MemoryStore()
    program = create_key(store, "shop", Scope.WRITE, now_ms=1)
    secrets = [open_session(store, "ann", Scope.READ, now_ms=1, expires_ms=9) for _ in range(2)]
    for secret in (secrets[0], program, "unknown"):
        end_session(store, secret.encode())
    assert [key.digest for key in stored(store)] == [digest_of(secrets[1].encode()), digest_of(program.encode())]


def test_an_unknown_secret_keeps_no_writer_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    create_key(store, "shop", Scope.WRITE, now_ms=1)
    monkeypatch.setattr(store, "transaction", lambda: pytest.fail("wanted no transaction"))
    end_session(store, b"unknown")
