"""A guide to a change of everybody's interest: the alarm, a user who moved along, and the model that followed.

Knows nothing about the server but its address, nor about how findings are shown: that is `tidewise.demo.drift_tour`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from core.interactions import Interaction
from tidewise.client import Client, Json

ALARM_PATIENCE_S = 120.0
MODEL_PATIENCE_S = 300.0
PAUSE_S = 0.5
MAX_CANDIDATES = 60


@dataclass(frozen=True, slots=True)
class DriftGuide:
    """Waits for what one server finds out by itself; `now_s` and `pause` are the clock."""

    client: Client
    now_s: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def alarm(self) -> Json | None:
        """The newest alarm about the mix of categories, else any; None if none comes while patience lasts."""

        def found() -> Json | None:
            alarms = self.client.drift()["alarms"]
            return next((one for one in alarms if one["signal"] == "categories"), alarms[0] if alarms else None)

        return self._wait(found, ALARM_PATIENCE_S)

    def mover(self, candidates: Sequence[str], category: str) -> Json | None:
        """The interests of the first of these users who, the server says, moved to a category."""
        for user_id in candidates[:MAX_CANDIDATES]:
            told = self.client.interests(user_id)
            if told["drift"]["detected"] and category in told["drift"]["target"]:
                return told
        return None

    def follower(self, parent: str) -> Json | None:
        """The model trained on from a parent, once the gate has judged it; None if that takes too long."""

        def found() -> Json | None:
            children = (one for one in self.client.models()["models"] if one["lineage"].get("parent") == parent)
            return next((one for one in children if one["lineage"].get("trials")), None)

        return self._wait(found, MODEL_PATIENCE_S)

    def answer_of(self, version: str, user_id: str) -> Json:
        """A user's recommendations once a version serves; the newest ones there are where that takes too long."""

        def served() -> Json | None:
            answer = self.client.recommend(user_id)
            return answer if answer["model_version"] == version else None

        return self._wait(served, ALARM_PATIENCE_S) or self.client.recommend(user_id)

    def _wait(self, ask: Callable[[], Json | None], patience_s: float) -> Json | None:
        give_up_s = self.now_s() + patience_s
        while (answer := ask()) is None and self.now_s() < give_up_s:
            self.pause(PAUSE_S)
        return answer


def visitors_of(events: Sequence[Interaction], item_ids: Collection[str]) -> list[str]:
    """Who met these items, the most often first."""
    met = Counter(event.user_id for event in events if event.item_id in item_ids)
    return sorted(met, key=lambda user_id: (-met[user_id], user_id))
