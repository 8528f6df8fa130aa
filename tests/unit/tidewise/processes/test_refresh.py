"""The refresh of a process: items are followed often, all else every second or when the champion changes."""

from __future__ import annotations

import queue

import pytest
from doubles import MemoryStore

from core.scenarios.current import CurrentScenarios
from core.scenarios.manage import save_scenario
from tidewise.processes import refresh
from tidewise.processes.refresh import SnapshotRefresh

WAIT_S = 20.0
SCENARIOS = CurrentScenarios(MemoryStore())


class SnapshotCalls:
    """Records which renewal is called."""

    def __init__(self) -> None:
        self.calls: queue.Queue[str] = queue.Queue()

    def refresh(self) -> bool:
        self.calls.put("all")
        return True

    def follow_items(self) -> bool:
        self.calls.put("items")
        return True


def test_items_are_followed_between_whole_refreshes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "REFRESH_S", 1e9)
    snapshots = SnapshotCalls()
    thread = SnapshotRefresh(snapshots, SCENARIOS)  # type: ignore[arg-type]
    thread.start()
    assert [snapshots.calls.get(timeout=WAIT_S) for _ in range(3)] == ["all", "items", "items"]
    thread.follow_champion()
    while snapshots.calls.get(timeout=WAIT_S) != "all":
        pass
    thread.stop()


def test_an_item_change_is_followed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "REFRESH_S", 1e9)
    monkeypatch.setattr(refresh, "ITEMS_S", 1e6)
    snapshots = SnapshotCalls()
    thread = SnapshotRefresh(snapshots, SCENARIOS)  # type: ignore[arg-type]
    thread.start()
    for expected in ("all", "items"):
        thread.follow_items()
        assert snapshots.calls.get(timeout=WAIT_S) == expected
    thread.stop()


def test_a_scenario_of_another_process_is_followed_as_items_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "REFRESH_S", 1e9)
    store, snapshots = MemoryStore(), SnapshotCalls()
    scenarios = CurrentScenarios(store)
    thread = SnapshotRefresh(snapshots, scenarios)  # type: ignore[arg-type]
    save_scenario(store, "home", {"n": 3}, author="another process")
    thread.start()
    snapshots.calls.get(timeout=WAIT_S)
    assert scenarios.get("home").n == 3
    thread.stop()
