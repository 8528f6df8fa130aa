"""A short form of `make faults-embedded`: processes are killed, and what clients were told is stored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.faults.embedded.campaign import run_round
from benchmarks.faults.embedded.faults import Fault, Incident

KILLS = (
    Incident((Fault("kill", "api"),), delay_s=0.5, gap_s=0.0),
    Incident((Fault("kill", "command"), Fault("kill", "monitor")), delay_s=0.3, gap_s=0.2),
)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # Takes a minute, and the default run has a test of each fault.
    pytest.mark.skipif("CRASHES" not in os.environ, reason="part of `make test-crash`, which sets CRASHES"),
]


def test_clients_lose_nothing_while_processes_are_killed(shop_template: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    result = run_round(shop_template, tmp_path, seed=1, incidents=KILLS, report=lines.append)
    assert result.num_events > 0
    assert len(lines) == len(KILLS)
    assert {name: num for name, num in result.violations.items() if num} == {}
