"""Drift end to end on a real database: ingest counts events, the monitor reads them, the API shows the alarm."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.drift.streams import MONDAY_MS, Kind, StreamPlan, draw_events
from core.catalogue.items import Item
from core.clock import DAY_MS
from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource
from core.manage import save_items
from core.ports.store import Store
from serving.routes.drift import drift_report
from tidewise.bootstrap import System, open_system
from tidewise.processes.monitor import open_monitor, read_all
from tidewise.settings.schema import load_settings

BATCH = 4_000


def shop_with(folder: Path, plan: StreamPlan) -> System:
    """A system with the events of a plan only."""
    overrides = {"data.folder": str(folder), "clock.mode": "stream"}
    system = open_system(load_settings(overrides=overrides, environment={}))
    save_items(system.store, [Item(f"i{topic}", categories=(f"Category {topic}",)) for topic in range(1, 13)])
    drawn = draw_events(plan)
    columns = zip(drawn.users.tolist(), drawn.topics.tolist(), drawn.times_ms.tolist(), strict=True)
    events = [
        Interaction(f"e{number}", f"u{user}", f"i{topic}", "view", time_ms)
        for number, (user, topic, time_ms) in enumerate(columns)
    ]
    for first in range(0, len(events), BATCH):
        system.ingestor.ingest(events[first : first + BATCH], RequestSource("import", live=False))
    return system


def alarms(store: Store) -> list[str]:
    """The signals of all alarms, which begin within two days of the change on day 18."""
    with store.read() as read:
        stored = read.drift.alarms()
    assert all(18 <= (alarm.onset_ms - MONDAY_MS) // DAY_MS < 20 for alarm in stored)
    return [alarm.signal for alarm in stored]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "expected"),
    [("interests", ["categories"]), pytest.param("rhythm", [], marks=pytest.mark.long)],
)
def test_a_shift_raises_an_alarm_and_a_daily_rhythm_does_not(tmp_path: Path, kind: Kind, expected: list[str]) -> None:
    system = shop_with(tmp_path, StreamPlan(kind, seed=4, events_per_day=700, days=24, change_day=18))
    try:
        read_all(system, again=False)
        assert alarms(system.store) == expected
        document = drift_report(system.store, clock=system.clock, limit=10, days=30)
        assert {signal["name"] for signal in document["signals"]} == {"categories", "gaps", "new_items", "new_users"}
        for alarm in document["alarms"]:
            assert "to Category 11 (" in alarm["cause"]
            assert alarm["status"] == "open"
        read_all(system, again=True)
        assert alarms(system.store) == expected
        second = open_monitor(system)
        assert second.catch_up()  # the first has given the role back
        second.release()
    finally:
        system.close()
