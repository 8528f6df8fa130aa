"""`tidewise experiments`: store, list, results and stop on a database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from integration.test_scenarios_command import run
from services.small_shop import settings_in

from core.catalogue.items import Item
from core.errors import InvalidInput, NotFound
from core.manage import save_items
from serving.schemas.experiments import ResultsOut
from tidewise.bootstrap import open_system

DEFINITION = {"arms": [{"name": "control", "share": 0.5}, {"name": "cart", "share": 0.5, "scenario": "cart"}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shop with one scenario in its settings file."""
    with open_system(settings_in(tmp_path)) as system:
        save_items(system.store, [Item("a")])
    (tmp_path / "tidewise.toml").write_text("[scenarios.cart]\nn = 1\n")
    return tmp_path


def test_an_experiment_is_stored_listed_read_stopped_and_deleted(folder: Path) -> None:
    assert "revision 1  stored" in run(folder, "experiments", "put", "test", "-", stdin=json.dumps(DEFINITION))
    assert ": store experiment test" in run(folder, "audit")
    assert run(folder, "experiments", "list").split()[:3] == ["test", "running", "revision"]
    [listed] = run(folder, "experiments", "list", "--json")["experiments"]
    assert "start" in listed["definition"]
    lines = run(folder, "experiments", "results", "test").splitlines()
    assert [line.split()[0] for line in lines] == ["control", "cart"]
    assert lines[1].endswith("too few users yet")
    results = run(folder, "experiments", "results", "test", "--json")
    assert results["arms"][1]["metrics"]["click_through_rate"]["judgement"] == "too few"
    assert results["sample_ratio"] == "as planned"
    assert results.keys() == set(ResultsOut.model_fields), "one form, that of the API"
    run(folder, "experiments", "stop", "test")
    assert "ended" in run(folder, "experiments", "list")
    assert "revision 3  deleted" in run(folder, "experiments", "delete", "test")
    with pytest.raises(NotFound, match="'test'"):
        run(folder, "experiments", "results", "test")


def test_an_unknown_scenario_is_refused(folder: Path) -> None:
    arms = [DEFINITION["arms"][0], {"name": "b", "share": 0.5, "scenario": "shop"}]
    with pytest.raises(InvalidInput, match="wanted a known name, got 'shop'"):
        run(folder, "experiments", "put", "test", "-", stdin=json.dumps({"arms": arms}))
