"""The slow disk of the fault campaign: running processes wait longer for it, and only while it is slow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from services.required import program

from benchmarks.faults.embedded.__main__ import impossible
from benchmarks.faults.embedded.slow_disk import slowed

# Writes to a file for each line that it reads, and answers with how long the disk took.
WRITER = """
import os, sys, time
file = open(sys.argv[1], "wb", buffering=0)
for _ in sys.stdin:
    file.write(b"x")
    begin_s = time.monotonic()
    os.fsync(file.fileno())
    print(time.monotonic() - begin_s, flush=True)
"""
DELAY_S = 3.0  # longer than a busy disk takes


def test_a_running_process_waits_longer_for_a_slow_disk(tmp_path: Path) -> None:
    program("strace", package="strace")
    command = [sys.executable, "-c", WRITER, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def wait_s() -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        before_s = wait_s()
        with slowed([process.pid], delay_s=DELAY_S):
            assert wait_s() >= DELAY_S
        assert max(before_s, wait_s()) < DELAY_S
        process.kill()


def test_a_campaign_without_strace_draws_no_slow_disk_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sleep").symlink_to(program("sleep", package="coreutils"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert impossible() == ("slow disk",)
    assert "no slow disk: strace is missing; install strace" in capsys.readouterr().err
