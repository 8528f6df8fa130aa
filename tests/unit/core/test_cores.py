"""The number of cores: what the scheduler allows, at most a container's limit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.cores import num_cores

ALLOWED = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000\n", ALLOWED),
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("150000 100000\n", min(2, ALLOWED)),
        ("6400000 100000\n", min(64, ALLOWED)),
        ("", ALLOWED),
    ],
)
def test_a_containers_limit_counts(tmp_path: Path, limit: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    assert num_cores(tmp_path / "cpu.max") == expected


def test_without_a_container_all_allowed_cores_count(tmp_path: Path) -> None:
    assert num_cores(tmp_path / "missing") == ALLOWED
