"""When to train: a pure function of what is known."""

from __future__ import annotations

from dataclasses import replace

from doubles import MemoryStore

from core.drift.records import Alarm
from core.learn.triggers import Job, Schedule, TrainingState, answer, ask, asked, due, trained_through_ms, unanswered
from core.ports import ModelRecord

SCHEDULE = Schedule(
    first_events=1000, every_events=10_000, every_ms=3_600_000, min_new_events=500, drift_pause_ms=600_000
)
CHAMPION = ModelRecord("a", "models/a", "champion", 1_000_000, {"before_ms": 5})
NOTHING = TrainingState((), 0, 0, 0, None, False, 2_000_000)
ALARM = Alarm("loss//70", "loss", "", 70, 60, 1.0, 2.0, "more of Tea")
SERVING = replace(NOTHING, models=(CHAMPION,))


def kind(situation: TrainingState) -> str | None:
    job = due(situation, SCHEDULE)
    return job.kind if job else None


def challenger(*available: int) -> ModelRecord:
    trials = [{"available": number} for number in available]
    return ModelRecord("b", "models/b", "challenger", 1_500_000, {"before_ms": 9, "trials": trials})


def test_a_first_model_is_due_once_there_are_events_enough() -> None:
    assert kind(replace(NOTHING, num_events=999, num_new=999)) is None
    assert kind(replace(NOTHING, num_events=1000, num_new=1000)) == "first"


def test_after_a_refused_first_model_the_next_waits_for_as_many_new_events_as_a_fine_tune() -> None:
    refused = replace(CHAMPION, status="refused")
    situation = replace(NOTHING, models=(refused,), num_events=20_000)
    assert kind(replace(situation, num_new=9_999)) is None
    assert kind(replace(situation, num_new=10_000)) == "first"


def test_a_fine_tune_is_due_after_so_many_events() -> None:
    assert kind(replace(SERVING, num_new=9_999, now_ms=1_000_001)) is None
    assert due(replace(SERVING, num_new=10_000), SCHEDULE) == Job("fine-tune", "10,000 new events")


def test_a_fine_tune_is_due_after_so_long_if_anything_came() -> None:
    late = replace(SERVING, now_ms=1_000_000 + 3_600_000)
    assert kind(replace(late, num_new=499)) is None
    assert kind(replace(late, num_new=500)) == "fine-tune"
    assert kind(replace(late, num_new=500, now_ms=late.now_ms - 1)) is None


def test_a_challenger_is_judged_at_first_and_again_when_its_slice_has_doubled() -> None:
    def waits(record: ModelRecord, num: int) -> TrainingState:
        return replace(SERVING, models=(record, CHAMPION), num_since_challenger=num)

    assert kind(waits(challenger(), 2)) == "judge"
    assert kind(waits(challenger(300), 599)) is None
    assert kind(waits(challenger(300), 600)) == "judge"
    assert kind(waits(challenger(300, 600), 1199)) is None


def test_an_alarm_begins_a_fine_tune_once_the_pause_is_over_and_something_is_there_to_learn() -> None:
    moved = replace(SERVING, alarm=ALARM, num_new=500, now_ms=1_000_000 + 600_000)
    assert due(moved, SCHEDULE) == Job("fine-tune", "drift of loss: more of Tea")
    assert kind(replace(moved, now_ms=moved.now_ms - 1)) is None
    assert kind(replace(moved, num_new=499)) is None
    assert kind(replace(moved, models=(), num_events=999)) is None
    assert due(moved, replace(SCHEDULE, on_drift=False)) is None


def test_an_alarm_is_new_until_a_training_begins_that_knows_of_it() -> None:
    store = MemoryStore()

    def found() -> Alarm | None:
        with store.read() as read:
            return unanswered(read)

    assert found() is None
    with store.transaction() as tx:
        tx.drift.save_alarms([replace(ALARM, alarm_id="gaps//50", detected_ms=50), ALARM])
        answer(tx, None)
        tx.commit()
    assert found() == ALARM
    with store.transaction() as tx:
        answer(tx, 50)
        tx.commit()
    assert found() == ALARM
    with store.transaction() as tx:
        answer(tx, 70)
        tx.commit()
    assert found() is None


def test_what_was_not_finished_comes_before_everything() -> None:
    assert kind(replace(SERVING, unfinished=True)) == "fine-tune"
    assert kind(replace(NOTHING, unfinished=True)) == "first"


def test_a_wish_is_kept_in_the_store_and_due_at_once() -> None:
    store = MemoryStore()
    with store.transaction() as tx:
        ask(tx, kind="fine-tune", by="the drift monitor", reason="clicks fell", now_ms=7)
        tx.commit()
    with store.read() as read:
        wish = asked(read.meta())
    assert due(replace(SERVING, wish=wish), SCHEDULE) == Job("fine-tune", "asked for by the drift monitor: clicks fell")
    assert kind(replace(NOTHING, wish=wish)) == "first"
    assert asked({}) is None


def test_what_a_model_has_learnt_ends_before_its_cut_or_with_its_last_event() -> None:
    assert trained_through_ms(None) == 0
    assert trained_through_ms(CHAMPION) == 5
    assert trained_through_ms(replace(CHAMPION, lineage={"last_event_ms": 8, "before_ms": None})) == 9
