"""Scenarios in a store: every change is one revision with author and time, and can be taken back."""

from __future__ import annotations

from typing import Any

import pytest

from core.clock import ManualClock
from core.definitions.kinds import SCENARIO, delete_definition
from core.errors import InvalidInput, NotFound
from core.ports.store import Store
from core.records.stored import DefinitionRevision
from core.scenarios.current import CurrentScenarios
from core.scenarios.manage import revert_scenario, save_scenario

CLOCK = ManualClock(70)
PLAIN: dict[str, Any] = {"n": 5}
FULL: dict[str, Any] = {"where": {"brand": ["ä", 1, True]}, "boosts": [{"where": {"a": 1}, "factor": 1.5}]}


def save(store: Store, name: str, definition: dict[str, Any], author: str = "ann") -> DefinitionRevision:
    return save_scenario(store, name, definition, author=author, clock=CLOCK)


def history(store: Store, name: str) -> list[DefinitionRevision]:
    with store.read() as read:
        return read.scenarios.history(name, limit=10)


def test_each_change_is_a_revision_with_author_and_time(store: Store) -> None:
    first, other, second = save(store, "home", FULL), save(store, "cart", PLAIN), save(store, "home", PLAIN, "bob")
    assert first == DefinitionRevision(1, "home", FULL, "ann", 70)
    assert history(store, "home") == [second, first]
    assert history(store, "cart") == [other]
    assert history(store, "nothing") == []
    with store.read() as read:
        assert read.scenarios.revision() == 3


def test_the_same_definition_again_is_no_revision(store: Store) -> None:
    assert save(store, "home", FULL) == save(store, "home", FULL, "bob")
    assert len(history(store, "home")) == 1


def test_a_wrong_definition_or_name_is_not_stored(store: Store) -> None:
    for name, definition in (("home", {"n": 0}), ("a b", PLAIN)):
        with pytest.raises(InvalidInput):
            save(store, name, definition)
    with store.read() as read:
        assert read.scenarios.revision() == 0


def test_a_change_is_taken_back_by_a_revision_equal_to_an_older_one(store: Store) -> None:
    save(store, "home", FULL)
    save(store, "home", PLAIN)
    back = revert_scenario(store, "home", 1, author="eve", clock=CLOCK)
    assert back == DefinitionRevision(3, "home", FULL, "eve", 70)
    delete_definition(store, SCENARIO, "home", author="ann", clock=CLOCK)
    assert revert_scenario(store, "home", 2, author="ann", clock=CLOCK).definition == PLAIN
    assert revert_scenario(store, "home", 4, author="ann", clock=CLOCK).definition is None, "deleted again"


def test_what_is_not_there_is_neither_deleted_nor_taken_back(store: Store) -> None:
    with pytest.raises(NotFound, match="no scenario is stored as 'home'"):
        delete_definition(store, SCENARIO, "home", author="ann")
    save(store, "home", PLAIN)
    save(store, "cart", PLAIN)
    with pytest.raises(NotFound, match="has no revision 2"):
        revert_scenario(store, "home", 2, author="ann")
    delete_definition(store, SCENARIO, "home", author="ann")
    with pytest.raises(NotFound):
        delete_definition(store, SCENARIO, "home", author="ann")


def test_a_reader_follows_the_newest_change_of_each_name(store: Store) -> None:
    save(store, "home", FULL)
    save(store, "cart", PLAIN)
    last = save(store, "home", PLAIN)
    with store.read() as read:
        assert [change.name for change in read.scenarios.changed_since(0)] == ["cart", "home"]
        assert read.scenarios.changed_since(2) == [last]
        assert read.scenarios.changed_since(3) == []


def test_a_process_sees_the_changes_of_another(store: Store) -> None:
    current = CurrentScenarios(store, settings={"home": FULL})
    assert [current.follow(), current.get("home").n] == [False, None]
    save(store, "home", PLAIN)
    assert current.get("home").n is None, "not yet"
    assert [current.follow(), current.get("home").n, current.follow()] == [True, 5, False]
    delete_definition(store, SCENARIO, "home", author="ann")
    assert [current.follow(), current.get("home").n] == [True, None], "that of the settings serves again"
