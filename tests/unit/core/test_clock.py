"""Clocks: by the wall, by the stream, by hand."""

from __future__ import annotations

import time

from core.clock import ManualClock, StreamClock, WallClock


def test_the_wall_clock_is_the_machines_in_whole_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    now_ms = WallClock().now_ms()
    after = time.time_ns() // 1_000_000
    assert before <= now_ms <= after


def test_the_stream_clock_stands_at_the_newest_event_applied() -> None:
    newest = [5_000]
    clock = StreamClock(lambda: newest[-1])
    assert clock.now_ms() == 5_000
    newest.append(9_000)
    assert clock.now_ms() == 9_000


def test_a_stream_without_events_lives_in_the_walls_time() -> None:
    before = WallClock().now_ms()
    assert StreamClock(lambda: None).now_ms() >= before


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(100)
    clock.advance(by_ms=5)
    assert [clock.now_ms(), clock.now_ms()] == [105, 105]
