"""The short form of `make faults`: everything distributed is killed once while events flow, and nothing is lost."""

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
ONE_OF_EACH = [f"--{kind}=1" for kind in ("brokers", "databases", "doubles", "apis", "zombies", "joins")]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # Minutes long, and each of its faults has a test of its own in the default run.
    pytest.mark.skipif("CRASHES" not in os.environ, reason="part of `make test-crash`, which sets CRASHES"),
]


def test_whatever_is_killed_while_events_flow_each_acknowledged_event_is_counted_once() -> None:
    program("java", package="openjdk-17-jre-headless")
    program("mvn", package="maven")
    try:
        find_binaries()
    except NoPostgres as error:
        missing(str(error))
    command = [sys.executable, "-m", "benchmarks.faults", "--rate=300", "--workers=2", *ONE_OF_EACH]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    figures = json.loads(done.stdout.splitlines()[-1])["figures"]
    assert figures["events acknowledged"] > 0
    assert set(figures["broken promises"].values()) == {0}
