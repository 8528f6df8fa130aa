"""The current scenarios: stored ones win over those of the settings, and reading them costs no query."""

from __future__ import annotations

import logging

import pytest
from domain_doubles import ReadSpyingStore
from doubles import MemoryStore

from core.errors import InvalidInput
from core.scenarios.current import CurrentScenarios
from core.scenarios.manage import save_scenario


def test_scenarios_are_listed_by_name_with_their_origin() -> None:
    store = MemoryStore()
    current = CurrentScenarios(store, settings={"home": {"n": 3}, "cart": {"n": 4}})
    change = save_scenario(store, "home", {"n": 7}, author="ann")
    current.follow()
    assert {name: (named.parsed.n, named.stored) for name, named in current.all().items()} == {
        "cart": (4, None),
        "home": (7, change),
    }
    assert list(current.all()) == ["cart", "home"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    current = CurrentScenarios(MemoryStore(), settings={"home": {}, "cart": {}})
    with pytest.raises(InvalidInput, match="scenario: wanted a known name, got 'shop'; known are cart, home"):
        current.get("shop")
    with pytest.raises(InvalidInput, match="known are none yet"):
        CurrentScenarios(MemoryStore()).get("shop")


def test_settings_are_checked_at_the_start() -> None:
    with pytest.raises(InvalidInput, match="n: wanted"):
        CurrentScenarios(MemoryStore(), settings={"home": {"n": "many"}})


def test_answers_read_no_scenario_from_the_store() -> None:
    store = ReadSpyingStore()
    save_scenario(store, "home", {"n": 7}, author="ann")
    current = CurrentScenarios(store)
    assert store.reads_of(current.follow) != []
    assert store.reads_of(lambda: current.get("home")) == []


def test_a_definition_of_a_newer_version_is_logged_and_does_not_serve(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    save_scenario(store, "home", {"n": 7}, author="ann")
    with store.transaction() as tx:
        tx.scenarios.add("cart", {"colour": "red"}, author="ann", now_ms=1)
        tx.commit()
    current = CurrentScenarios(store)
    with caplog.at_level(logging.ERROR):
        current.follow()
    assert list(current.all()) == ["home"]
    assert "scenario cart, revision 2 does not serve: 'colour': unknown field" in caplog.text
