"""The refresh of a process: items are followed often, all else every second or when the champion changes."""

from __future__ import annotations

import queue

import pytest

from tidewise.processes import refresh
from tidewise.processes.refresh import SnapshotRefresh

WAIT_S = 20.0


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
    thread = SnapshotRefresh(snapshots)  # type: ignore[arg-type]
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
    thread = SnapshotRefresh(snapshots)  # type: ignore[arg-type]
    thread.start()
    for expected in ("all", "items"):
        thread.follow_items()
        assert snapshots.calls.get(timeout=WAIT_S) == expected
    thread.stop()
