"""`tidewise demo --exit`: from an empty folder to the tour, and a second run without training."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from oracle import Snapshot, assert_consistent
from services.up_process import ANNOUNCED, quiet_environment

WINDOW_SIZE, WINDOW_STEP = 20, 5  # not the defaults: every process of the demo must use them
SMALL = ("model.width=16", "model.layers=1", "model.experts=2", "model.text_dim=16", "train.epochs=1")
SHORT = ("learn.epochs=1", "learn.num_negatives=128", "learn.max_holdout_events=1000")
SETTINGS = (*SMALL, *SHORT, f"window.size={WINDOW_SIZE}", f"window.step={WINDOW_STEP}")
NUM_USERS = 700

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def demo_command(folder: Path, *arguments: str) -> list[str]:
    options = [word for setting in SETTINGS for word in ("--set", setting)]
    own = ["--port", "0", "--users", str(NUM_USERS), "--data", str(folder)]
    return [sys.executable, "-P", "-m", "tidewise", "demo", *own, *arguments, *options]


def run_demo(folder: Path) -> str:
    """Run the demo; its output."""
    command = demo_command(folder, "--exit")
    done = subprocess.run(command, env=quiet_environment(), capture_output=True, text=True, timeout=480, check=False)
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


def test_the_first_run_builds_trains_serves_and_shows_the_tour(first: str) -> None:
    assert "Building a simulated shop" in first
    assert re.search(r"1,800 items, [\d,]+ events, \d+ users whose interest drifts", first)
    assert re.search(r"First recommendation [\d.]+ s after the start", first)
    assert re.search(r"Live: [\d,]+ events at [\d,]+/s", first)
    for title in (
        "1. A click changes the next answer",
        "2. A new item is recommended",
        "3. A new user gets recommendations",
    ):
        assert title in first
    assert re.search(r"\d+ ms after the click\b", first)
    assert re.search(r"Dashboard: http://127\.0\.0\.1:\d+/", first)


def test_the_planted_drift_is_detected_explained_and_learned(first: str) -> None:
    assert "4. Interests shift, and the drift monitor detects it" in first
    detection = re.search(r"Detected after ([\d,]+) of these events, in `\w+`: since [^,]+, off by ([\d.]+) h", first)
    assert detection is not None, first
    assert int(detection[1].replace(",", "")) < 2_500
    assert float(detection[2]) < 24
    assert re.search(r"Likely cause: events moved from .* to Gardening \(\d+% to \d+%\)", first)
    assert re.search(r"An affected user, user-\d+: from .* to .*Gardening", first)
    assert re.search(r"Trigger: drift of \w+", first)
    # Live counts follow the drift in both models, so few events may not be enough to tell them apart.
    assert re.search(r"Verdict on hm4sr-\w+: (promote|undecided), against the champion ", first)


def test_the_second_run_reuses_shop_and_models(folder: Path, second: str) -> None:
    assert "Building" not in second
    assert len(list((folder / "models").glob("hm4sr-*"))) >= 2  # the first one, and the fine-tuned one
    assert "3. A new user gets recommendations at once" in second
    assert "4. Drift detected in an earlier run" in second
    assert "to Gardening" in second
    assert re.search(r"trained after drift of \w+.*: (promote|undecided)", second, re.S)


@pytest.mark.parametrize("moment", ["First recommendation", "Running until Ctrl-C"])
def test_sigterm_ends_the_demo_and_its_server(folder: Path, second: str, moment: str) -> None:
    assert second
    with subprocess.Popen(demo_command(folder), env=quiet_environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(moment in line for line in process.stdout)
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    urls = ANNOUNCED.findall((folder / "up.log").read_text())
    with pytest.raises(httpx.ConnectError):
        httpx.get(urls[-1])


def test_after_two_runs_stored_state_agrees_with_the_events(folder: Path, second: str) -> None:
    assert second
    assert_consistent(Snapshot(folder / "tidewise.db"), size=WINDOW_SIZE, step=WINDOW_STEP)
