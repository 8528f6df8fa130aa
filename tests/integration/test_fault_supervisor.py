"""The supervisor of the fault campaign, and what the campaign does where something stands still."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_what_ends_by_itself_is_started_again_and_counted_but_not_what_was_killed(tmp_path: Path) -> None:
    from benchmarks.faults.processes import Child, supervised, until

    ends = Child("ends", tmp_path, ["--help"])
    killed = Child("killed", tmp_path, ["worker", "--help"])
    with supervised([ends, killed]):
        killed.start()
        killed.kill()
        ends.start()
        until("it was started a third time", lambda: len(ends.own_ends) >= 2)
        ends.stop()
    assert ends.own_ends[:2] == ["0 (ends-1.log)", "0 (ends-2.log)"]
    assert killed.own_ends == []


def test_what_does_not_happen_in_its_time_ends_the_block_and_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.faults.__main__ import noted
    from benchmarks.faults.processes import until

    stood_still: list[str] = []
    with noted(stood_still):
        until("pigs fly", lambda: False, timeout_s=0.0)
        pytest.fail("the block went on")
    assert stood_still == ["waited 0 s until pigs fly, in vain"]
    assert "stood still: waited 0 s until pigs fly, in vain" in capsys.readouterr().err
