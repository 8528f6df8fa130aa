"""kill -9 of the trainer: the champion keeps serving, no promotion is partial, the next trainer resumes.

`make test-crash` kills 20 times, a usual run once; CRASHES=n chooses.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from services.small_shop import settings_in
from services.up_process import quiet_environment, up

from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource
from tidewise.bootstrap import open_system
from tidewise.settings.schema import CONFIG_NAME

NUM_CRASHES = int(os.environ.get("CRASHES", "1"))
NUM_EVENTS_AT_ONCE, GAP_MS = 600, 5_000
BUSY = "Another trainer is at work"

pytestmark = pytest.mark.timeout(180 + 30 * NUM_CRASHES)


def more_events(shop: Path, number: int) -> None:
    """Ingest more events of the shop's users."""
    system = open_system(settings_in(shop))
    with system.store.read() as read:
        items = [stored.item.item_id for stored in read.items.page(limit=100)]
        newest_ms = read.offsets.newest_event_ms() or 0
    rng = random.Random(number)
    users, times_ms = [f"user-{number:04d}" for number in range(1, 41)], range(newest_ms, newest_ms + 10**9, GAP_MS)
    events = [
        Interaction(f"{number}/{index}", rng.choice(users), rng.choice(items), "click", times_ms[index + 1])
        for index in range(NUM_EVENTS_AT_ONCE)
    ]
    system.ingestor.ingest(events, RequestSource("test"))
    system.close()


def trainer(shop: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "tidewise", "learn", "--once", "--data", str(shop), *options]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=quiet_environment()
    )


def finished(shop: Path) -> str:
    """The output of a trainer that gets the lease; a killed one holds it for another second."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        output = trainer(shop).communicate(timeout=120)[1]
        if BUSY not in output:
            return output
    raise AssertionError(output)


def check(shop: Path, url: str) -> None:
    """There is one champion, it serves, and the files of every record exist."""
    with open_system(settings_in(shop)) as system, system.store.read() as read:
        models, promotions = read.models.all(), read.models.promotions()
    champions = [record for record in models if record.status == "champion"]
    assert len(champions) == 1
    assert promotions[0].version == champions[0].version
    assert all((shop / record.path / "manifest.json").is_file() for record in models if record.path)
    with httpx.Client(base_url=url, timeout=30) as http:
        deadline_s = time.monotonic() + 20
        while http.get("/v1/models").json()["serving"] != champions[0].version:
            assert time.monotonic() < deadline_s
        answer = http.get("/v1/users/user-0001/recommendations").json()
    assert (answer["source"], answer["model_version"]) == ("model", champions[0].version)


def test_a_killed_trainer_leaves_the_champion_and_a_resumable_task(shop: Path) -> None:
    with (shop / CONFIG_NAME).open("a") as config:
        config.write("\n[learn]\nlease_s = 1\nevery_events = 300\nepochs = 3\n")
    rng = random.Random(6)
    with up(shop) as (_, url):
        more_events(shop, 0)
        started_s = time.monotonic()
        output = finished(shop)
        whole_s = time.monotonic() - started_s
        assert any(verdict in output for verdict in ("promote:", "refuse:", "undecided:")), output
        for number in range(1, NUM_CRASHES + 1):
            more_events(shop, number)
            child = trainer(shop, "--now")
            time.sleep(rng.uniform(0.3, 1.0) * whole_s)  # a random moment is the point of this test
            child.kill()
            child.communicate()
            check(shop, url)
        output = finished(shop)
        check(shop, url)
    assert "Traceback" not in output
