"""The workflows of continuous integration: what they run exists."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
JOBS = {
    name: job
    for path in (ROOT / ".github" / "workflows").glob("*.yml")
    for name, job in yaml.safe_load(path.read_text("utf-8"))["jobs"].items()
}


def test_every_command_of_make_is_a_target() -> None:
    lines = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]
    named = set(chain(*(re.findall(r"\bmake ([a-z0-9-]+)", line) for line in lines)))
    matrix = JOBS["nightly"]["strategy"]["matrix"]
    nightly = {*matrix["target"], *(more["target"] for more in matrix["include"])}
    assert "sbom" in named
    assert {"image-test", "upgrade-test"} <= nightly
    assert named | nightly <= TARGETS
