"""What the API says of an alarm: its words, what was done, and whether it is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.records.drift import Alarm
from core.records.statuses import AlarmEnding
from core.records.stored import ModelRecord, Promotion
from serving.schemas.drift import alarm_out

ALARM = Alarm("hit_rate//500", "hit_rate", "", 500, 400, 0.4, 0.2, 0.18, 0.22, "people choose differently", "first")
FIRST = ModelRecord("first", "", "retired", 100, {"alarms_through_ms": 90})
SECOND = ModelRecord("second", "", "champion", 900, {"alarms_through_ms": 500, "trials": [{"verdict": "promote"}]})
THIRD = ModelRecord("third", "", "challenger", 950, {"alarms_through_ms": 500})
PROMOTED = Promotion("second", "first", "promotion", "gate", "better", 910)


def test_an_alarm_is_open_while_no_training_has_read_it() -> None:
    out = alarm_out(ALARM, [FIRST], [])
    assert (out["status"], out["response"], out["over"]) == ("open", None, None)
    assert out["text"] == "Hit rate fell from 40.0% to 20.0% (95%: 18.0% to 22.0%)"


@pytest.mark.parametrize(("promotions", "status", "promoted"), [([], "open", None), ([PROMOTED], "retrained", 910)])
def test_an_alarm_is_retrained_once_a_model_that_read_it_was_promoted(
    promotions: list[Promotion], status: str, promoted: int | None
) -> None:
    out = alarm_out(ALARM, [THIRD, SECOND, FIRST], promotions)
    assert out["status"] == status
    assert out["response"] == {
        "model_version": "second",
        "trained": 900,
        "verdict": "promote",
        "promoted": promoted,
    }


def test_an_alarm_that_ended_is_over_whatever_was_trained() -> None:
    out = alarm_out(replace(ALARM, over_ms=700, ending=AlarmEnding.RECOVERED), [SECOND], [PROMOTED])
    assert (out["status"], out["over"], out["ending"]) == ("over", 700, "recovered")
