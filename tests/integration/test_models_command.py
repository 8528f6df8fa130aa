"""`tidewise models`: list, show, compare, promote and roll back, with a running server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from services.small_shop import settings_in
from typer.testing import CliRunner

from core.errors import NotFound
from tidewise.bootstrap import open_system
from tidewise.cli import app
from tidewise.commands.learning.models import differences
from tidewise.training.learning import train_model


@pytest.fixture(scope="module")
def folder(shop_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop with a second model, which serves."""
    folder = tmp_path_factory.mktemp("models") / "shop"
    shutil.copytree(shop_template, folder)
    with open_system(settings_in(folder)) as system:
        with system.store.read() as read:
            newest_ms = read.offsets.newest_event_ms()
        assert newest_ms is not None
        train_model(system, progress=lambda _: None, before_ms=newest_ms - 1)
    return folder


def run(folder: Path, *words: str) -> Any:
    outcome = CliRunner().invoke(app, ["models", *words, "--data", str(folder)])
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    return json.loads(outcome.stdout) if "--json" in words else outcome.stdout


def test_versions_are_listed_shown_compared_rolled_back_and_promoted(folder: Path) -> None:
    new, old = (record["version"] for record in run(folder, "list", "--json")["models"])
    assert new in run(folder, "list")
    assert run(folder, "show", new, "--json")["status"] == "champion"
    assert "num_events" in run(folder, "diff", old, new, "--json")
    assert run(folder, "rollback", "--reason", "to see", "--json")["version"] == old
    assert "rollback" in run(folder, "show", old)
    assert run(folder, "promote", new, "--json")["previous"] == old
    with pytest.raises(NotFound, match="not known"):
        run(folder, "show", "nobody")


def test_lineages_are_compared_by_dotted_names() -> None:
    left = {"seed": 1, "window": {"size": 5, "step": 2}, "same": 0}
    right = {"seed": 1, "window": {"size": 6, "step": 2}, "same": 0, "new": "x"}
    assert differences(left, right) == {"new": (None, "x"), "window.size": (5, 6)}
