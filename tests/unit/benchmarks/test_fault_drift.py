"""The oracle of the monitor: stored points against those that follow from the closed buckets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.faults.trainer_and_monitor import num_different
from benchmarks.scale.processes import children_of
from core.records.drift import Point

ONE, TWO = (Point("loss", "", start, start + 5, 25, 0.1 + 0.2, None) for start in (0, 5))


def test_points_that_differ_by_rounding_alone_are_the_same() -> None:
    assert num_different([TWO, ONE], [ONE._replace(value=0.3), TWO]) == 0


@pytest.mark.parametrize(
    "stored",
    [[ONE], [ONE, TWO._replace(num=24)], [ONE, TWO._replace(value=0.4)], [ONE, TWO._replace(expected=0.3)]],
    ids=["missing", "another number", "another value", "another expectation"],
)
def test_a_point_that_does_not_follow_from_the_buckets_is_different(stored: list[Point]) -> None:
    assert num_different(stored, [ONE, TWO]) == 1


def test_a_point_of_no_bucket_is_different() -> None:
    assert num_different([ONE, TWO], [ONE]) == 1


def test_children_of_all_threads_are_found() -> None:
    work = "import subprocess; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"
    threaded = f"import threading; threading.Thread(target=exec, args=({work!r}, {{}})).start()"
    with subprocess.Popen([sys.executable, "-c", threaded], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert children_of(parent.pid) == [child]
        subprocess.run(["kill", str(child)], check=True)
