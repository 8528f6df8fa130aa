"""`tidewise scenarios`: store, show, revert and delete on a database, and `tidewise recommend --scenario`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from services.small_shop import settings_in
from typer.testing import CliRunner

from core.catalogue.items import Item
from core.errors import InvalidInput, NotFound
from core.manage import save_items
from tidewise.bootstrap import open_system
from tidewise.cli import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shop of three items, with one scenario in its settings file."""
    with open_system(settings_in(tmp_path)) as system:
        save_items(system.store, [Item(name, attributes={"brand": name}) for name in "abc"])
    (tmp_path / "tidewise.toml").write_text("[scenarios.cart]\nn = 1\n")
    return tmp_path


def run(folder: Path, *words: str, stdin: str | None = None) -> Any:
    outcome = CliRunner().invoke(app, [*words, "--data", str(folder)], input=stdin)
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    return json.loads(outcome.stdout) if "--json" in words else outcome.stdout


def test_scenarios_are_stored_listed_shown_reverted_and_deleted(folder: Path) -> None:
    file = folder / "home.toml"
    file.write_text('where = {not = {brand = "c"}}')
    first = run(folder, "scenarios", "put", "home", str(file), "--json")
    assert (first["revision"], first["definition"]) == (1, {"where": {"not": {"brand": "c"}}})
    assert "revision 2  stored" in run(folder, "scenarios", "put", "home", "-", stdin='{"n": 2}')
    assert run(folder, "scenarios", "list", "--json") == {
        "cart": {"definition": {"n": 1}, "revision": None},
        "home": {"definition": {"n": 2}, "revision": 2},
    }
    lines = run(folder, "scenarios", "list").splitlines()
    assert [line.split()[:2] for line in lines] == [["cart", "settings"], ["home", "revision"]]
    run(folder, "scenarios", "revert", "home", "1")
    shown = run(folder, "scenarios", "show", "home")
    assert '"brand": "c"' in shown
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("revision")] == ["3", "2", "1"]
    assert "revision 4  deleted" in run(folder, "scenarios", "delete", "home")
    with pytest.raises(NotFound, match="'nothing'"):
        run(folder, "scenarios", "show", "nothing")


def test_recommend_answers_under_a_scenario(folder: Path) -> None:
    run(folder, "scenarios", "put", "home", "-", stdin='{"where": {"not": {"brand": "c"}}, "n": 5}')
    answer = run(folder, "recommend", "ann", "--scenario", "home", "--json")
    assert ([item["item_id"] for item in answer["items"]], answer["scenario"]) == (["b", "a"], "home")
    assert len(run(folder, "recommend", "ann", "--scenario", "cart", "--json")["items"]) == 1


def test_a_missing_file_is_told_in_plain_words(folder: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nofile\.json: wanted a readable definition .*, got: no such file$"):
        run(folder, "scenarios", "put", "home", "nofile.json")


def test_a_file_that_holds_no_definition_is_refused(folder: Path) -> None:
    for text, message in (("{", "wanted a readable definition"), ("[]", "wanted an object"), ('{"n": 0}', "n: wanted")):
        with pytest.raises(InvalidInput, match=message):
            run(folder, "scenarios", "put", "home", "-", stdin=text)
