"""Training triggers: which job starts in which training state."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doubles import MemoryStore

from core.learn.triggers import (
    Job,
    Schedule,
    TrainingState,
    acknowledge_alarms,
    choose_job,
    request_training,
    requested_training,
    trained_through_ms,
    unacknowledged_alarm,
)
from core.records.drift import ANSWER_SIGNALS, Alarm
from core.records.statuses import AlarmEnding
from core.records.stored import ModelRecord

SCHEDULE = Schedule(
    first_events=1000, every_events=10_000, every_ms=3_600_000, min_new_events=500, drift_pause_ms=600_000
)
CHAMPION = ModelRecord("a", "models/a", "champion", 1_000_000, {"before_ms": 5})
NOTHING = TrainingState((), 0, 0, 0, None, False, 2_000_000)
ALARM = Alarm("loss//70", "loss", "", 70, 60, 1.0, 2.0, 1.8, 2.2, "more of Tea")
SERVING = replace(NOTHING, models=(CHAMPION,))


def kind(state: TrainingState) -> str | None:
    job = choose_job(state, SCHEDULE)
    return job.kind if job else None


def challenger(*available: int) -> ModelRecord:
    trials = [{"available": number} for number in available]
    return ModelRecord("b", "models/b", "challenger", 1_500_000, {"before_ms": 9, "trials": trials})


def test_first_training_starts_once_there_are_enough_events() -> None:
    assert kind(replace(NOTHING, num_events=999, num_new=999)) is None
    assert kind(replace(NOTHING, num_events=1000, num_new=1000)) == "first"


def test_after_a_refused_first_model_the_next_needs_every_events_new_ones() -> None:
    refused = replace(CHAMPION, status="refused")
    state = replace(NOTHING, models=(refused,), num_events=20_000)
    assert kind(replace(state, num_new=9_999)) is None
    assert kind(replace(state, num_new=10_000)) == "first"


def test_fine_tune_starts_after_every_events() -> None:
    assert kind(replace(SERVING, num_new=9_999, now_ms=1_000_001)) is None
    assert choose_job(replace(SERVING, num_new=10_000), SCHEDULE) == Job("fine-tune", "10,000 new events")


def test_fine_tune_starts_after_every_ms_with_min_new_events() -> None:
    late = replace(SERVING, now_ms=1_000_000 + 3_600_000)
    assert kind(replace(late, num_new=499)) is None
    assert kind(replace(late, num_new=500)) == "fine-tune"
    assert kind(replace(late, num_new=500, now_ms=late.now_ms - 1)) is None


def test_challenger_is_judged_and_judged_again_when_its_slice_has_doubled() -> None:
    def waits(record: ModelRecord, num: int) -> TrainingState:
        return replace(SERVING, models=(record, CHAMPION), num_since_challenger=num)

    assert kind(waits(challenger(), 2)) == "judge"
    assert kind(waits(challenger(300), 599)) is None
    assert kind(waits(challenger(300), 600)) == "judge"
    assert kind(waits(challenger(300, 600), 1199)) is None


def test_alarm_starts_a_fine_tune_after_the_pause_with_enough_new_events() -> None:
    moved = replace(SERVING, alarm=ALARM, num_new=500, now_ms=1_000_000 + 600_000)
    assert choose_job(moved, SCHEDULE) == Job("fine-tune", "drift of loss: more of Tea")
    assert kind(replace(moved, now_ms=moved.now_ms - 1)) is None
    assert kind(replace(moved, num_new=499)) is None
    assert kind(replace(moved, models=(), num_events=999)) is None
    assert choose_job(moved, replace(SCHEDULE, on_drift=False)) is None


def test_alarm_stays_unacknowledged_until_a_training_has_read_it() -> None:
    store = MemoryStore()

    def alarm() -> Alarm | None:
        with store.read() as read:
            return unacknowledged_alarm(read)

    assert alarm() is None
    with store.transaction() as tx:
        tx.drift.save_alarms([replace(ALARM, alarm_id="gaps//50", detected_ms=50), ALARM])
        acknowledge_alarms(tx, None)
        tx.commit()
    assert alarm() == ALARM
    with store.transaction() as tx:
        acknowledge_alarms(tx, 50)
        tx.commit()
    assert alarm() == ALARM
    with store.transaction() as tx:
        acknowledge_alarms(tx, 70)
        tx.commit()
    assert alarm() is None


@pytest.mark.parametrize("signal", ANSWER_SIGNALS)
def test_an_alarm_about_what_is_shown_asks_for_no_training(signal: str) -> None:
    store = MemoryStore()
    with store.transaction() as tx:
        tx.drift.save_alarms([replace(ALARM, signal=signal)])
        tx.commit()
    with store.read() as read:
        assert unacknowledged_alarm(read) is None


def test_an_alarm_that_is_over_asks_for_no_training() -> None:
    store = MemoryStore()
    lasting = replace(ALARM, alarm_id="gaps//50", detected_ms=50)
    with store.transaction() as tx:
        tx.drift.save_alarms([lasting, replace(ALARM, over_ms=80, ending=AlarmEnding.RECOVERED)])
        tx.commit()
    with store.read() as read:
        assert unacknowledged_alarm(read) == lasting


def test_interrupted_training_comes_first() -> None:
    assert kind(replace(SERVING, unfinished=True)) == "fine-tune"
    assert kind(replace(NOTHING, unfinished=True)) == "first"


def test_training_request_is_stored_and_starts_a_training_at_once() -> None:
    store = MemoryStore()
    with store.transaction() as tx:
        request_training(tx, kind="fine-tune", by="the drift monitor", reason="clicks fell", now_ms=7)
        tx.commit()
    with store.read() as read:
        request = requested_training(read.metadata.all())
    assert choose_job(replace(SERVING, request=request), SCHEDULE) == Job(
        "fine-tune", "requested by the drift monitor: clicks fell"
    )
    assert kind(replace(NOTHING, request=request)) == "first"
    assert requested_training({}) is None


def test_training_data_ends_at_before_ms_or_after_the_last_event() -> None:
    assert trained_through_ms(None) == 0
    assert trained_through_ms(CHAMPION) == 5
    assert trained_through_ms(replace(CHAMPION, lineage={"last_event_ms": 8, "before_ms": None})) == 9
