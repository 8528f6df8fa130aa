"""The lag recorder: once a minute, for each partition of the event log."""

from __future__ import annotations

from collections.abc import Mapping

from serving_doubles import NOW_MS, Api, Shop

from core.clock import DAY_MS, MINUTE_MS
from serving.app import create_app
from serving.runtime.lag_recorder import LagRecorder


class NamedLog:
    """A log that has a name only."""

    name = "interactions"


def test_lags_are_stored_once_a_minute_and_shown_over_time(shop: Shop) -> None:
    ends = {0: (3, 10), 1: (4, 4)}

    def log_ends(_applied: Mapping[int, int]) -> Mapping[int, tuple[int, int]]:
        return ends

    services = shop.with_services(log=NamedLog(), log_end_offsets=log_ends)
    recorder = LagRecorder(services)
    recorder.record()
    ends[0] = (3, 5_000)
    recorder.record()  # within the same minute
    with Api(create_app(services)) as api:
        period = {"since": NOW_MS - 10 * MINUTE_MS, "until": NOW_MS + MINUTE_MS}
        timeline = api.get("/v1/timeline", params=period).json()
    assert {name: [lag for lag in lags if lag is not None] for name, lags in timeline["lag"].items()} == {
        "0": [7],
        "1": [0],
    }
    assert len(timeline["lag"]["0"]) == len(timeline["time"])


def test_lags_older_than_ninety_days_are_deleted(shop: Shop) -> None:
    with shop.store.transaction() as tx:
        tx.offsets.note_lags("interactions", {0: 1}, bucket_ms=NOW_MS - 91 * DAY_MS)
        tx.commit()
    LagRecorder(shop.with_services(log=NamedLog(), log_end_offsets=lambda _applied: {0: (1, 1)})).record()
    with shop.store.read() as read:
        stored = read.offsets.lags("interactions", since_ms=0, before_ms=2 * NOW_MS, step_ms=DAY_MS)
    assert list(stored.values()) == [0]


def test_without_an_event_log_nothing_is_stored(shop: Shop) -> None:
    LagRecorder(shop.services).record()
    with shop.store.read() as read:
        assert read.offsets.lags("interactions", since_ms=0, before_ms=2 * NOW_MS, step_ms=DAY_MS) == {}
