"""Doubles for drift monitoring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.drift.detector_bank import DetectorBank
from core.drift.monitor import Monitor
from core.drift.scoring import Scoring
from core.events.history import WindowShape
from core.events.interactions import EventTypes
from core.lease import Lease
from core.records.stored import UserShift


class Quiet:
    """A detector that never reports a change."""

    def update(self, value: float) -> bool:
        return False


def no_shifts(_user_keys: Sequence[int]) -> list[UserShift]:
    """No user is tested."""
    return []


def monitor_of(
    shop: Any, name: str = "one", shifts: Callable[[Sequence[int]], Sequence[UserShift]] = no_shifts
) -> Monitor:
    scoring = Scoring(shop.store, snapshots=shop.snapshots.current, types=EventTypes(), shape=WindowShape(5, 2))
    return Monitor(
        shop.store,
        lease=Lease(shop.store, "monitor", holder=name),
        scoring=scoring,
        detector_bank=lambda: DetectorBank(lambda _one_of_many: Quiet()),
        clock=shop.clock,
        keep_ms=10**12,
        on_alarm=lambda alarm: None,
        shifts=shifts,
    )
