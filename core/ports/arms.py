"""The repository of arms: what answers of the arms of an experiment, or of other groups, led to, by user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.records.arms import ArmDay, UserSums
from core.records.outcomes import OriginField


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

    def revenue_by_user(self, by: OriginField | None, *, since_ms: int, until_ms: int) -> dict[str, UserSums]:
        """The revenue of users from the answers that they got with `since_ms` <= time < `until_ms`, as sums over users.

        By a field of `Origin`, or of all answers under the key ""; groups without a user are missing. Reads all answers
        of the period that are kept.
        """
        ...
