"""`tidewise demo --exit` as a newcomer types it: from an empty folder to a guided tour, and again without training."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from oracle import Snapshot, assert_consistent
from services.up_process import quiet_environment

WINDOW_SIZE, WINDOW_STEP = 20, 5  # not the defaults: every process of the demo has to know
SMALL = ("model.width=16", "model.layers=1", "model.experts=2", "model.text_dim=16", "train.epochs=1")
SETTINGS = (*SMALL, f"window.size={WINDOW_SIZE}", f"window.step={WINDOW_STEP}")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run_demo(folder: Path) -> str:
    """Everything that the demo prints."""
    options = [word for setting in SETTINGS for word in ("--set", setting)]
    command = [sys.executable, "-P", "-m", "tidewise", "demo", "--exit", "--port", "0", "--data", str(folder), *options]
    done = subprocess.run(command, env=quiet_environment(), capture_output=True, text=True, timeout=240, check=False)
    log = folder / "up.log"
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log.read_text() if log.exists() else ''}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture(scope="module")
def first(folder: Path) -> str:
    return run_demo(folder)


@pytest.fixture(scope="module")
def second(folder: Path, first: str) -> str:
    return run_demo(folder)


def test_the_first_run_builds_a_shop_trains_serves_it_and_shows_it_around(first: str) -> None:
    assert "Building a simulated shop" in first
    assert re.search(r"1,800 items, [\d,]+ events, \d+ users whose interest drifts", first)
    assert re.search(r"First recommendation [\d.]+ s after the start", first)
    assert re.search(r"Live: [\d,]+ events at [\d,]+/s", first)
    for title in ("1. A click changes the next answer", "2. A new item enters", "3. A new user is served at once"):
        assert title in first
    assert re.search(r"\d+ ms after the click\b", first)
    assert re.search(r"Look around: http://127\.0\.0\.1:\d+/", first)


def test_a_planted_change_is_noticed_with_its_cause_explained_for_a_user_and_followed_by_a_model(first: str) -> None:
    assert "4. Everybody's interest moves, and it is noticed" in first
    found = re.search(r"Noticed after ([\d,]+) of these events, in `\w+`: since [^,]+, off by ([\d.]+) h", first)
    assert found is not None, first
    assert int(found[1].replace(",", "")) < 2_500
    assert float(found[2]) < 24
    assert re.search(r"Likely cause: events moved from .* to Gardening \(\d+% to \d+%\)", first)
    assert re.search(r"One of those who moved, user-\d+: from .* to .*Gardening", first)
    assert re.search(r"Why it was trained: drift of \w+", first)
    assert re.search(r"What the gate says of hm4sr-\w+: promote, against the champion \+", first)


def test_the_second_run_builds_and_trains_nothing_and_shows_the_same_around(folder: Path, second: str) -> None:
    assert "Building" not in second
    assert len(list((folder / "models").glob("hm4sr-*"))) >= 2  # the first one, and the one that followed the change
    assert "3. A new user is served at once" in second
    assert "4. What was noticed before" in second
    assert "to Gardening" in second
    assert re.search(r"trained after drift of \w+.*: promote", second, re.S)


def test_after_two_runs_everything_in_the_database_agrees_with_its_events(folder: Path, second: str) -> None:
    assert second
    assert_consistent(Snapshot(folder / "tidewise.db"), size=WINDOW_SIZE, step=WINDOW_STEP)
