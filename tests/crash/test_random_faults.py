"""Short forms of `make faults-embedded`: faults under load, and what clients were told is stored."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from services.required import program

from benchmarks.faults.embedded.campaign import run_round
from benchmarks.faults.embedded.faults import Fault, Incident

ONE = (Incident((Fault("slow disk", "", pause_s=2.0), Fault("kill", "api")), delay_s=0.5, gap_s=0.5),)
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


def test_clients_lose_nothing_while_the_disk_is_slow_and_an_api_dies(shop_template: Path, tmp_path: Path) -> None:
    program("strace", package="strace")
    assert_nothing_is_lost(shop_template, tmp_path, ONE)


# Takes a minute, and the default run has a test of each fault.
@pytest.mark.skipif("CRASHES" not in os.environ, reason="part of `make test-crash`, which sets CRASHES")
def test_clients_lose_nothing_while_processes_are_killed(shop_template: Path, tmp_path: Path) -> None:
    assert_nothing_is_lost(shop_template, tmp_path, KILLS)
