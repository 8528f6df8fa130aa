"""When a replay sends events, and how it groups them into messages."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from core.errors import InvalidSettings, StreamUnavailable
from core.events.interactions import Interaction
from stream.replay import GROUP_LINGER_S, FullSpeed, Rate, Replay, ReplayPace, TimeLapse

START_MS = 1_700_000_000_000


class ManualTime:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.time_s = 1_000.0

    def now_s(self) -> float:
        return self.time_s

    def wait(self, duration_s: float) -> None:
        self.time_s += duration_s


class FakeSentMessage:
    """A message that fails with `error`."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def on_failure(self, callback: Callable[[BaseException], None]) -> None:
        if self.error:
            callback(self.error)


class RecordingSender:
    """Records sent events and their times; a user's partition is the length of the id."""

    def __init__(self, clock: ManualTime, *, failing: str | None = None) -> None:
        self.clock = clock
        self.failing = failing
        self.sent: list[tuple[float, list[str]]] = []
        self.flushed = False

    def partition_of(self, user_id: str) -> int:
        return len(user_id)

    def send(self, event: Interaction) -> FakeSentMessage:
        return self._record([event])

    def send_grouped(self, events: list[Interaction], *, partition: int) -> FakeSentMessage:
        assert all(len(event.user_id) == partition for event in events)
        return self._record(events)

    def flush(self) -> None:
        self.flushed = True

    def _record(self, events: list[Interaction]) -> FakeSentMessage:
        names = [event.event_id for event in events]
        self.sent.append((round(self.clock.time_s - 1_000.0, 6), names))
        return FakeSentMessage(RuntimeError("broker gone") if self.failing in names else None)


def events(*users: str, gap_ms: int = 1_000) -> list[Interaction]:
    return [Interaction(f"e{n}", user, "lamp", "click", START_MS + n * gap_ms) for n, user in enumerate(users)]


def replay(recorded: list[Interaction], *, pace: ReplayPace | None = None, group: int = 1) -> RecordingSender:
    clock = ManualTime()
    sender = RecordingSender(clock)
    done = Replay(sender, pace=pace, group=group, clock=clock).run(recorded)
    assert done.num_events == len(recorded)
    assert done.num_messages == len(sender.sent)
    assert sender.flushed
    return sender


def test_without_a_pace_events_are_sent_at_once_in_order() -> None:
    assert replay(events("a", "b", "a")).sent == [(0.0, ["e0"]), (0.0, ["e1"]), (0.0, ["e2"])]


def test_a_rate_spreads_events_evenly() -> None:
    assert [at for at, _ in replay(events("a", "b", "c"), pace=Rate(4.0)).sent] == [0.0, 0.25, 0.5]


def test_a_time_lapse_scales_the_gaps_between_events() -> None:
    recorded = events("a", "b", "c")
    recorded[2].time_ms = recorded[1].time_ms + 3_000
    assert [at for at, _ in replay(recorded, pace=TimeLapse(10.0)).sent] == [0.0, 0.1, 0.4]


def test_a_time_lapse_cuts_long_pauses_short() -> None:
    recorded = events("a", "b", gap_ms=86_400_000)
    assert [at for at, _ in replay(recorded, pace=TimeLapse(1.0, max_pause_s=2.0)).sent] == [0.0, 2.0]


def test_a_time_lapse_sends_an_event_older_than_its_predecessor_at_once() -> None:
    recorded = events("a", "b", "c")
    recorded[1].time_ms = START_MS - 60_000
    assert [at for at, _ in replay(recorded, pace=TimeLapse(1.0)).sent] == [0.0, 0.0, 2.0]


def test_a_group_holds_events_of_one_partition_in_order() -> None:
    sender = replay(events("a", "bb", "a", "bb", "a"), pace=FullSpeed(), group=2)
    assert [names for _, names in sender.sent] == [["e0", "e2"], ["e1", "e3"], ["e4"]]


def test_an_incomplete_group_is_sent_after_its_linger() -> None:
    sender = replay(events("a", "a", "a"), pace=Rate(1.0), group=100)
    assert sender.sent == [(GROUP_LINGER_S, ["e0"]), (1.0 + GROUP_LINGER_S, ["e1"]), (2.0, ["e2"])]


def test_progress_is_reported_during_and_after_a_replay() -> None:
    clock = ManualTime()
    reported: list[int] = []
    Replay(RecordingSender(clock), on_progress=reported.append, clock=clock).run(events(*["a"] * 2_500))
    assert reported == [1_000, 2_000, 2_500]


def test_a_failed_message_fails_the_replay() -> None:
    clock = ManualTime()
    sender = RecordingSender(clock, failing="e3")
    with pytest.raises(StreamUnavailable, match=r"1 messages were not acknowledged.*broker gone; run it again"):
        Replay(sender, clock=clock).run(events(*["a"] * 2_500))
    assert len(sender.sent) == 1_000


@pytest.mark.parametrize("make_pace", [lambda: Rate(0.0), lambda: TimeLapse(-1.0)])
def test_a_pace_of_zero_or_below_is_refused(make_pace: Callable[[], ReplayPace]) -> None:
    with pytest.raises(InvalidSettings):
        make_pace()


@pytest.mark.parametrize("group", [1, 2])
def test_an_event_that_is_sent_while_ctrl_c_arrives_is_counted(group: int) -> None:
    class InterruptedSender(RecordingSender):
        def _record(self, events: list[Interaction]) -> FakeSentMessage:
            message = super()._record(events)
            signal.raise_signal(signal.SIGINT)
            return message

    sender = InterruptedSender(ManualTime())
    done = Replay(sender, group=group, clock=sender.clock).run(events("ann", "ann", "ann"))
    assert (done.interrupted, done.num_messages, done.num_events) == (True, 1, group)
    assert [names for _, names in sender.sent] == [["e0", "e1", "e2"][:group]]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
