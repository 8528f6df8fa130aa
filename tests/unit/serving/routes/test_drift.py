"""The status of an alarm: whether a model trained after it serves."""

from __future__ import annotations

import pytest

from core.drift_records import Alarm
from core.records import ModelRecord
from serving.schemas.drift import alarm_out

ALARM = Alarm("hit_rate//500", "hit_rate", "", 500, 400, 0.4, 0.2, "people choose differently", "second")


@pytest.mark.parametrize(
    ("champion", "status"),
    [
        (None, "open"),
        (ModelRecord("second", "", "champion", 300), "open"),
        (ModelRecord("second", "", "champion", 900), "open"),  # a replay: its events are older than its model
        (ModelRecord("third", "", "champion", 900), "retrained"),
        (ModelRecord("first", "", "champion", 100), "open"),  # a rollback
    ],
)
def test_an_alarm_is_retrained_once_a_newer_champion_serves(champion: ModelRecord | None, status: str) -> None:
    assert alarm_out(ALARM, champion)["status"] == status
