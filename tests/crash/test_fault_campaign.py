"""A short form of `make faults`: every process is killed once during traffic, and every event counts once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from local_postgres import NoPostgres, find_binaries
from services.databases import missing
from services.required import program

ROOT = Path(__file__).resolve().parents[2]
ONE_OF_EACH = [
    f"--{kind}=1"
    for kind in (
        "brokers",
        "databases",
        "doubles",
        "apis",
        "trainers",
        "monitors",
        "zombies",
        "joins",
        "slows",
        "losses",
    )
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # Takes minutes, and the default run has a test of each fault.
    pytest.mark.skipif("CRASHES" not in os.environ, reason="part of `make test-crash`, which sets CRASHES"),
]


def test_acknowledged_events_count_once_when_processes_are_killed() -> None:
    program("java", package="openjdk-17-jre-headless")
    program("mvn", package="maven")
    try:
        find_binaries()
    except NoPostgres as error:
        missing(str(error))
    command = [sys.executable, "-m", "benchmarks.faults", "--rate=300", "--workers=2", *ONE_OF_EACH]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=880)
    assert finished.returncode == 0, f"{finished.stdout[-3000:]}\n{finished.stderr[-6000:]}"
    figures = json.loads(finished.stdout.splitlines()[-1])["figures"]
    assert figures["events acknowledged"] > 0
    assert set(figures["violations"].values()) == {0}
