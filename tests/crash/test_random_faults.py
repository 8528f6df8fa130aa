"""Short forms of `make faults-embedded`: faults under load, and what clients were told is stored."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from services.required import program

from benchmarks.faults.embedded.__main__ import impossible
from benchmarks.faults.embedded.campaign import run_round
from benchmarks.faults.embedded.faults import Fault, Incident, drawn

NUM_DRAWN = 2
KILLS = (
    Incident((Fault("kill", "api"),), delay_s=0.5, gap_s=0.0),
    Incident((Fault("kill", "command"), Fault("kill", "monitor")), delay_s=0.3, gap_s=0.2),
)


pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def assert_nothing_is_lost(shop: Path, folder: Path, incidents: Sequence[Incident]) -> None:
    lines: list[str] = []
    result = run_round(shop, folder, seed=1, incidents=incidents, report=lines.append)
    assert result.num_events > 0
    assert len(lines) == len(incidents)
    assert {name: num for name, num in result.violations.items() if num} == {}


def seed_of_commit() -> int:
    """Each commit has incidents of its own, and the same ones wherever they are run again; 1 outside a checkout."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    return int(done.stdout[:8], 16) if done.returncode == 0 else 1


def test_clients_lose_nothing_in_incidents_drawn_by_the_commit(shop_template: Path, tmp_path: Path) -> None:
    program("strace", package="strace")
    rng, without = random.Random(seed_of_commit()), impossible()
    incidents = [drawn(rng, without=without) for _ in range(NUM_DRAWN)]
    print("drawn:", *incidents, sep="\n")  # shown where the test fails
    assert_nothing_is_lost(shop_template, tmp_path, incidents)


# Takes a minute, and the default run has a test of each fault.
@pytest.mark.skipif("CRASHES" not in os.environ, reason="part of `make test-crash`, which sets CRASHES")
def test_clients_lose_nothing_while_processes_are_killed(shop_template: Path, tmp_path: Path) -> None:
    assert_nothing_is_lost(shop_template, tmp_path, KILLS)
