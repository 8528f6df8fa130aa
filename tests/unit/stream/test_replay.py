"""When and in which messages a replay sends events."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import InvalidSettings, StreamUnavailable
from core.interactions import Interaction
from stream.replay import GROUP_WAIT_S, FullSpeed, Pace, Rate, Replay, TimeLapse

START_MS = 1_700_000_000_000


class ManualTime:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.time_s = 1_000.0

    def now_s(self) -> float:
        return self.time_s

    def wait(self, duration_s: float) -> None:
        self.time_s += duration_s


class FakePending:
    """A message that fails when it is told to."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def on_failure(self, call: Callable[[BaseException], None]) -> None:
        if self.error:
            call(self.error)


class RecordingSender:
    """Notes what was sent when; a user's partition is the length of the name."""

    def __init__(self, clock: ManualTime, *, failing: str | None = None) -> None:
        self.clock = clock
        self.failing = failing
        self.sent: list[tuple[float, list[str]]] = []
        self.flushed = False

    def partition_of(self, user_id: str) -> int:
        return len(user_id)

    def send(self, event: Interaction) -> FakePending:
        return self._record([event])

    def send_grouped(self, events: list[Interaction], *, partition: int) -> FakePending:
        assert all(len(event.user_id) == partition for event in events)
        return self._record(events)

    def flush(self) -> None:
        self.flushed = True

    def _record(self, events: list[Interaction]) -> FakePending:
        names = [event.event_id for event in events]
        self.sent.append((round(self.clock.time_s - 1_000.0, 6), names))
        return FakePending(RuntimeError("broker gone") if self.failing in names else None)


def events(*users: str, gap_ms: int = 1_000) -> list[Interaction]:
    return [Interaction(f"e{n}", user, "lamp", "click", START_MS + n * gap_ms) for n, user in enumerate(users)]


def replay(given: list[Interaction], *, pace: Pace | None = None, group: int = 1) -> RecordingSender:
    clock = ManualTime()
    sender = RecordingSender(clock)
    done = Replay(sender, pace=pace, group=group, clock=clock).run(given)
    assert done.num_events == len(given)
    assert done.num_messages == len(sender.sent)
    assert sender.flushed
    return sender


def test_without_a_pace_everything_is_sent_at_once_in_the_order_given() -> None:
    assert replay(events("a", "b", "a")).sent == [(0.0, ["e0"]), (0.0, ["e1"]), (0.0, ["e2"])]


def test_a_rate_spreads_events_evenly_whatever_their_times() -> None:
    assert [at for at, _ in replay(events("a", "b", "c"), pace=Rate(4.0)).sent] == [0.0, 0.25, 0.5]


def test_a_time_lapse_keeps_the_proportions_of_the_gaps() -> None:
    given = events("a", "b", "c")
    given[2].time_ms = given[1].time_ms + 3_000
    assert [at for at, _ in replay(given, pace=TimeLapse(10.0)).sent] == [0.0, 0.1, 0.4]


def test_a_time_lapse_cuts_long_pauses_short() -> None:
    given = events("a", "b", gap_ms=86_400_000)
    assert [at for at, _ in replay(given, pace=TimeLapse(1.0, longest_pause_s=2.0)).sent] == [0.0, 2.0]


def test_an_event_older_than_the_one_before_it_does_not_stop_a_time_lapse() -> None:
    given = events("a", "b", "c")
    given[1].time_ms = START_MS - 60_000
    assert [at for at, _ in replay(given, pace=TimeLapse(1.0)).sent] == [0.0, 0.0, 2.0]


def test_groups_hold_users_of_one_partition_each_in_the_order_given() -> None:
    sender = replay(events("a", "bb", "a", "bb", "a"), pace=FullSpeed(), group=2)
    assert [names for _, names in sender.sent] == [["e0", "e2"], ["e1", "e3"], ["e4"]]


def test_an_incomplete_group_does_not_wait_for_company_for_ever() -> None:
    sender = replay(events("a", "a", "a"), pace=Rate(1.0), group=100)
    assert sender.sent == [(GROUP_WAIT_S, ["e0"]), (1.0 + GROUP_WAIT_S, ["e1"]), (2.0, ["e2"])]


def test_progress_is_told_during_and_after() -> None:
    clock = ManualTime()
    told: list[int] = []
    Replay(RecordingSender(clock), on_progress=told.append, clock=clock).run(events(*["a"] * 2_500))
    assert told == [1_000, 2_000, 2_500]


def test_a_message_that_fails_fails_the_replay_and_says_that_repeating_is_safe() -> None:
    clock = ManualTime()
    sender = RecordingSender(clock, failing="e3")
    with pytest.raises(StreamUnavailable, match=r"1 messages were not acknowledged.*broker gone; run it again"):
        Replay(sender, clock=clock).run(events(*["a"] * 2_500))
    assert len(sender.sent) == 1_000


@pytest.mark.parametrize("make", [lambda: Rate(0.0), lambda: TimeLapse(-1.0)])
def test_a_pace_without_speed_is_refused(make: Callable[[], Pace]) -> None:
    with pytest.raises(InvalidSettings):
        make()
