"""Attributes of users: replaced as a whole, read by id and key, also after a merge; erased with the user."""

from __future__ import annotations

from typing import Any

from core.catalogue.items import MAX_ATTRIBUTES
from core.clock import ManualClock
from core.corrections.erase import erase_user
from core.corrections.merge import merge_users
from core.errors import InvalidInput
from core.events.history import WindowShape
from core.events.interactions import EventTypes
from core.ingestion.derivation import Derivation
from core.ports.store import Store
from core.users.attributes import UserAttributes
from core.users.manage import patch_users, save_users

DERIVATION = Derivation(EventTypes(), WindowShape(size=4, step=2))


def attributes(store: Store, user_id: str) -> dict[str, Any]:
    with store.read() as read:
        return dict(read.user_attributes.of(user_id))


def all_attributes(store: Store) -> dict[int, Any]:
    with store.read() as read:
        return {key: values for page in read.user_attributes.pages(chunk=2) for key, values in page.items()}


def save(store: Store, user_id: str, **values: Any) -> None:
    save_users(store, [UserAttributes(user_id, values)])


def test_attributes_are_replaced_as_a_whole(store: Store) -> None:
    save(store, "ann", country="de", age=34, premium=True, note="ä")
    assert attributes(store, "ann") == {"country": "de", "age": 34, "premium": True, "note": "ä"}
    save(store, "ann", country="fr", age=None)
    assert attributes(store, "ann") == {"country": "fr"}
    assert attributes(store, "nobody") == {}


def test_a_user_without_attributes_has_no_row(store: Store) -> None:
    save(store, "ann", country="de")
    save(store, "ann")
    assert all_attributes(store) == {}


def test_a_patch_changes_what_it_names(store: Store) -> None:
    save(store, "ann", country="de", age=34)
    assert patch_users(store, [UserAttributes("ann", {"age": None, "plan": "x"})]) == [None]
    assert attributes(store, "ann") == {"country": "de", "plan": "x"}


def test_a_patch_with_too_many_attributes_changes_nothing(store: Store) -> None:
    save(store, "ann", **{f"a{index}": 1 for index in range(MAX_ATTRIBUTES)})
    problem, none = patch_users(store, [UserAttributes("ann", {"one": "more"}), UserAttributes("bob", {"plan": "x"})])
    assert isinstance(problem, InvalidInput)
    assert none is None
    assert "one" not in attributes(store, "ann")
    assert attributes(store, "bob") == {"plan": "x"}


def test_pages_and_keys_give_the_attributes_of_all_users(store: Store) -> None:
    save_users(store, [UserAttributes(f"u{index}", {"index": index}) for index in range(5)])
    everyone = all_attributes(store)
    assert [values["index"] for _, values in sorted(everyone.items())] == [0, 1, 2, 3, 4]
    with store.read() as read:
        state = read.users.find("u3")
        assert state is not None
        assert read.user_attributes.by_key([state.key, 10**9]) == {state.key: {"index": 3}}


def test_a_merged_guest_gives_what_the_user_lacks(store: Store) -> None:
    save(store, "ann", country="de")
    save(store, "guest", country="fr", device="phone")
    merge_users(store, "ann", "guest", DERIVATION)
    assert attributes(store, "ann") == attributes(store, "guest") == {"country": "de", "device": "phone"}
    save(store, "guest", country="it")
    assert attributes(store, "ann") == {"country": "it"}
    assert len(all_attributes(store)) == 1


def test_attributes_are_erased_with_the_user(store: Store) -> None:
    save(store, "ann", country="de")
    save(store, "guest", device="phone")
    merge_users(store, "ann", "guest", DERIVATION)
    erase_user(store, "guest", clock=ManualClock(1), derivation=DERIVATION)
    assert all_attributes(store) == {}
    assert attributes(store, "ann") == {}
