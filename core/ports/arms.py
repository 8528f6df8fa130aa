"""The repository of arms: what answers of the arms of an experiment led to, by user and day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.records.arms import ArmDay


class ArmReader(Protocol):
    """Reads sums over users."""

    def days(
        self, labels: Sequence[str], *, since_ms: int, until_ms: int, proven_impressions: bool = False
    ) -> list[ArmDay]:
        """What each day adds to each arm, from answers with `since_ms` <= time < `until_ms` to users, ascending by day.

        `labels`: of arms, as "experiment/arm". A user's clicks and conversions are items of answers with one; they
        belong to the day of the answer. `proven_impressions`: items with an event are impressions, not all items shown.
        """
        ...
