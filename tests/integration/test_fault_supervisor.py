"""The supervisor of the fault campaign, and timeouts in the campaign."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_unexpected_exits_are_restarted_and_counted_kills_are_not(tmp_path: Path) -> None:
    from benchmarks.faults.processes import Child, supervised, wait_until

    exiting = Child("exiting", tmp_path, ["--help"])
    killed = Child("killed", tmp_path, ["worker", "--help"])
    with supervised([exiting, killed]):
        killed.start()
        killed.kill()
        exiting.start()
        wait_until("it is started a third time", lambda: len(exiting.unexpected_exits) >= 2)
        exiting.stop()
    assert exiting.unexpected_exits[:2] == ["0 (exiting-1.log)", "0 (exiting-2.log)"]
    assert killed.unexpected_exits == []


def test_a_timeout_ends_the_block_and_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.faults.__main__ import recorded
    from benchmarks.faults.processes import wait_until

    timeouts: list[str] = []
    with recorded(timeouts):
        wait_until("pigs fly", lambda: False, timeout_s=0.0)
        pytest.fail("the block continued")
    assert timeouts == ["wanted within 0 s: pigs fly; it did not happen"]
    assert "timeout: wanted within 0 s: pigs fly; it did not happen" in capsys.readouterr().err
