"""What an alarm's status says: whether a model made after it serves by now."""

from __future__ import annotations

import pytest

from core.drift.records import Alarm
from core.records import ModelRecord
from serving.schemas.drift import alarm_out

ALARM = Alarm("hit_rate//500", "hit_rate", "", 500, 400, 0.4, 0.2, "people choose differently", "second")


@pytest.mark.parametrize(
    ("champion", "status"),
    [
        (None, "open"),
        (ModelRecord("second", "", "champion", 300), "open"),
        (ModelRecord("second", "", "champion", 900), "open"),  # a replay: its events are older than its model
        (ModelRecord("third", "", "champion", 900), "followed"),
        (ModelRecord("first", "", "champion", 100), "open"),  # a rollback
    ],
)
def test_an_alarm_is_followed_once_another_model_made_after_it_serves(
    champion: ModelRecord | None, status: str
) -> None:
    assert alarm_out(ALARM, champion)["status"] == status
